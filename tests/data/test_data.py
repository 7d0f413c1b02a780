"""Data: readers and checksums, folds, loaders, augmentation, arrays and encoding."""

from __future__ import annotations

import gzip
import math
import shutil
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

import zoo
from zoo.config.groups import conf_dir
from zoo.config.signatures import data_options
from zoo.data import load
from zoo.data.arrays import from_arrays
from zoo.data.dataset import channel_statistics
from zoo.data.download import card
from zoo.data.image.augment import ImageAugment
from zoo.data.image.datasets import read_idx
from zoo.data.image.spec import DIGITS
from zoo.data.inputs import encode
from zoo.data.loader import MACRO_BATCH, Loader
from zoo.registry import data_entry, list_data
from zoo.utils.random import generator_of


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}i", *array.shape)
    return gzip.compress(header + array.tobytes())


def test_read_idx_returns_the_written_array(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    path = tmp_path / "a.gz"
    path.write_bytes(idx(array))
    assert np.array_equal(read_idx(path.read_bytes()).numpy(), array)


@pytest.mark.parametrize("harm", [lambda b: b[:-10], lambda b: b[:30] + b"x" + b[31:], lambda b: b""])
def test_mnist_names_a_truncated_or_altered_file(harm, mnist_root, tmp_path):
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for file in card("mnist")["md5"]:
        shutil.copy(f"{mnist_root}/MNIST/raw/{file}", folder / file)
    bad = folder / "t10k-images-idx3-ubyte.gz"
    bad.chmod(0o644)
    bad.write_bytes(harm(bad.read_bytes()))
    with pytest.raises(zoo.ZooError, match=r"t10k-images-idx3-ubyte\.gz: truncated or altered"):
        load("mnist", root=str(tmp_path))


def test_mnist_checksums_equal_torchvision():
    from torchvision import datasets

    for name, torchvision_set in (("mnist", datasets.MNIST), ("fashion_mnist", datasets.FashionMNIST)):
        assert dict(torchvision_set.resources) == dict(card(name)["md5"])
        assert [mirror.format(file="") for mirror in card(name)["mirrors"]] == torchvision_set.mirrors


def test_mnist_equals_the_official_data(mnist_root):
    mnist = load("mnist", root=mnist_root)
    assert mnist.sizes == (55000, 5000, 10000)
    assert mnist.test["y"][:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # Mean and deviation that are quoted everywhere for the 60,000
    assert mnist.spec.mean[0] == pytest.approx(0.1307, abs=1e-3)
    assert mnist.spec.std[0] == pytest.approx(0.3081, abs=1e-3)
    first = torch.cat([mnist.train["x"], mnist.val["x"]])
    again = load("mnist", root=mnist_root, split_seed=1)
    second = torch.cat([again.train["x"], again.val["x"]])
    assert not torch.equal(mnist.val["x"], again.val["x"])
    assert torch.equal(first.double().sum((0, 1)), second.double().sum((0, 1)))


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "diabetes"])
def test_folds_are_disjoint_and_cover_all_rows(name):
    datasets = [load(name, fold=fold) for fold in range(5)]
    tests = torch.cat([d.test["x"] for d in datasets])
    for d in datasets:
        train, val, test = ({tuple(row.flatten().tolist()) for row in s["x"]} for s in (d.train, d.val, d.test))
        assert not test & val
        assert not test & train
        assert not train & val
    assert len(tests) == sum(datasets[0].sizes)
    assert torch.equal(datasets[0].test["x"], load(name, fold=0).test["x"])
    assert not torch.equal(datasets[0].test["x"], load(name, fold=0, split_seed=1).test["x"])
    if datasets[0].spec.classes:
        share = [torch.bincount(d.test["y"]) / len(d.test["y"]) for d in datasets]
        assert all(torch.allclose(s, share[0], atol=0.05) for s in share)


@pytest.mark.parametrize("name", list_data())
def test_built_in_data_has_source_and_matches_yaml(name):
    entry, node = data_entry(name), OmegaConf.load(conf_dir() / "data" / f"{name}.yaml")
    assert list(entry.tasks) == list(node.tasks)
    assert (node.modality, node.get("action_space")) == (entry.modality, entry.action_space)

    if "path" in data_options(name):  # the user's own files
        return
    about = card("gymnasium" if "control" in entry.tasks else name)
    assert about["source"].startswith("http")
    assert len(about["citation"]) > 20
    assert about["license"]


def test_channel_statistics_of_bytes_equal_floats():
    x = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8)
    for images in (x, x.float() / 255):
        mean, std = channel_statistics(images)
        assert torch.tensor(mean).allclose((x.double() / 255).mean((0, 2, 3)).float(), atol=1e-6)
        assert torch.tensor(std).allclose((x.double() / 255).std((0, 2, 3), correction=0).float(), atol=1e-6)


def numbered(rows: int) -> dict[str, torch.Tensor]:
    return {"x": torch.arange(rows).float().view(rows, 1), "y": torch.arange(rows)}


def loaded_rows(loader: Loader) -> list[int]:
    return [int(i) for macro_batch in loader for batch in macro_batch for i in batch["y"]]


@pytest.mark.parametrize("rows", [1, 5, 64, 1000])
def test_loader_epoch_has_each_row_once_by_seed(rows):
    loader = Loader(numbered(rows), batch_size=3, seed=7)
    first, second = loaded_rows(loader), loaded_rows(loader)
    expected_rows = rows - (rows % 3 == 1 and rows > 1)  # a last batch of one is left out
    assert len(first) == len(set(first)) == expected_rows
    again = Loader(numbered(rows), batch_size=3, seed=7)
    assert loaded_rows(again) == first
    if rows > 3:
        assert first != second
        assert loaded_rows(Loader(numbered(rows), batch_size=3, seed=8)) != first
    chunks = [len(list(macro_batch)) for macro_batch in again]
    assert sum(chunks) == loader.batches
    assert max(chunks) <= MACRO_BATCH
    assert len(chunks) == len(loader)


def test_loader_steps_repeat_or_cut_the_order():
    assert len(loaded_rows(Loader(numbered(10), batch_size=4, seed=0, steps=2))) == 8
    long = loaded_rows(Loader(numbered(10), batch_size=4, seed=0, steps=5))
    assert sorted(long) == sorted(2 * list(range(10)))


def augmented(augment: ImageAugment, x: torch.Tensor, key: int) -> torch.Tensor:
    return augment({"x": x}, generator_of(key))["x"]


def test_rotation_by_zero_and_by_quarter_turns():
    x = torch.rand(4, 1, 8, 8)
    assert not ImageAugment()
    nothing = augmented(ImageAugment(degrees=1e-9), x, 0)
    assert torch.allclose(nothing, x, atol=1e-5)
    turned = [augmented(ImageAugment(degrees=90), x[:1], seed) for seed in range(300)]
    quarter = [torch.rot90(x[:1], k, (2, 3)) for k in (1, 3)]
    # Draws reach close to both ends of their range
    for target in quarter:
        assert min(float((t - target).abs().mean()) for t in turned) < 0.05


def test_translate_is_in_pixels_per_sample():
    x = torch.zeros(200, 1, 9, 9)
    x[:, :, 4, 4] = 1
    out = augmented(ImageAugment(translate=2), x, 3)
    places = torch.stack([(out[:, 0].sum(1) * torch.arange(9)).sum(1), (out[:, 0].sum(2) * torch.arange(9)).sum(1)])
    assert (places - 4).abs().max() <= 2 + 1e-4
    assert (places - 4).abs().max() > 1.8
    assert len(places[0].round(decimals=3).unique()) > 150
    assert torch.equal(out, augmented(ImageAugment(translate=2), x, 3))
    assert not torch.equal(out, augmented(ImageAugment(translate=2), x, 4))


def test_scale_and_shear_respect_their_limits():
    line = torch.zeros(300, 1, 21, 21)
    line[:, :, 6:15, 10] = 1  # upright, 9 pixels
    lengths = augmented(ImageAugment(scale=0.2), line, 0)[:, 0].sum((1, 2))
    assert 9 / 1.2**2 * 0.9 < lengths.min() < lengths.max() < 9 / 0.8**2 * 1.1
    rows = torch.arange(21.0)
    sheared = augmented(ImageAugment(shear=0.5), line, 0)[:, 0]
    top, bottom = ((sheared[:, r] * rows).sum(1) / sheared[:, r].sum(1) for r in (7, 13))
    slope = (bottom - top) / 6
    assert slope.abs().max() <= 0.5 + 0.02
    assert slope.abs().max() > 0.4


def test_spec_statistics_are_of_training_rows():
    data = load("diabetes")
    train = data.train["x"].double().numpy()
    assert np.allclose(data.spec.mean, train.mean(0), rtol=1e-5)
    assert np.allclose(data.spec.std, train.std(0), rtol=1e-5)
    assert math.isclose(data.spec.target_mean, float(data.train["y"].mean()), rel_tol=1e-5)


def test_normalize_standardizes_any_offset_and_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) * [1e-3, 1, 1e5] + [2000, 0, 1e7]
    data = from_arrays((x, np.arange(200) % 2))
    normalized = zoo.create("fnn", spec=data.spec).normalize(data.train["x"])
    assert torch.allclose(normalized.mean(0), torch.zeros(3), atol=0.05)
    assert torch.allclose(normalized.std(0), torch.ones(3), atol=0.05)


def test_from_arrays_infers_task_and_shape():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    assert from_arrays((x, np.arange(60) % 3)).spec.classes == ("0", "1", "2")
    assert from_arrays((x, rng.normal(size=60))).spec.task == "regression"
    assert from_arrays((x, np.array(["no", "yes"] * 30))).spec.classes == ("no", "yes")
    assert from_arrays((x, np.arange(60) % 3), task="regression").spec.task == "regression"
    assert from_arrays((rng.random((60, 8, 9)), rng.normal(size=60))).spec.task == "regression"
    frame = pd.DataFrame({"a": x[:, 0], "price": x[:, 1], "b": x[:, 2]})
    spec = from_arrays(frame, target="price").spec
    assert (spec.task, spec.columns) == ("regression", ("a", "b"))
    for images in (rng.random((60, 8, 9, 3)), rng.random((60, 3, 8, 9))):
        assert from_arrays((images, np.arange(60) % 2)).spec.input_shape == (3, 8, 9)
    assert from_arrays((rng.integers(0, 256, (60, 8, 9), np.uint8), np.arange(60) % 2)).spec.input_shape == (
        1,
        8,
        9,
    )


@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        ((np.zeros((5, 2)), np.zeros(4)), None, "X has 5 rows and y has 4"),
        ((np.array([["a"], ["b"]]), np.zeros(2)), None, "text or objects"),
        ((np.array([[np.nan], [1.0]]), np.zeros(2)), None, "NaN or infinity"),
        ((np.zeros((5, 2)), np.array([1.0, np.inf, 0, 0, 0])), None, "y contains NaN, infinity or None"),
        ((np.full((20, 4, 4), 7.0), np.arange(20) % 2), None, "must be uint8, or float in"),
        ((np.zeros((20, 2)), np.zeros((20, 2))), None, "one value per row"),
        ((np.zeros((20, 2)), np.zeros(20, int)), None, "at least two classes"),
        (pd.DataFrame({"a": [1], "b": [2]}), None, "needs the name of the target"),
        (pd.DataFrame({"aa": [1], "b": [2]}), "aaa", "did you mean 'aa'"),
        ([1, 2, 3], None, "must be a name"),
    ],
)
def test_from_arrays_rejects_unfit_arrays_in_one_line(data, target, message):
    with pytest.raises(zoo.ZooError, match=message):
        zoo.train("fnn", data=data, target=target)


def test_encode_takes_one_sample_or_a_batch():

    image = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    for raw in (image, image[None], image[None, None], torch.from_numpy(image).float() / 255):
        assert torch.allclose(encode(DIGITS, raw)["x"], torch.from_numpy(image).float().view(1, 1, 8, 8) / 255)
    assert encode(DIGITS, np.zeros((5, 8, 8)))["x"].shape == (5, 1, 8, 8)
    with pytest.raises(zoo.ZooError, match=r"must be \(batch, 1, 8, 8\)"):
        encode(DIGITS, np.zeros((5, 9, 9)))
    spec = load("wine").spec
    frame = pd.DataFrame(np.arange(26.0).reshape(2, 13), columns=spec.columns)
    assert torch.equal(encode(spec, frame[list(reversed(spec.columns))])["x"], torch.arange(26.0).view(2, 13))
    with pytest.raises(zoo.ZooError, match="columns alcohol are missing"):
        encode(spec, frame.drop(columns="alcohol"))
