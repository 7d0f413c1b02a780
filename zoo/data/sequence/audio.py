"""Audio: wav files as log-mel spectrograms, with the parameters of torchaudio's MelSpectrogram."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.exceptions import ZooError

SAMPLE_RATE = 8000  # that everything is resampled to, in Hz
MIN_RATE, MAX_RATE = 1000, 768_000  # of a file
N_FFT, HOP_LENGTH = 256, 80  # samples: 32 ms, every 10 ms
N_MELS, F_MIN, F_MAX = 40, 50.0, 3900.0  # mel bands and their range in Hz
POWER_FLOOR = 1e-6  # added before the logarithm
LOG_RANGE = 8.0  # natural logarithms of power (35 dB) below a recording's maximum
N_COSINES = 3  # over the bands, of a recording's mean, that are subtracted


def load_frames(raw: bytes | Path, *, normalize: str, max_frames: int, where: str | None = None) -> np.ndarray:
    """Return the first ``max_frames`` log-mel frames (T, 40) of a wav file.

    Training and prediction both call this, so that their frames are equal to the last bit.

    Raises:
        ZooError: no wav that can be read.
    """
    frames = log_mel(read_wav(raw, where))[:max_frames]
    if normalize == "recording":
        frames = normalize_level(torch.from_numpy(frames)[None], torch.tensor([len(frames)]))[0].numpy()
    return frames


def read_wav(raw: bytes | Path, where: str | None = None) -> np.ndarray:
    """Return a wav's samples (N,) in [-1, 1], the mean of its channels, resampled to SAMPLE_RATE.

    Raises:
        ZooError: no wav of whole numbers, empty, or cut short.
    """
    name = where or str(raw)
    try:
        content = raw.read_bytes() if isinstance(raw, Path) else raw
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, frames = file.getparams()[:4]
            samples = file.readframes(frames)
    except OSError as error:
        raise ZooError(f"{name}: cannot be read ({error.strerror})") from None
    except Exception as error:  # whatever a damaged file makes the reader say
        raise ZooError(f"{name}: is no wav that can be read ({error or 'cut short'}); save it as PCM") from None
    if width > 4 or not MIN_RATE <= rate <= MAX_RATE:
        raise ZooError(f"{name}: has {rate:,} samples a second of {8 * width} bits; record it anew, or save it as PCM")
    if not frames or len(samples) < frames * channels * width:
        held = len(samples) // (channels * width)
        raise ZooError(f"{name}: is cut short, it holds {held} of {frames} samples; record or fetch it again")
    if width == 1:  # of these alone, zero is in the middle
        values = (np.frombuffer(samples, np.uint8).astype(np.float32) - 128) / 128
    elif width == 3:
        parts = np.frombuffer(samples, np.uint8).reshape(-1, 3).astype(np.int32)
        values = ((parts[:, 0] << 8 | parts[:, 1] << 16 | parts[:, 2] << 24) / 2.0**31).astype(np.float32)
    else:
        values = np.frombuffer(samples, f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    values = np.asarray(values.reshape(-1, channels).mean(1))
    if rate != SAMPLE_RATE:
        from scipy.signal import resample_poly

        values = resample_poly(values, SAMPLE_RATE, rate).astype(np.float32)
    return values


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return log power (T, 40) of samples (N,) in mel bands, one frame every 10 ms."""
    x = torch.from_numpy(samples)
    if len(x) < N_FFT:
        x = torch.nn.functional.pad(x, (0, N_FFT - len(x)))
    spectrum = torch.stft(x, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), return_complex=True).abs().square()
    frames: np.ndarray = (mel_filterbank() @ spectrum + POWER_FLOOR).log().T.contiguous().numpy()
    return frames


def normalize_level(x: Tensor, lengths: Tensor) -> Tensor:
    """Remove the effect of loudness, microphone and room from log power (N, T, bands); padding becomes 0.

    Power is clipped at LOG_RANGE below a recording's maximum. Then the first N_COSINES cosines over bands of its mean
    are subtracted: level, slope and bend. The whole mean (cepstral mean normalization, Atal 1974) would also remove the
    vowel of a short word.
    """
    inside = (torch.arange(x.shape[1]) < lengths[:, None]).unsqueeze(2)
    x = x.maximum(x.masked_fill(~inside, -torch.inf).amax((1, 2), keepdim=True) - LOG_RANGE) * inside
    band, bands = torch.arange(x.shape[2]), x.shape[2]
    cosines = torch.cos(torch.pi / bands * (band[:, None] + 0.5) * torch.arange(N_COSINES))  # (bands, SMOOTH)
    cosines = cosines / cosines.norm(dim=0)
    mean = x.sum(1, keepdim=True) / lengths.view(-1, 1, 1)
    normalized: Tensor = (x - mean @ cosines @ cosines.T) * inside
    return normalized


def mel_filterbank() -> Tensor:
    """Return triangular filters (40, 129), evenly spaced on the mel scale 2595 · log₁₀(1 + f/700) (O'Shaughnessy 1987)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (F_MIN, F_MAX))
    edge = 700 * (10 ** (np.linspace(low, high, N_MELS + 2) / 2595) - 1)
    frequency = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    up = (frequency - edge[:-2, None]) / (edge[1:-1] - edge[:-2])[:, None]
    down = (edge[2:, None] - frequency) / (edge[2:] - edge[1:-1])[:, None]
    return torch.from_numpy(np.minimum(up, down).clip(min=0).astype(np.float32))
