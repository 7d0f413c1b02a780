"""Image folders and archives: formats, classes, splits, errors that name the file, augmentation."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.data import load
from zoo.data.dataset import Rows
from zoo.data.image.augment import GRAY, ImageAugment
from zoo.data.image.cache import DecodeOptions, decoded_images
from zoo.data.image.decode import decode, listing
from zoo.data.loader import Loader
from zoo.data.table.spec import TableSpec
from zoo.tasks.classification import Classification
from zoo.utils.random import generator_of

RED, BLUE = (200, 30, 20), (10, 60, 220)


@pytest.fixture(autouse=True)
def _cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def photo(color=RED, size=(12, 10), mode="RGB") -> Image.Image:
    return Image.new("RGB", size, color).convert(mode)


def save(image: Image.Image, path: Path, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def folder_of(root: Path, *, classes=("blue", "red"), count=20, parts=("",), kind="png") -> Path:
    rng = np.random.default_rng(0)
    for part in parts:
        for name in classes:
            for n in range(count):
                base = np.array(BLUE if name == "blue" else RED)
                noise = np.clip(base + rng.integers(-30, 30, (10, 12, 3)), 0, 255).astype(np.uint8)
                save(Image.fromarray(noise), root / part / name / f"{n}.{kind}")
    return root


def decode_image(path: Path, channels: int = 3, **options) -> np.ndarray:
    return decode(
        path, size=options.pop("size", (10, 12)), resize_mode=options.pop("resize_mode", "resize"), channels=channels
    )


@pytest.mark.parametrize("kind", ["png", "bmp", "tif", "gif", "webp", "ppm", "jpg"])
def test_decode_every_format_alike(tmp_path, kind):
    options = {"lossless": True} if kind == "webp" else {"quality": 100, "subsampling": 0} if kind == "jpg" else {}
    pixels = decode_image(save(photo(), tmp_path / f"a.{kind}", **options))
    assert pixels.shape == (3, 10, 12)
    assert np.abs(pixels.astype(int) - np.array(RED)[:, None, None]).max() <= 3


def test_decode_every_mode_to_rgb(tmp_path):
    white = save(Image.new("RGBA", (12, 10), (*RED, 0)), tmp_path / "clear.png")
    half = save(Image.new("RGBA", (12, 10), (0, 0, 0, 128)), tmp_path / "half.png")
    assert (decode_image(white) == 255).all()
    assert abs(int(decode_image(half).mean()) - 127) <= 1
    indexed = photo().convert("P", palette=Image.Palette.ADAPTIVE)
    palette = save(indexed, tmp_path / "palette.png")
    assert np.abs(decode_image(palette).astype(int) - np.array(RED)[:, None, None]).max() <= 1
    assert (decode_image(save(indexed, tmp_path / "hole.png", transparency=indexed.getpixel((0, 0)))) == 255).all()
    deep = np.array([[0, 257 * 100, 65535]], dtype=np.uint16).repeat(2, axis=0)
    sixteen = save(Image.fromarray(deep), tmp_path / "deep.png")
    assert decode_image(sixteen, channels=1, size=(2, 3)).tolist() == [[[0, 100, 255]] * 2]
    real = save(Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32)), tmp_path / "real.tif")
    assert decode_image(real, channels=1, size=(1, 3)).tolist() == [[[0, 128, 255]]]
    ink = save(photo(mode="CMYK"), tmp_path / "ink.jpg", quality=100)
    assert np.abs(decode_image(ink).astype(int) - np.array(RED)[:, None, None]).max() <= 6
    bits = save(Image.new("1", (12, 10), 1), tmp_path / "bits.png")
    assert (decode_image(bits) == 255).all()


def test_decode_applies_exif_orientation(tmp_path):
    image = Image.new("RGB", (12, 10))
    image.paste(RED, (0, 0, 12, 5))  # the upper half
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    pixels = decode_image(save(image, tmp_path / "a.jpg", exif=exif.tobytes(), quality=95))
    assert pixels[0, :4].mean() < 60 < 150 < pixels[0, 6:].mean()


def test_resize_mode_crop_keeps_the_aspect_ratio(tmp_path):
    image = Image.new("RGB", (40, 20))
    image.paste((255, 255, 255), (0, 0, 8, 20))  # a strip at the left, outside of the middle square
    path = save(image, tmp_path / "a.png")
    assert decode_image(path, size=(20, 20), resize_mode="crop").max() < 20
    assert decode_image(path, size=(20, 20), resize_mode="resize")[0, :, :3].min() > 200


@pytest.mark.parametrize("packed", ["folder", "zip", "tar.gz"])
def test_image_folder_equals_its_archive(tmp_path, packed):
    root = folder_of(tmp_path / "photos")
    path = root
    if packed == "zip":
        path = tmp_path / "photos.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, *_ in listing(root):
                archive.write(root / name, f"photos/{name}")
    elif packed == "tar.gz":
        path = tmp_path / "photos.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            archive.add(root, "photos")
    data = load("image_folder", path=str(path))
    assert (data.spec.classes, data.spec.input_shape, data.sizes) == (("blue", "red"), (3, 10, 12), (28, 4, 8))
    for split in (data.train, data.val, data.test):
        for n in range(len(split["y"])):
            red, _, blue = split["x"][n].float().mean((1, 2))
            assert (red > blue) == bool(split["y"][n])
    again = load("image_folder", path=str(path))
    assert torch.equal(again.train["y"], data.train["y"])
    assert isinstance(data.train["x"], Rows)  # a map of the cache, not a copy


def test_image_folder_splits_by_subfolders_or_from_train(tmp_path):
    data = load("image_folder", path=str(folder_of(tmp_path / "a", parts=("train", "valid", "test"))))
    assert data.sizes == (40, 40, 40)
    no_val = load("image_folder", path=str(folder_of(tmp_path / "b", parts=("train", "test"))))
    assert no_val.sizes == (36, 4, 40)
    no_test = load("image_folder", path=str(folder_of(tmp_path / "c", parts=("train", "val"))))
    assert no_test.sizes == (32, 40, 8)


def test_labels_csv_names_files_by_path_name_or_stem(tmp_path):
    root = folder_of(tmp_path / "all")
    for style in ("{c}/{n}.png", "{c}{n}"):
        if style == "{c}{n}":
            for path in list(root.rglob("*.png")):
                path.rename(root / f"{path.parent.name}{path.stem}.png")
        rows = [f"{style.format(c=c, n=n)},{c},{n}" for c in ("blue", "red") for n in range(20)]
        (tmp_path / "labels.csv").write_text("\n".join(["file,color,number", *rows]))
        data = load("image_folder", path=str(root), labels=str(tmp_path / "labels.csv"), target="color")
        assert (data.spec.classes, sum(data.sizes)) == (("blue", "red"), 40)
    with pytest.raises(zoo.ZooError, match="data.target: must name the target column"):
        load("image_folder", path=str(root), labels=str(tmp_path / "labels.csv"))
    (tmp_path / "labels.csv").write_text("file,color\nblue0,blue\nred99,red\n")
    with pytest.raises(zoo.ZooError, match=r"labels.csv, line 3: 'red99': no such image"):
        load("image_folder", path=str(root), labels=str(tmp_path / "labels.csv"))


def damaged(root: Path) -> Path:
    (root / "red" / "3.png").write_bytes((root / "red" / "3.png").read_bytes()[:80])
    return root


def emptied(root: Path) -> Path:
    (root / "green").mkdir()
    return root


def stray(root: Path) -> Path:
    save(photo(), root / "a.png")
    return root


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: damaged(folder_of(p)), r"red/3\.png: cannot be decoded \(.*data.skip_corrupt=true"),
        (lambda p: emptied(folder_of(p)), "green: has no image"),
        (lambda p: folder_of(p, classes=("red",)), "only one class, 'red'"),
        (lambda p: stray(folder_of(p)), "are not in a class folder"),
        (lambda p: folder_of(p, parts=("train",)) and folder_of(p, parts=("test",), classes=("blue", "green")),
         "test: has the class 'green', which train lacks"),
        (lambda p: p.mkdir() or p, "is empty"),
        (lambda p: p.mkdir() or ((p / "a.txt").write_text("a") and p), "has no image among 1 files"),
        (lambda p: p.with_suffix(".zip").write_bytes(b"no zip") and p.with_suffix(".zip"), "is not a valid archive"),
    ],
)  # fmt: skip
def test_image_folder_rejects_unusable_data_in_one_line(tmp_path, make, message):
    path = make(tmp_path / "photos")
    with pytest.raises(zoo.ZooError, match=message) as error:
        load("image_folder", path=str(path))
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").rglob("making-*"))


def test_skip_corrupt_counts_damaged_images(tmp_path, capsys):
    root = damaged(folder_of(tmp_path / "photos"))
    for _ in range(2):  # the second time from the cache
        data = load("image_folder", path=str(root), skip_corrupt=True)
        assert sum(data.sizes) == 39
        assert "left out 1 of 40 images; the first: " in capsys.readouterr().out


def test_cache_is_valid_until_a_file_changes(tmp_path):
    root = folder_of(tmp_path / "photos", count=5)
    files, options = listing(root), DecodeOptions(None, "crop", None)
    first = decoded_images(root, files, options, cache_dir=None).x.clone()
    entry = next((tmp_path / "cache" / "images").iterdir())
    written = (entry / "x.npy").stat().st_mtime_ns
    assert torch.equal(decoded_images(root, files, options, cache_dir=None).x, first)
    assert (entry / "x.npy").stat().st_mtime_ns == written
    save(photo((0, 255, 0)), root / "blue" / "0.png")
    changed = decoded_images(root, listing(root), options, cache_dir=None).x
    assert (changed != first).flatten(1).any(1).tolist() == [True] + 9 * [False]
    assert changed[0].float().mean((1, 2)).tolist() == [0, 255, 0]


def test_loader_batches_of_a_memory_map_equal_memory(tmp_path):
    data = load("image_folder", path=str(folder_of(tmp_path / "photos")))
    in_memory = {key: value.index_select(0, torch.arange(len(value))) for key, value in data.train.items()}
    mapped, held = (
        [b for macro_batch in Loader(split, batch_size=5, seed=1) for b in macro_batch]
        for split in (data.train, in_memory)
    )
    for one, other in zip(mapped, held, strict=True):
        assert torch.equal(one["x"], other["x"])
        assert torch.equal(one["y"], other["y"])


def test_npz_reads_medmnist_archives_without_pickle(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (60, 8, 8), np.uint8), np.arange(60)[:, None] % 2
    path = tmp_path / "a.npz"
    parts = {"train": slice(0, 40), "val": slice(40, 50), "test": slice(50, 60)}
    arrays = {f"{p}_images": x[s] for p, s in parts.items()} | {f"{p}_labels": y[s] for p, s in parts.items()}
    np.savez(path, **arrays)
    data = load("npz", path=str(path), classes=["no", "yes"])
    assert (data.sizes, data.spec.classes, data.spec.input_shape) == ((40, 10, 10), ("no", "yes"), (1, 8, 8))
    assert torch.equal(data.test["x"][:, 0], torch.from_numpy(x[50:]))
    np.savez(path, x_train=x[:40], y_train=y[:40, 0], x_test=x[40:], y_test=y[40:, 0])
    assert load("npz", path=str(path)).sizes == (36, 4, 20)
    np.savez(path, images=x, labels=y)
    assert sum(load("npz", path=str(path)).sizes) == 60
    np.savez(path, train_images=x, train_labels=np.array([{}] * 60, dtype=object))
    with pytest.raises(zoo.ZooError, match="not a valid .npz archive of plain arrays"):
        load("npz", path=str(path))
    np.savez(path, something=x)
    with pytest.raises(zoo.ZooError, match="has something"):
        load("npz", path=str(path))
    path.write_bytes(b"PK no")
    with pytest.raises(zoo.ZooError, match=r"a\.npz"):
        load("npz", path=str(path))


def test_image_folder_trains_and_predicts_a_new_photo(tmp_path, quick):
    path = str(folder_of(tmp_path / "photos"))
    options = {"data.path": path, "data.batch_size": 8, "trainer.max_epochs": 8}
    run = zoo.train("resnet", data="image_folder", **{k: v for k, v in quick.items() if k != "trainer"}, **options)
    assert run.metrics["test/accuracy"] == 1.0
    assert {p.name for p in run.plots} >= {"batch.png", "confusion.png", "precision_recall.png"}
    new = np.asarray(photo(BLUE)).transpose(2, 0, 1)
    assert zoo.load(run.folder / "checkpoints" / "best.ckpt").predict(new)["label"] == ["blue"]


# --- augmentation ---


def images(count: int = 64, size: int = 9, channels: int = 3) -> torch.Tensor:
    return torch.rand(count, channels, size, size, generator=generator_of(5))


def augment_batch(augment: ImageAugment, x: torch.Tensor, key: int = 0) -> torch.Tensor:
    return augment({"x": x, "y": torch.arange(len(x)) % 3}, generator_of(key))["x"]


def test_hflip_mirrors_half_of_the_images():
    x = images(400)
    augmented = augment_batch(ImageAugment(hflip=0.5), x)
    same, mirrored = ((augmented == other).flatten(1).all(1) for other in (x, x.flip(3)))
    assert (same ^ mirrored).all()
    assert 150 < mirrored.sum() < 250


def test_crop_padding_crops_the_padded_image():
    x = images(200, 5)
    augmented = augment_batch(ImageAugment(crop_padding=2), x)
    bordered = torch.nn.functional.pad(x, [2] * 4)
    windows = {(r, c): bordered[:, :, r : r + 5, c : c + 5] for r in range(5) for c in range(5)}
    crops = [[key for key, w in windows.items() if torch.equal(w[n], augmented[n])] for n in range(200)]
    assert all(crops)
    assert len({crop[0] for crop in crops}) == 25


def test_cutout_fills_one_square_with_the_mean():
    x = images(100, 9)
    augmented = augment_batch(ImageAugment(cutout=4), x)
    for one, other in zip(augmented, x, strict=True):
        changed = (one != other).any(0)
        rows, columns = (torch.where(changed.any(axis))[0] for axis in (1, 0))
        assert changed.sum() == len(rows) * len(columns)  # a rectangle, cut by the image's edge at most
        assert 2 <= len(rows) <= 4
        assert torch.allclose(one[:, changed], other.mean((1, 2))[:, None].expand(-1, int(changed.sum())))


def test_mixup_mixes_images_and_losses():
    x = images(500)
    mixed = ImageAugment(mixup_alpha=0.4)({"x": x, "y": torch.arange(500)}, generator_of(0))
    share = mixed["share"].view(-1, 1, 1, 1)
    assert torch.allclose(mixed["x"], share * x + (1 - share) * x[mixed["y2"]], atol=1e-6)
    assert mixed["share"].min() >= 0.5
    # The mean of the larger share of Beta(0.4, 0.4)
    drawn = np.random.default_rng(0).beta(0.4, 0.4, 100_000)
    assert abs(float(mixed["share"].mean()) - np.maximum(drawn, 1 - drawn).mean()) < 0.02
    objective = Classification(TableSpec("t", "classification", (4,), classes=("a", "b", "c")))
    logits, batch = torch.randn(500, 3), {**mixed, "y": mixed["y"] % 3, "y2": mixed["y2"] % 3}
    soft = torch.zeros(500, 3).scatter_(1, batch["y"][:, None], batch["share"][:, None])
    soft.scatter_add_(1, batch["y2"][:, None], 1 - batch["share"][:, None])
    assert torch.allclose(objective.loss(logits, batch), torch.nn.functional.cross_entropy(logits, soft), atol=1e-5)


def test_color_jitter_respects_limits_and_hue_keeps_luminance():
    x = 0.3 + 0.4 * images(300)
    weights = torch.tensor(GRAY).view(1, 3, 1, 1)
    turned = augment_batch(ImageAugment(hue=0.1), x)
    assert torch.allclose((turned * weights).sum(1), (x * weights).sum(1), atol=2e-2)
    assert (turned - x).abs().max() > 0.05
    bright = (augment_batch(ImageAugment(brightness=0.2), x) / x).mean((1, 2, 3))
    assert 0.8 <= bright.min() < 0.82
    assert 1.18 < bright.max() <= 1.2001
    gray = x[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(augment_batch(ImageAugment(saturation=0.5, hue=0.5), gray), gray, atol=2e-3)
    ratio = augment_batch(ImageAugment(contrast=0.5), x).std((1, 2, 3)) / x.std((1, 2, 3))
    assert ratio.min() < 0.6 < 1.3 < ratio.max()
    assert torch.equal(augment_batch(ImageAugment(hue=0.1), x, 1), augment_batch(ImageAugment(hue=0.1), x, 1))


def test_augmentation_of_grayscale_images():
    everything = ImageAugment(0.5, 1, 10, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 2, 0.2)
    augmented = augment_batch(everything, images(8, channels=1))
    assert augmented.shape == (8, 1, 9, 9)
    assert augmented.min() >= 0
    assert augmented.max() <= 1


def test_decode_reads_a_file_in_memory():
    file = io.BytesIO()
    photo().save(file, "PNG")
    assert decode_image(file).shape == (3, 10, 12)
