"""The suite ``serving``: throughput and latency of a server with many clients, compared with direct model calls.

It also counts the statuses of valid and invalid requests that schemathesis generates from the schema of the server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.arguments import take_budget, take_flag, take_nothing_else, take_number
from benchmarks.jobs import Job
from benchmarks.rows import of_this_commit
from benchmarks.runs import trained
from zoo.exceptions import ZooError, install

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = "cnn/digits"
BATCH = 64
PATIENCE = 60  # timeout of a client in seconds
DRAWN = 200  # number of generated requests of each kind
MOSTLY = 0.5  # minimum fraction of valid requests with status 200
# By kind of data: pretrained weights, or the options of a run with a few steps
KINDS: dict[str, Sequence[str]] = {
    "images": ["cnn/digits"],
    "tables": ["fnn/wine"],
    "series": ["gru/series"],
    "texts": ["model=lstm", "data=sentiment"],
    "sequences": ["model=gru", "data=spoken_digits"],
}


def jobs(args: dict[str, str], earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs. ``clients=`` (200) send requests for ``seconds=`` (60, or 10 with budget=quick)."""
    budget, fresh = take_budget(args), take_flag(args, "fresh")
    clients, seconds = take_number(args, "clients", 200), take_number(args, "seconds", 60 if budget == "full" else 10)
    take_nothing_else(args, "serving")
    what = f"{clients} clients of {WEIGHTS} for {seconds} s"
    selected = [Job(what, partial(_served, what, clients, seconds), seconds + 30.0)]
    drawn = DRAWN if budget == "full" else DRAWN // 10
    selected += [
        Job(f"malformed: {kind}", partial(_malformed, kind, words, drawn), 60.0) for kind, words in KINDS.items()
    ]
    done = set() if fresh else {row["what"] for row in of_this_commit(earlier)}
    return [job for job in selected if job.what not in done]


def _served(what: str, clients: int, seconds: int) -> Iterator[dict[str, Any]]:
    from zoo.reporting.results import origin

    with _server(WEIGHTS) as address:
        took, statuses = asyncio.run(_request_all(address, _images(), clients, seconds))
    took.sort()
    row = {"what": what, "clients": clients, "seconds": seconds, "requests": len(took), "statuses": dict(statuses)}
    row |= {"a_second": len(took) / seconds, "bare": _bare()}
    row |= {f"p{share}_ms": round(1000 * took[int(share / 100 * (len(took) - 1))], 1) for share in (50, 99)}
    if set(statuses) != {"200"}:
        row["failed"] = [f"{what}: {dict(statuses)}"]
    print(
        f"    {row['a_second']:.0f} a second, p50 {row['p50_ms']} ms, p99 {row['p99_ms']} ms, {row['bare']}", flush=True
    )
    yield row | origin("cpu")


def _malformed(kind: str, words: Sequence[str], drawn: int) -> Iterator[dict[str, Any]]:
    """Yield the row of a server's statuses for ``drawn`` requests of each kind.

    ``allowed`` counts the statuses of JSON requests that the schema allows. Most of them must have status 200, except
    for images, whose content a schema cannot describe.
    """
    from zoo.reporting.results import origin

    statuses: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as above:
        place = words[0]
        if len(words) > 1:
            place = f"{above}/run"
            trained([*words, "trainer.max_epochs=1", "trainer.steps_per_epoch=5", "logger=csv"], Path(place))
        with _server(place) as address:
            allowed = _drawn(address, drawn, statuses)
            healthy = _health(address)
    row: dict[str, Any] = {"what": f"malformed: {kind}", "statuses": dict(sorted(statuses.items()))}
    row["allowed"] = dict(sorted(allowed.items()))
    if not healthy or any(not "200" <= status < "500" for status in statuses):
        row["failed"] = [f"{row['what']}: {row['statuses']}{'' if healthy else ', and the server crashed'}"]
    elif kind != "images" and allowed["200"] < MOSTLY * allowed.total():
        row["failed"] = [f"{row['what']}: {row['allowed']} to requests that the schema allows"]
    print(f"    {row['statuses']}, allowed {row['allowed']}", flush=True)
    yield row | origin("cpu")


def _drawn(address: str, count: int, statuses: Counter[str]) -> Counter[str]:
    """Count the statuses of valid and invalid requests, and return the counts of valid JSON requests."""
    import httpx

    try:
        import schemathesis
    except ImportError:
        raise ZooError(f"suite=serving: schemathesis is not installed; {install('benchmarks')}") from None
    described = httpx.get(f"{address}/openapi.json").json()
    schema = schemathesis.openapi.from_dict(described)
    sorts: dict[tuple[str, Any], Counter[str]] = {}
    for path in [path for path in described["paths"] if path.startswith("/predict")]:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            drawn = schema[path]["POST"].as_strategy(generation_mode=mode)
            sorts[path, mode] = _statuses(address, drawn, count)
            statuses.update(sorts[path, mode])
    return sorts["/predict", schemathesis.GenerationMode.POSITIVE]


def _statuses(address: str, drawn: Any, count: int) -> Counter[str]:
    from hypothesis import HealthCheck, given, settings

    statuses: Counter[str] = Counter()

    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=drawn)
    def ask(case: Any) -> None:
        statuses[str(case.call(base_url=address).status_code)] += 1

    ask()
    return statuses


@contextlib.contextmanager
def _server(place: str) -> Iterator[str]:
    """Serve a model in a new process and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        words = [place, f"port={address.rpartition(':')[2]}", f"log={folder}/log", f"batch={BATCH}"]
        typed = [sys.executable, "-m", "zoo", "serve", *words]
        server = subprocess.Popen(typed, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _await(address, server)
            yield address
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(60)


def _health(address: str) -> bool:
    import httpx

    try:
        return httpx.get(f"{address}/health").status_code == 200
    except httpx.HTTPError:
        return False


def _images() -> list[str]:
    import numpy as np
    from PIL import Image

    payloads = []
    for seed in range(BATCH):
        file = io.BytesIO()
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)).save(file, "png")
        payloads.append(base64.b64encode(file.getvalue()).decode())
    return payloads


def _await(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if _health(address):
            return
        if server.poll() is not None:
            break
        time.sleep(0.2)
    raise ZooError("serving: the server did not start")


async def _request_all(address: str, images: list[str], clients: int, seconds: int) -> tuple[list[float], Counter[str]]:
    """Return the seconds of each request and the counts of the outcomes.

    Each client has one connection, and sends the next request after each response. The clients use raw sockets: an HTTP
    library would take more processor time than the server, on the same processor.
    """
    host, port = address.removeprefix("http://").split(":")
    took: list[float] = []
    statuses: Counter[str] = Counter()
    ended = time.perf_counter() + seconds

    async def one(number: int) -> None:
        body = json.dumps({"x": [images[number % len(images)]]}).encode()
        head = f"POST /predict HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        reader, writer = await asyncio.open_connection(host, int(port))
        while (started := time.perf_counter()) < ended:
            try:
                writer.write(request)
                statuses[await asyncio.wait_for(_status(reader), PATIENCE)] += 1
            except (OSError, EOFError, TimeoutError) as error:  # reconnect, like a real client
                statuses[type(error).__name__] += 1
                writer.close()
                reader, writer = await asyncio.open_connection(host, int(port))
            took.append(time.perf_counter() - started)
        writer.close()

    await asyncio.gather(*(one(number) for number in range(clients)))
    return took, statuses


async def _status(reader: asyncio.StreamReader) -> str:
    """Read a response, and return its status or a note that it has no label."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    body = await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
    status = head.split()[1]
    return status if status != "200" or b'"label"' in body else "200 without an answer"


def _bare() -> dict[str, float]:
    """Return the speed of direct model calls: milliseconds for one row, and rows per second in batches."""
    import torch

    from zoo import load

    model, rates = load(WEIGHTS), {}
    for rows in (1, BATCH):
        x, each = torch.rand(rows, *model.spec.input_shape), []
        for _ in range(50):
            started = time.perf_counter()
            model.predict(x)
            each.append(time.perf_counter() - started)
        rates["a row, ms" if rows == 1 else f"rows a second in {BATCH}s"] = (
            round(1000 * statistics.median(each), 2) if rows == 1 else round(rows / statistics.median(each))
        )
    return rates | {"threads": float(os.environ.get("OMP_NUM_THREADS", torch.get_num_threads()))}
