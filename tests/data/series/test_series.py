"""Time series and recordings: windows by time, gaps and duplicates, naive forecasts, sounds of any rate."""

from __future__ import annotations

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import DATA

import zoo
from zoo.tasks.baselines import baselines
from zoo.data import load
from zoo.data.sequence.audio import LOG_RANGE, SAMPLE_RATE, normalize_level, log_mel, mel_filterbank, read_wav
from zoo.data.sequence.augment import SequenceAugment
from zoo.utils.random import generator_of
from zoo.exceptions import ZooError


def hourly(rows: int = 400, columns: int = 2) -> pd.DataFrame:
    step = np.arange(rows)
    values = {f"c{n}": 10 * n + np.sin(step * 2 * np.pi / 24 + n) for n in range(columns)}
    return pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="h"), **values})


def written(frame: pd.DataFrame, path: Path) -> str:
    frame.to_csv(path, index=False)
    return str(path)


OPTIONS = {"context_length": 24, "prediction_length": 6}


# --- windows ---


def test_every_window_whose_future_lies_in_a_part_counts(tmp_path):
    frame = hourly()
    data = load("series", path=written(frame, tmp_path / "s.csv"), **OPTIONS)
    assert data.sizes == (280 - 24 - 6 + 1, 40 - 6 + 1, 80 - 6 + 1)
    values = frame[["c0", "c1"]].to_numpy()
    for split, first in ((data.val, 280), (data.test, 320)):
        assert torch.allclose(split["y"][0], torch.from_numpy(values[first : first + 6]).float())
        assert torch.allclose(split["x"][0], torch.from_numpy(values[first - 24 : first]).float())
    assert torch.allclose(data.test["y"][74], torch.from_numpy(values[-6:]).float())
    assert data.spec.mean == pytest.approx(values[:280].mean(0))
    assert data.spec.seasonal_period == 24


def test_columns_and_targets_are_chosen(tmp_path):
    path = written(hourly(columns=3), tmp_path / "s.csv")
    data = load("series", path=path, columns=["c0", "c2"], targets=["c2"], **OPTIONS)
    assert data.spec.columns == ("c0", "c2")
    assert data.spec.targets == (1,)
    x, y = data.train["x"][3], data.train["y"][3]
    assert y.shape == (6, 1)
    assert torch.allclose(data.train["x"][9][-6:, 1:], y)
    assert x.shape == (24, 2)
    with pytest.raises(ZooError, match="did you mean 'c1'"):
        load("series", path=path, targets=["c11"], **OPTIONS)


def damaged(how: str) -> pd.DataFrame:
    frame = hourly().astype({"date": str})
    if how == "gap":
        return frame.drop(index=[50, 51])
    if how == "twice":
        return pd.concat([frame[:50], frame[49:]])
    if how == "backwards":
        return pd.concat([frame[:50], frame[60:], frame[50:60]])
    if how == "text":
        return frame.astype({"c1": object}).assign(c1=lambda f: f.c1.where(f.index != 7, "broken"))
    if how == "empty":
        return frame.assign(c1=frame.c1.where(frame.index != 7))
    if how == "no time":
        return frame.drop(columns="date")
    assert how == "bad time"
    return frame.assign(date=frame.date.where(frame.index != 7, "yesterday"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gap", "line 51, column 'date': after 2024-01-03 01:00:00 the steps are not even .2 are missing."),
        ("twice", "line 52, column 'date': 2024-01-03 01:00:00 is there twice"),
        ("backwards", "comes before the line above; sort the rows"),
        ("text", "line 9, column 'c1': 'broken' is text in a column of numbers"),
        ("empty", "line 9, column 'c1': is empty .1 values are missing."),
        ("no time", "no column holds times .columns: c0, c1.; name it by data.time_column="),
        ("bad time", "line 9, column 'date': 'yesterday' is no time"),
    ],
)
def test_a_series_that_cannot_be_read_is_one_line(tmp_path, how, said):
    with pytest.raises(ZooError, match=said) as caught:
        load("series", path=written(damaged(how), tmp_path / "s.csv"), **OPTIONS)
    assert "\n" not in str(caught.value)


def test_gaps_are_filled_where_asked(tmp_path):
    path = written(damaged("gap"), tmp_path / "s.csv")
    filled = load("series", path=path, fill_method="linear", **OPTIONS).train["x"].base[:60]
    whole = torch.from_numpy(hourly()[["c0", "c1"]].to_numpy()[:60]).float()
    line = whole[49] + (whole[52] - whole[49]) * torch.tensor([[1 / 3], [2 / 3]])
    assert torch.allclose(filled[50:52], line, atol=1e-5)
    assert torch.allclose(filled[52:], whole[52:])
    last = load("series", path=path, fill_method="last", **OPTIONS).train["x"].base[50:52]
    assert torch.allclose(last, whole[49].expand(2, 2))


def test_a_horizon_longer_than_a_part_is_refused(tmp_path):
    path = written(hourly(), tmp_path / "s.csv")
    with pytest.raises(ZooError, match="data.prediction_length=50 is longer than its 40 rows of validation"):
        load("series", path=path, context_length=24, prediction_length=50)
    with pytest.raises(ZooError, match="280 rows to train on hold no window of data.context_length=300"):
        load("series", path=path, context_length=300, prediction_length=6)


@pytest.mark.parametrize(("freq", "season"), [("h", 24), ("D", 7), ("MS", 12), ("QS", 4), ("7D", 52), ("5min", 1)])
def test_seasons_are_found_out(tmp_path, freq, season):
    frame = hourly()
    frame["date"] = pd.date_range("1990-01-01", periods=len(frame), freq=freq)
    assert load("series", path=written(frame, tmp_path / "s.csv"), **OPTIONS).spec.seasonal_period == season


def test_files_at_hand_are_read():
    if not (DATA / "tabular").is_dir():
        pytest.skip("the tables are not at hand (ZOO_DATA)")
    for file, rows in (("airline-passengers.csv", 144), ("monthly-sunspots.csv", 2820)):
        data = load("series", path=str(DATA / "tabular" / file), context_length=12, prediction_length=3)
        assert data.spec.seasonal_period == 12
        assert data.spec.rows == rows - round(rows * 0.2) - round(rows * 0.1)


def test_the_bundled_series_needs_no_file():
    data = load("series")
    assert data.spec.columns == ("co2",)
    assert not torch.isnan(data.train["x"].base).any()


# --- figures ---


def test_naive_forecasts_are_what_they_say(tmp_path):
    data = load("series", path=written(hourly(), tmp_path / "s.csv"), **OPTIONS)
    values = hourly()[["c0", "c1"]].to_numpy()
    scale, test = values[:280].std(0), range(320, 320 + 75)
    last = [((values[t - 1] - values[t : t + 6]) / scale) ** 2 for t in test]
    before = [((values[t - 24 : t - 18] - values[t : t + 6]) / scale) ** 2 for t in test]
    found = baselines(data)
    assert found["repeat last"]["mse"] == pytest.approx(np.mean(last), rel=1e-3)
    assert found["seasonal naive"]["mse"] == pytest.approx(np.mean(before), abs=1e-6)
    assert found["repeat last"]["mse_original"] == pytest.approx(np.mean(last * scale**2), rel=1e-3)


def test_a_forecast_is_in_original_units(tmp_path):
    frame = hourly()
    path = written(frame, tmp_path / "s.csv")
    options = {"data.path": path, "data.context_length": 24, "data.prediction_length": 6, "model_kwargs": {"patch_len": 6}}
    run = zoo.train("gru", "series", **options, trainer={"max_epochs": 8})
    assert run.metrics["test/mse"] < 0.1 < run.results["baselines"]["repeat last"]["mse"]
    value = run.model.predict(frame[:30])["value"]
    assert value.shape == (1, 6, 2)
    assert torch.allclose(value[0], torch.from_numpy(frame[["c0", "c1"]].to_numpy()[30:36]).float(), atol=0.5)
    assert {path.stem for path in run.plots} == {"curves", "gradient", "forecasts", "errors"}
    with pytest.raises(ZooError, match="must be .24, 2., the last 24 steps of c0, c1"):
        run.model.predict(frame[:10])


# --- recordings ---


def wav(samples: np.ndarray, rate: int = SAMPLE_RATE, channels: int = 1, width: int = 2) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        whole = np.repeat(samples[:, None], channels, 1).ravel()
        if width == 1:
            file.writeframes((whole * 127 + 128).astype(np.uint8).tobytes())
        elif width == 3:
            numbers = (whole * (2**23 - 1)).astype("<i4")
            file.writeframes(numbers.view(np.uint8).reshape(-1, 4)[:, :3].tobytes())
        else:
            file.writeframes((whole * (2 ** (8 * width - 1) - 1)).astype(f"<i{width}").tobytes())
    return out.getvalue()


def tone(rate: int = SAMPLE_RATE, seconds: float = 0.5, hertz: float = 440) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize(("rate", "channels", "width"), [(8000, 2, 2), (16000, 1, 2), (44100, 2, 3), (8000, 1, 1)])
def test_a_sound_of_another_form_is_the_same_sound(rate, channels, width):
    got = read_wav(wav(tone(rate), rate, channels, width), "tone.wav")
    assert len(got) == len(tone())
    assert np.abs(got - tone())[100:-100].max() < 0.02


def test_a_sound_that_cannot_be_read_is_one_line():
    whole = wav(tone())
    for raw, said in (
        (whole[:1000], "tone.wav: is cut short, it holds 478 of 4000 samples"),
        (b"RIFFnothing", "tone.wav: is no wav"),
        (wav(tone()[:0]), "tone.wav: is cut short, it holds 0 of 0 samples"),
    ):
        with pytest.raises(ZooError, match=said):
            read_wav(raw, "tone.wav")


def test_a_tone_lies_in_its_band():
    frames = log_mel(tone(hertz=1000).astype(np.float32))
    assert frames.shape == (1 + 4000 // 80, 40)
    bands = mel_filterbank()
    loudest = int(frames.mean(0).argmax())
    peak = float(bands[loudest].argmax()) * SAMPLE_RATE / 256
    assert abs(peak - 1000) < 80
    assert (bands.max(1).values > 0).all()


def archive(folder: Path, broken: bool = False) -> str:
    (folder / "fsdd").mkdir()
    with tarfile.open(folder / "fsdd" / "fsdd_recordings.tar.gz", "w:gz") as out:
        for speaker in ("ann", "bob"):
            for digit in range(10):
                for number in range(12):
                    raw = wav(tone(seconds=0.2 + 0.02 * number, hertz=200 + 150 * digit))
                    raw = raw[:500] if broken and number == 7 and digit == 3 else raw
                    info = tarfile.TarInfo(f"recordings/{digit}_{speaker}_{number}.wav")
                    info.size = len(raw)
                    out.addfile(info, io.BytesIO(raw))
    return str(folder)


def test_spoken_digits_are_split_as_published_or_by_speaker(tmp_path):
    root, cache = archive(tmp_path), str(tmp_path / "cache")
    data = load("spoken_digits", root=root, cache_dir=cache)
    assert data.sizes == (126, 14, 100)
    assert data.spec.input_shape == (128, 40)
    assert int(data.train["lengths"].min()) == 1 + int(8000 * 0.3) // 80
    held = load("spoken_digits", root=root, cache_dir=cache, split="speaker", fold=1)
    assert held.sizes == (108, 12, 120)
    chosen = load("spoken_digits", root=root, cache_dir=cache, fold=1, validation="speaker")
    assert chosen.sizes == (70, 70, 100)
    with pytest.raises(ZooError, match="validation=speaker: leaves none of 2"):
        load("spoken_digits", root=root, cache_dir=cache, split="speaker", validation="speaker")
    (tmp_path / "fsdd" / "fsdd_recordings.tar.gz").touch()
    assert len(list((tmp_path / "cache" / "audio").iterdir())) == 1
    with pytest.raises(ZooError, match="data.fold .of 2 speakers.=2"):
        load("spoken_digits", root=root, cache_dir=cache, split="speaker", fold=2)


def test_a_recordings_own_level_and_sound_of_the_microphone_are_taken_off():
    x = 6 * torch.rand(4, 30, 40, generator=generator_of(0))
    lengths = torch.tensor([30, 30, 12, 1])
    inside = (torch.arange(30) < lengths[:, None])[..., None]
    found = normalize_level(x * inside - 50 * ~inside, lengths)
    assert torch.equal(found[2, 12:], torch.zeros(18, 40))
    slope = torch.cos(torch.pi * (torch.arange(40) + 0.5) / 40)
    assert (found.sum(1) @ slope).abs().max() < 1e-3
    assert found.sum((1, 2)).abs().max() < 1e-3
    louder = normalize_level(x + 5 + 0.5 * slope, lengths)  # within RANGE of the loudest
    torch.testing.assert_close(found, louder, atol=1e-5, rtol=0)
    x[:, :, 20] += 1  # what is narrow, as a vowel's resonance, stays
    assert (normalize_level(x, lengths) - found)[0, :, 20].mean() > 0.8
    x[0, 3, 5] = -90.0
    assert normalize_level(x, lengths)[0].min() >= -LOG_RANGE - 0.5


def test_a_broken_recording_is_named(tmp_path):
    with pytest.raises(ZooError, match="3_ann_7.wav: is cut short"):
        load("spoken_digits", root=archive(tmp_path, broken=True), cache_dir=str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ZooError, match="fsdd_recordings.tar.gz is not there; download"):
        load("spoken_digits", root=str(tmp_path / "elsewhere"))


def test_speed_moves_each_sequences_steps_and_length():
    x = torch.arange(40.0).view(1, 40, 1).expand(64, 40, 2) * torch.tensor([1.0, -2.0])
    batch = {"x": x, "lengths": torch.full((64,), 21)}
    after = SequenceAugment(speed_perturbation=0.5)(batch, generator_of(0))
    lengths = after["lengths"]
    assert 10 <= lengths.min() < 13
    assert 29 < lengths.max() <= 32
    for row, length in zip(after["x"], lengths.tolist(), strict=True):
        wanted = (torch.arange(length) * 21 / length).clamp(max=20)  # a line is a line at any speed
        torch.testing.assert_close(row[:length], wanted[:, None] * torch.tensor([1.0, -2.0]))


def test_masks_and_shifts_are_drawn_per_sequence():
    x = torch.arange(1.0, 41).view(1, 40, 1).expand(64, 40, 8) + torch.arange(8) * 100
    batch = {"x": x, "y": torch.zeros(64), "lengths": torch.full((64,), 40)}
    blank = SequenceAugment(time_mask_param=6, freq_mask_param=3)(batch, generator_of(0))["x"] != x
    by_time, by_channel = blank.all(2).sum(1), blank.all(1).sum(1)
    assert 0 < by_time.max() <= 6
    assert 0 < by_channel.max() <= 3
    assert len(by_time.unique()) > 3
    moved = SequenceAugment(time_shift=3)(batch, generator_of(0))["x"][:, 20, 0] - 21
    assert set(moved.tolist()) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    assert not SequenceAugment()
