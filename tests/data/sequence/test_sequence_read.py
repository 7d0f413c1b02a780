"""Recordings and other sequences: read alike in training and prediction, or rejected."""

import io
import tarfile
import wave

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.data import load
from zoo.data.inputs import encode, pieces
from zoo.data.sequence.spec import SequenceReading, SequenceSpec

RATES = (4000, 8000, 11025, 16000, 44100)


def wav_of(width: int, channels: int, rate: int, seconds: float, seed: int) -> bytes:
    """Return a recording of noise under an envelope, of ``width`` bytes a sample."""
    random = np.random.default_rng(seed)
    count = max(1, round(seconds * rate))
    values = random.normal(size=(count, channels)) * np.linspace(0.01, 0.3, count)[:, None]
    integers = (values.clip(-1, 1) * (2 ** (8 * width - 1) - 1)).astype("<i8")
    if width == 1:  # of these alone, zero is in the middle
        integers += 128
    samples = integers.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return content.getvalue()


recordings = st.tuples(
    st.integers(1, 4), st.integers(1, 3), st.sampled_from(RATES), st.floats(0.001, 1.6), st.integers(0, 9999)
)


@settings(max_examples=7, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(recordings, min_size=30, max_size=30), st.sampled_from(["none", "recording"]))
def test_encode_recordings_equals_training_frames(tmp_path_factory, drawn, normalize):
    root = tmp_path_factory.mktemp("speech")
    (root / "fsdd").mkdir()
    (root / "wavs").mkdir()
    for number, recording in enumerate(drawn):
        name = f"{number % 2}_me_{number // 2}.{'WAV' if number % 3 else 'wav'}"
        (root / "wavs" / name).write_bytes(wav_of(*recording))
    with tarfile.open(root / "fsdd" / "fsdd_recordings.tar.gz", "w:gz") as archive:
        archive.add(root / "wavs", "recordings")
    data = load("spoken_digits", root=str(root), cache_dir=str(root / "cache"), normalize=normalize)
    training = sorted(
        row[:length].numpy().tobytes()
        for part in (data.train, data.val, data.test)
        for row, length in zip(part["x"], part["lengths"].tolist(), strict=True)
    )
    assert max(part["lengths"].max() for part in (data.train, data.val, data.test)) <= data.spec.input_shape[0]
    paths = sorted((root / "wavs").iterdir())
    read = list(pieces(data.spec, [str(root / "wavs")]))
    batches = {
        "pieces": [encode(data.spec, piece.raw) for piece in read],
        "a path": [encode(data.spec, path) for path in paths],
        "paths": [encode(data.spec, [str(path) for path in paths])],
    }
    for way, several in batches.items():
        rows = [
            row[:length].numpy().tobytes()
            for batch in several
            for row, length in zip(batch["x"], batch["lengths"].tolist(), strict=True)
        ]
        assert sorted(rows) == training, way


def test_recordings_note_other_files_of_a_folder(tmp_path, capsys):
    reading = SequenceReading("log_mel", "none")
    spec = SequenceSpec("x", "classification", (128, 40), classes=("a", "b"), reading=reading)
    (tmp_path / "a.wav").write_bytes(wav_of(2, 1, 8000, 0.2, 0))
    (tmp_path / "b.mp3").write_bytes(b"mp3")
    (tmp_path / "._a.wav").write_bytes(b"litter")
    assert [len(piece.names) for piece in pieces(spec, [str(tmp_path)])] == [1]
    assert f"note: {tmp_path}: left out 1 file that is not a .wav file: b.mp3" in capsys.readouterr().err


@pytest.fixture(scope="module")
def reader():
    """A model of sequences of at most 6 steps of 2 numbers, not trained."""
    return zoo.create("gru", spec=SequenceSpec("x", "classification", (6, 2), classes=("a", "b"))).eval()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((7, 2)), "a sequence of 7 steps; must be at most 6, as in training"),
        ([np.zeros((3, 2)), np.zeros((60_000, 2))], "a sequence of 60,000 steps; must be at most 6"),
        (np.zeros((3, 3)), r"shape \(3, 3\); must be \(T, 2\)"),
        (np.zeros((0, 2)), r"shape \(0, 2\); must be \(T, 2\)"),
        (np.zeros(2), r"shape \(2,\); must be \(T, 2\)"),
        (np.array([[0, 1], [np.nan, 0]]), "NaN, infinity or a number beyond float32 in step 2"),
        (torch.tensor([[0, torch.inf]]), "NaN, infinity or a number beyond float32 in step 1"),
        (np.array([[1e300, 0]]), "a number beyond float32 in step 1"),
        ([[1.0, 2.0], [1.0]], "the steps of a sequence have different lengths"),
        (np.array([["a", "b"]]), "must be numbers"),
        ([], "no sequences"),
        (None, "must be numbers"),
        ("none.npy", "none.npy: is not a readable array"),
    ],
)
def test_predict_rejects_unfit_sequences_in_one_line(reader, raw, message):
    with pytest.raises(zoo.ZooError, match=message) as error:
        reader.predict(raw)
    assert "\n" not in str(error.value)


def test_predict_accepts_every_form_of_a_sequence(reader, tmp_path):
    values = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    ways = [values, values.tolist(), [values], [values.tolist()], values[None], torch.from_numpy(values)]
    ways += [tmp_path / "a.npy", [str(tmp_path / "a.npy")], values.astype(np.float64)]
    want = reader.predict(values)["probability"]
    for way in ways:
        assert torch.equal(reader.predict(way)["probability"], want), type(way)
    assert len(reader.predict(values.round().astype(int))["label"]) == 1
