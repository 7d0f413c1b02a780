"""A replay buffer: the last steps of parallel environments, sampled with the steps that follow.

Images are stored as uint8, and each frame only once. With stacked frames, a step stores only the newest frame, and the
indices of the frames in its stack. The observation after a step is that of the next step, not a copy.

On disk, the buffer is a folder of segments (safetensors). A segment is written once with the steps since the previous
segment. It is deleted when no remaining checkpoint lists it.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data.dataset import Batch
from zoo.data.input_readers import to_float
from zoo.exceptions import ZooError
from zoo.utils.atomic_io import atomic_write

FIELDS = ("action", "reward", "terminated", "done", "valid")
SEGMENT_BYTES = 64 * 2**20  # maximum size of a segment, and of the memory needed to write it
NAME = re.compile(r"\d+-\d+-\d+\.safetensors")


class ReplayBuffer:
    """The last ``capacity`` steps of ``count`` environments together, stored on ``device``.

    Each step adds ``frame_channels`` new image channels (0: all channels). Observations are returned exactly as added,
    even if they do not follow this pattern.
    """

    def __init__(
        self, capacity: int, count: int, *, frame_channels: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        self.length, self.count, self.device = max(capacity // count, 2), count, torch.device(device)
        self.frame_channels = frame_channels
        self.written = 0  # steps of each environment so far
        self.frames_written = 0
        self.rings: dict[str, Tensor] = {}  # of FIELDS, and the frame indices of each step
        self.frames = torch.zeros(0)
        self.valid_steps = torch.zeros(self.length * count, dtype=torch.int64, device=self.device)
        self.valid_written = 0
        self._valid_before = np.zeros(self.length, np.int64)  # valid steps before each step in the ring
        self._first_frame = np.zeros(self.length, np.int64)  # the oldest frame of each step in the ring
        self._newest: tuple[Tensor, Tensor] | None = None  # the last observations as frames, and their indices
        self.segments: list[dict[str, Any]] = []
        self.truncations: list[int] = []  # steps after which a resumed run could not continue its episodes
        self._on_disk, self._frames_on_disk = 0, 0

    def __len__(self) -> int:
        return (self.written - self.oldest) * self.count

    @property
    def oldest(self) -> int:
        """The oldest step in the buffer."""
        return max(self.written - self.length, 0)

    # --- adding ---

    def add(self, steps: Batch) -> None:
        """Add steps on the CPU: observations ``x`` (T, count, …) and each of FIELDS (T, count, …)."""
        for begin in range(0, len(steps["reward"]), self.length):
            part = {name: steps[name][begin : begin + self.length] for name in ("x", *FIELDS)}
            numbers, frames = self._numbered(part["x"])
            self._insert(numbers, frames, {name: part[name] for name in FIELDS})

    def _numbered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frame indices (T, count, stack) of observations, and the new frames."""
        stack = x.shape[2] // self.frame_channels if self.frame_channels else 1
        first = self.frames_written
        if stack == 1:
            total = x.shape[0] * x.shape[1]
            numbers = torch.arange(first, first + total).view(*x.shape[:2], 1)
            self._newest = x[-1].unsqueeze(1).clone(), numbers[-1]
            return numbers, x.flatten(0, 1)
        numbers = torch.empty(*x.shape[:2], stack, dtype=torch.int64)
        new: list[Tensor] = []
        for t, observation in enumerate(x):
            frames = observation.view(self.count, stack, self.frame_channels, *observation.shape[2:])
            moved = [False] * self.count
            if self._newest is not None:
                before, known = self._newest
                moved = (frames[:, :-1] == before[:, 1:]).flatten(1).all(1).tolist()
            for n in range(self.count):
                if moved[n]:
                    numbers[t, n, :-1] = known[n, 1:]
                for place in range(stack - 1 if moved[n] else 0, stack):
                    if not moved[n] and place and torch.equal(frames[n, place], frames[n, place - 1]):
                        numbers[t, n, place] = numbers[t, n, place - 1]
                    elif not moved[n] and not frames[n, place].any():
                        numbers[t, n, place] = -1  # an empty frame
                    else:
                        numbers[t, n, place] = first + len(new)
                        new.append(frames[n, place])
            self._newest = frames, numbers[t]
        self._newest = frames.clone(), numbers[t].clone()
        return numbers, torch.stack(new) if new else x.new_zeros(0, self.frame_channels, *x.shape[3:])

    def _insert(self, numbers: Tensor, frames: Tensor, fields: Batch) -> None:
        """Store steps with their frame indices. ``frames`` are the new frames."""
        total, count = fields["reward"].shape
        written, frames_written = self.written + total, self.frames_written + len(frames)
        place = np.arange(self.written, written) % self.length
        oldest_frames = numbers.masked_fill(numbers < 0, frames_written).flatten(1).amin(1)
        self._first_frame[place] = oldest_frames.flip(0).cummin(0).values.flip(0).numpy()  # empty frames have no index
        live = int(self._first_frame[max(written - self.length, 0) % self.length])
        self._make_room(frames, numbers.shape[2], frames_written - live, live)
        slots = len(self.frames) - 1
        new = torch.arange(self.frames_written, frames_written) % slots
        self.frames[new.to(self.device)] = frames.to(self.device)
        at = torch.from_numpy(place).to(self.device)
        for name, values in {**fields, "numbers": numbers}.items():
            values = values.to(self.device)
            if name not in self.rings:
                self.rings[name] = values.new_zeros(self.length, *values.shape[1:])
            self.rings[name][at] = values
        valid = fields["valid"].cpu() > 0
        self._valid_before[place] = self.valid_written + (valid.sum(1).cumsum(0) - valid.sum(1)).numpy()
        codes = (torch.arange(self.written, written)[:, None] * count + torch.arange(count))[valid]
        where = torch.arange(self.valid_written, self.valid_written + len(codes)) % len(self.valid_steps)
        self.valid_steps[where.to(self.device)] = codes.to(self.device)
        self.valid_written += len(codes)
        self.written, self.frames_written = written, frames_written

    def _make_room(self, frames: Tensor, stack: int, needed: int, live: int) -> None:
        """Grow the frame storage to ``needed`` frames, and keep the frames from index ``live`` on.

        The last slot is an empty frame.
        """
        if not len(self.frames):
            room = max((self.length + stack) * self.count, needed)
            self.frames = torch.zeros(room + 1, *frames.shape[1:], dtype=frames.dtype, device=self.device)
        elif needed > len(self.frames) - 1:
            old, room = self.frames, needed + needed // 4
            there = torch.arange(min(live, self.frames_written), self.frames_written, device=self.device)
            self.frames = old.new_zeros(room + 1, *old.shape[1:])
            self.frames[there % room] = old[there % (len(old) - 1)]

    def truncate(self, observation: Tensor) -> None:
        """End all episodes with the last ``observation`` (count, …). A resumed run starts new ones."""
        if not self.written:
            return
        self.truncations.append(self.written - 1)
        self._apply_truncations()
        zeros = torch.zeros(1, self.count)
        action = self.rings["action"][:1].cpu() * 0
        self.add({**dict.fromkeys(FIELDS, zeros), "action": action, "x": observation[None]})

    def _apply_truncations(self) -> None:
        self.truncations = [step for step in self.truncations if step >= self.oldest]
        for step in self.truncations:
            self.rings["done"][step % self.length] = 1

    # --- sampling ---

    def ready(self, n_step: int) -> bool:
        """Return whether enough steps are stored to sample ``n_step``-step transitions."""
        return self.written - self.oldest > n_step + 1  # at least one of two consecutive steps is valid

    def sample(self, rows: int, *, n_step: int, gamma: float) -> Batch:
        """Sample ``rows`` n-step transitions uniformly (Sutton 1988). They are shorter at the end of an episode.

        ``x`` and ``action`` are those of the first step. ``reward`` is Σ γᵏ r over the steps, and ``next_x`` the
        observation after them. ``discount`` is the weight of the value of ``next_x``: γ to the power of the number of
        steps, or 0 after termination. Steps that only reset an environment are never sampled. Sampling does not
        synchronize the device.
        """
        low = int(self._valid_before[self.oldest % self.length])
        high = int(self._valid_before[(self.written - n_step) % self.length])
        chosen = low + torch.randint(high - low, (rows,), device=self.device)
        code = self.valid_steps[chosen % len(self.valid_steps)]
        step, env = code // self.count, code % self.count
        reward = torch.zeros(rows, device=self.device)
        discount, going = torch.ones_like(reward), torch.ones_like(reward)
        after = step.clone()
        for _ in range(n_step):
            reward += discount * going * self._at("reward", after, env)
            discount = torch.where(going > 0, discount * gamma * (1 - self._at("terminated", after, env)), discount)
            done, after = self._at("done", after, env), torch.where(going > 0, after + 1, after)
            going = going * (1 - done)
        return {
            "x": to_float(self.observations(step, env)),
            "action": self._at("action", step, env),
            "reward": reward,
            "discount": discount,
            "next_x": to_float(self.observations(after, env)),
        }

    def observations(self, step: Tensor, env: Tensor) -> Tensor:
        """Return the observations (B, …) for step and environment indices (B,), as they were added."""
        frames = self._frames_at(self._at("numbers", step, env))
        return frames.flatten(1, 2) if self.frame_channels else frames.squeeze(1)

    def _frames_at(self, numbers: Tensor) -> Tensor:
        slots = len(self.frames) - 1
        return self.frames[torch.where(numbers < 0, slots, numbers % slots)]

    def _at(self, name: str, step: Tensor, env: Tensor) -> Tensor:
        return self.rings[name][step % self.length, env]

    # --- checkpoints ---

    def state_dict(self) -> dict[str, Any]:
        """Return the list of written segments as plain values."""
        return {"written": self._on_disk, "segments": list(self.segments), "truncations": list(self.truncations)}

    def write(self, folder: Path, *, rank: int = 0) -> None:
        """Write the steps since the last call as new segments. Existing segments do not change.

        Raises:
            OSError: if a file cannot be written.
        """
        first = max(self._on_disk, self.oldest)
        if first > self._on_disk:  # all steps on disk are older than those in the buffer
            self.segments, self._frames_on_disk = [], int(self._first_frame[first % self.length])
        elif self.rings:  # stacks of later steps still need these frames
            stack = self.rings["numbers"].shape[2]
            self.segments = [one for one in self.segments if one["last"] + stack > self.oldest]
        if first == self.written:
            return
        folder.mkdir(parents=True, exist_ok=True)
        each = self.frames[0].nbytes * (self.frames_written - self._frames_on_disk) // (self.written - first)
        each += sum(ring[0].nbytes for ring in self.rings.values())
        steps = max(SEGMENT_BYTES // max(each, 1), 1)
        for begin in range(first, self.written, steps):
            self._write_segment(folder, rank, begin, min(begin + steps, self.written))

    def _write_segment(self, folder: Path, rank: int, begin: int, end: int) -> None:
        from safetensors.torch import save

        at = torch.arange(begin, end, device=self.device) % self.length
        content = {name: ring[at].cpu() for name, ring in self.rings.items()}
        # frames are numbered in step order: those up to the segment's largest index belong to it
        until = max(int(content["numbers"].max()) + 1, self._frames_on_disk)
        new = torch.arange(self._frames_on_disk, until, device=self.device)
        content["frames"] = self.frames[new % (len(self.frames) - 1)].cpu()
        content["first_frame"] = torch.tensor(self._frames_on_disk)
        written = save(content)
        name = f"{rank}-{begin}-{end}.safetensors"
        atomic_write(folder / name, lambda to: to.write_bytes(written))
        digest = hashlib.sha256(written).hexdigest()
        self.segments.append({"name": name, "sha256": digest, "first": begin, "last": end - 1})
        self._on_disk, self._frames_on_disk = end, until

    def drop(self, folder: Path, *, rank: int = 0) -> None:
        """Delete segments of this process that the newest checkpoint does not list."""
        named = {one["name"] for one in self.segments}
        for path in folder.glob(f"{rank}-*.safetensors*"):
            if path.name not in named:
                path.unlink(missing_ok=True)

    def load(self, state: dict[str, Any], folder: Path, *, rank: int = 0) -> None:
        """Load the steps of the segments listed by ``state_dict``.

        Raises:
            ZooError: if a segment is missing, damaged or from another run.
        """
        try:
            self._insert_segments(state["segments"], folder, rank)
            self.segments, self.truncations = list(state["segments"]), list(state["truncations"])
            if self.written != state["written"]:
                raise ZooError(f"{folder}: has {self.written} steps of a replay buffer of {state['written']}")
            self._on_disk, self._frames_on_disk = self.written, self.frames_written
            if self.written:
                self._apply_truncations()
                numbers = self.rings["numbers"][(self.written - 1) % self.length]
                self._newest = self._frames_at(numbers).cpu(), numbers.cpu()
        except ZooError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, RuntimeError) as error:
            raise ZooError(f"{folder}: is not the replay buffer of this run ({type(error).__name__})") from None

    def _insert_segments(self, segments: list[dict[str, Any]], folder: Path, rank: int) -> None:
        for segment in segments:
            content = _segment(folder, segment, rank)
            frames, first_frame = content.pop("frames"), int(content.pop("first_frame"))
            numbers = content.pop("numbers")
            if set(content) != set(FIELDS) or numbers.shape[:2] != (len(content["reward"]), self.count):
                raise ZooError(f"{folder / segment['name']}: is not a segment of this run's replay buffer")
            if segment is segments[0]:  # earlier steps are not available
                self._first_frame[:] = first_frame
            self.written, self.frames_written = segment["first"], first_frame
            self._insert(numbers, frames, content)


def joined(segments: list[dict[str, Any]], folder: Path, *, rank: int = 0) -> dict[str, Tensor]:
    """Concatenate segments: ``frames``, and the FIELDS and frame indices of each step.

    Raises:
        ZooError: if a segment is missing or damaged.
    """
    contents = [_segment(folder, segment, rank) for segment in segments]
    return {
        name: torch.cat([content[name] for content in contents]) for name in (*FIELDS, "numbers", "frames") if contents
    }


def _segment(folder: Path, segment: dict[str, Any], rank: int) -> dict[str, Tensor]:
    """Return the content of a segment after a check of its name and checksum."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    name = str(segment["name"])
    if not NAME.fullmatch(name) or not name.startswith(f"{rank}-"):
        raise ZooError(f"{folder}: {name[:80]!r} is not a segment of a replay buffer")
    try:
        raw = (folder / name).read_bytes()
        if hashlib.sha256(raw).hexdigest() == segment["sha256"]:
            return load(raw)
    except OSError:
        raise ZooError(
            f"{folder / name}: a part of the replay buffer is missing; copy the complete run folder"
        ) from None
    except SafetensorError:
        pass
    raise ZooError(f"{folder / name}: is damaged")
