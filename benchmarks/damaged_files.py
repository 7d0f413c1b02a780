"""The suite ``files``: damaged files of each format, with flipped bits, truncation and wrong size fields."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import take_budget, take_flag, take_nothing_else
from benchmarks.file_formats import READERS, Reader, digest
from benchmarks.jobs import Job, timed
from benchmarks.rows import of_this_commit
from zoo.exceptions import TrainingError, ZooError

KINDS = ("bit flip", "cut short", "size that lies")
TRIES = {"quick": 4, "full": 40}  # number of files of each kind in each region
PATIENCE = 60  # timeout of a reader in seconds
MEMORY = 1 << 30  # maximum memory in bytes for a file of a few thousand bytes


@dataclass(frozen=True)
class Damage:
    """The damage of a file: its ``kind``, the ``region``, the byte offset ``at``, and the ``value``."""

    kind: str
    region: str
    at: int
    value: int

    def __str__(self) -> str:
        return f"{self.kind} in {self.region}, byte {self.at}, {self.value}"


def damaged(reader: Reader, raw: bytes, kind: str, region: str, place: float, value: int) -> tuple[bytes, Damage]:
    """Return a file with damage at ``place`` (0 to 1) of a region or of its size fields, and the Damage.

    A flip inverts bit ``value``. A wrong size is 0, one more, twice as much, all ones, or ``value``.
    """
    if kind == "size that lies":
        sizes = reader.lies(raw)
        at, width, order = sizes[min(int(place * len(sizes)), len(sizes) - 1)]
        content = raw[at : at + width]
        if order == "octal":
            lie = (b"77777777777", b"00000000000", b"%011o" % value)[value % 3]
        else:
            true, most = int.from_bytes(content, order), 256**width - 1  # type: ignore[arg-type]
            lies = (0, true + 1, 2 * true, most, most // 2, value)
            lie = min(lies[value % len(lies)], most).to_bytes(width, order)  # type: ignore[arg-type]
        return raw[:at] + lie + raw[at + width :], Damage(kind, region, at, int.from_bytes(lie, "big"))
    first, after = reader.regions(raw)[region]
    at = min(first + int(place * (after - first)), len(raw) - 1)
    if kind == "cut short":
        return raw[:at], Damage(kind, region, at, 0)
    return raw[:at] + bytes([raw[at] ^ (1 << value % 8)]) + raw[at + 1 :], Damage(kind, region, at, value % 8)


class Trial:
    """A process that reads files of one format. It restarts after a crash or a timeout."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.reader, self.folder = name, READERS[name], folder
        self.path = folder / self.reader.file
        self.reader.make(self.path)
        self.raw = self.path.read_bytes()
        self._begin()
        how, self.intact_value = self.read(self.raw)
        assert how == "read", self.intact_value

    def _begin(self) -> None:
        from zoo.engine.distributed import context

        reader_context: Any = context()
        self.here, there = reader_context.Pipe()
        self.process = reader_context.Process(target=_reads, args=(self.name, self.path, there), daemon=True)
        self.process.start()
        there.close()

    def read(self, raw: bytes) -> tuple[str, str]:
        """Return the outcome of reading a file (read, refused, error, crash or hang), and its message."""
        self.path.write_bytes(raw)
        self.here.send(True)
        try:
            if self.here.poll(PATIENCE):
                return tuple(self.here.recv())
            how = "hang"
        except (EOFError, ConnectionError):
            how = "crash"
        self.close()
        self._begin()
        return how, f"exit code {self.process.exitcode}"

    def outcome(self, raw: bytes) -> tuple[str, str | None]:
        """Return the outcome of reading a damaged file, and a description of a wrong outcome or None."""
        how, message = self.read(raw)
        if how == "refused":
            return how, "more than a line" if "\n" in message else None
        if how != "read":
            return how, message
        if message == self.intact_value:
            return "read as it was", None
        if self.reader.sealed:
            return "read wrongly", "different values, without an error"
        return "read as it is", None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.join()


def _reads(name: str, path: Path, there: Any) -> None:
    """Read the file on each request with limited memory, and send the outcome."""
    reader = READERS[name]
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    while there.recv():
        try:
            there.send(("read", digest(reader.read(path))))
        except (ZooError, TrainingError) as error:
            there.send(("refused", str(error)))
        except BaseException as error:
            there.send(("error", f"{type(error).__name__}: {error}"[:300]))


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return a job for each reader, or for ``reader=``. Readers with rows of this commit are skipped."""
    budget, one, fresh = take_budget(args), args.pop("reader", None), take_flag(args, "fresh")
    take_nothing_else(args, "files")
    if one not in (None, *READERS):
        raise ZooError(f"reader={one}: must be one of {', '.join(READERS)}")
    took = timed(earlier, lambda row: row["reader"], "seconds")
    tries = TRIES[budget]
    done = set() if fresh else {row["reader"] for row in of_this_commit(earlier) if row["tries"] == tries}
    names = [name for name in ([one] if one else READERS) if name not in done]
    return [Job(f"broken files: {name}", partial(_tried, name, tries), took.get(name)) for name in names]


def _tried(name: str, tries: int) -> Iterator[dict[str, Any]]:
    """Yield the row of a reader: the number of files and their outcomes."""
    from zoo.reporting.results import origin

    drawn, started = random.Random(name), time.perf_counter()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(name, Path(folder))
        regions = list(trial.reader.regions(trial.raw))
        selected = [(kind, region) for kind in KINDS[:2] for region in regions for _ in range(tries)]
        selected += [(KINDS[2], "its sizes")] * (3 * tries if trial.reader.lies(trial.raw) else 0)
        for kind, region in selected:
            values = drawn.random(), drawn.randrange(2**32)
            raw, damage = damaged(trial.reader, trial.raw, kind, region, *values)
            how, bad = trial.outcome(raw)
            outcomes[how] += 1
            wrong += [f"{name}: {damage}: {how}: {bad}"] if bad else []
        trial.close()
    row = {
        "reader": name,
        "tries": tries,
        "tried": len(selected),
        "sealed": trial.reader.sealed,
        "outcomes": dict(outcomes),
    }
    row |= {"failed": wrong[:20]} if wrong else {}
    print(f"    {dict(outcomes)} {wrong[:3]}", flush=True)
    yield row | {"seconds": round(time.perf_counter() - started, 1)} | origin("cpu")
