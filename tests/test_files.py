"""Untrusted data files: damaged ones are rejected in one line, none runs code or exhausts memory."""

import io
import pickle
import struct
import tarfile
import wave
import zipfile
import zlib

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from benchmarks.damaged_files import KINDS, Trial, damaged
from benchmarks.file_formats import READERS
from zoo.config.run_config import read_run_config


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """A process that reads each format, begun when it is first asked for."""
    known = {}

    def trial(name):
        if name not in known:
            known[name] = Trial(name, tmp_path_factory.mktemp("files"))
        return known[name]

    yield trial
    for one in known.values():
        one.close()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(READERS)),
    st.sampled_from(KINDS),
    st.integers(0, 3),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**32 - 1),
)
def test_readers_reject_damaged_files_in_one_line(trials, name, kind, region, place, value):
    trial = trials(name)
    regions = list(trial.reader.regions(trial.raw))
    if kind == "size that lies" and not trial.reader.lies(trial.raw):
        kind = "bit flip"
    raw, damage = damaged(trial.reader, trial.raw, kind, regions[region % len(regions)], place, value)
    how, wrong = trial.outcome(raw)
    assert wrong is None, f"{name}: {damage}: {how}: {wrong}"


def png_of_a_size(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def wav_of_a_rate(rate):
    file = io.BytesIO()
    with wave.open(file, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(rate)
        opened.writeframes(bytes(1000))
    return file.getvalue()


def archive_of_a_size(count):
    """An archive of some megabytes that is ``count`` images once it is unpacked."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in (("images", (count, 32, 32)), ("labels", (count,))):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "|u1", "fortran_order": False, "shape": (*shape,)}
                )
                size = int(np.prod(shape))
                for first in range(0, size, 1 << 24):
                    member.write(bytes(min(1 << 24, size - first)))
    return file.getvalue()


def yaml_of_aliases():
    """Nine lines that are nine to the ninth items."""
    lines = [f"{n}: &{n} [{','.join([f'*{above}'] * 9)}]\n" for above, n in zip("abcdefgh", "bcdefghi", strict=True)]
    return ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(lines)).encode()


@pytest.mark.parametrize(
    ("reader", "content"),
    [
        ("png", lambda: png_of_a_size(60_000)),
        ("wav", lambda: wav_of_a_rate(1)),
        ("npz", lambda: archive_of_a_size(1_500_000)),
        ("yaml", yaml_of_aliases),
        ("yaml", lambda: b"model: !!python/object/apply:os._exit [7]\n"),
        ("csv", lambda: b'a,price\n"' + b"x" * 1_000_000),
        ("csv", lambda: b"\xff\xfe" + "a,b\n1".encode("utf-16-le")[:-1]),
    ],
    ids=["a png of 10 GB", "a wav of a second a sample", "an npz of 1.5 GB", "yaml of aliases", "yaml that runs code",
         "csv of one cell", "csv of half a symbol"],
)  # fmt: skip
def test_readers_reject_files_that_exhaust_memory_or_run_code(trials, reader, content):
    how, message = trials(reader).read(content())
    assert how == "refused", message
    assert "\n" not in message


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return open, (str(self.place), "w")


def test_load_runs_no_pickle_and_no_target(tmp_path):
    sprung = tmp_path / "sprung"
    torch.save({"zoo": Trap(sprung), "state_dict": {}}, tmp_path / "in.ckpt")
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("in.ckpt", "bare.ckpt"):
        with pytest.raises(zoo.ZooError, match="not a checkpoint of the zoo"):
            zoo.load(tmp_path / name)
    objects = np.empty(4, dtype=object)
    objects[:] = Trap(sprung)
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 8, 8), np.uint8), labels=objects)
    with pytest.raises(zoo.ZooError, match="plain arrays"):
        zoo.train("cnn", "npz", **{"data.path": str(tmp_path / "a.npz")})
    run = zoo.train("fnn", "wine", trainer={"max_epochs": 1}, report=False, run_dir=str(tmp_path / "run"), logger="csv")
    path = run.folder / "config.yaml"
    for group in ("model", "data", "trainer", "optimizer"):
        target = f"  _target_: pathlib.Path.touch\n  self: {sprung}\n"
        path.write_text(path.read_text().replace(f"\n{group}:\n", f"\n{group}:\n{target}"))
    with pytest.raises(zoo.ZooError, match="_target_"):
        zoo.resume(run.folder, trainer={"max_epochs": 2})
    assert not sprung.exists()


def test_archive_writes_nothing_outside_the_cache(tmp_path):
    image = io.BytesIO()
    Image.new("RGB", (8, 8)).save(image, "bmp")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in [f"{c}/{n}.bmp" for c in ("cat", "dog") for n in range(12)] + ["../cat/out.bmp", "/cat/root.bmp"]:
            member = tarfile.TarInfo(name)
            member.size = len(image.getvalue())
            archive.addfile(member, io.BytesIO(image.getvalue()))
    inside = tmp_path / "deep" / "cache"
    from zoo.data import load

    dataset = load("image_folder", path=str(tmp_path / "a.tar"), cache_dir=str(inside), classes=["cat", "dog"])
    assert sum(dataset.sizes) in (24, 25)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and inside not in path.parents]
    assert [path.name for path in outside] == ["a.tar"]


def test_load_rejects_options_that_exhaust_memory(tmp_path):
    run = zoo.train("fnn", "wine", trainer={"max_epochs": 1}, report=False, run_dir=str(tmp_path / "run"), logger="csv")
    content = torch.load(run.folder / "checkpoints" / "best.ckpt", weights_only=True)
    content["hyper_parameters"]["hidden_sizes"] = [10**7, 10**7]
    torch.save(content, tmp_path / "greedy.ckpt")
    with pytest.raises(zoo.ZooError, match="weights do not match the options"):
        zoo.load(tmp_path / "greedy.ckpt")


def test_read_run_config_names_the_cause(tmp_path):
    for text, message in (("seed: 0\n", "KeyError"), ("a: 1\nb: &x 2\nc: *x\n", "aliases"), ("\0", "ReaderError")):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(zoo.ZooError, match=f"not the configuration of a run .*{message}"):
            read_run_config(tmp_path)
