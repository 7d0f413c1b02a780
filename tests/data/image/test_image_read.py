"""Reading images: equal pixels in training and prediction, from files and arrays."""

import base64
import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.data import load
from zoo.data.arrays import as_images, from_arrays
from zoo.data.image.spec import ImageReading, ImageSpec
from zoo.data.input_readers import to_float
from zoo.data.inputs import encode, from_json, pieces


@pytest.fixture(autouse=True)
def _cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def png_of_16_bits(values: np.ndarray) -> bytes:
    """Return a PNG of 16 bits a channel: gray, gray with opacity, colors, or colors with opacity (H, W, C)."""
    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# --- files ---

SHALLOW = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "clear"),
    "jpg": ("L", "RGB", "CMYK", "large"),
    "tif": ("1", "L", "P", "RGB", "RGBA", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("L", "P", "clear", "frames"),
}
DEEP = {"png": ("I;16", "16", "16A", "16RGB", "16RGBA"), "tif": ("I;16", "I", "F", "-F")}


@st.composite
def files(draw, deep):
    """Draw (ending, mode, width, height, EXIF orientation, seed) of an image file."""
    formats = DEEP if deep else SHALLOW
    ending = draw(st.sampled_from(sorted(formats)))
    side = st.integers(1, 24)
    orientation, seed = draw(st.integers(1, 8)), draw(st.integers(0, 9999))
    return ending, draw(st.sampled_from(formats[ending])), draw(side), draw(side), orientation, seed


def encode_file(ending, mode, width, height, orientation, seed) -> bytes:
    random = np.random.default_rng(seed)
    colors = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif.tobytes()} if ending in ("png", "jpg", "tif", "webp") else {}
    if mode.startswith("16"):
        return png_of_16_bits(random.integers(0, 4096, (height, width, {"16": 1, "16A": 2, "16RGB": 3}.get(mode, 4))))
    if mode == "large":  # than what is needed, by which photos are decoded at a smaller scale
        image = Image.fromarray(colors).convert("RGB").resize((width * 12, height * 12))
    elif mode == "I;16":
        image = Image.fromarray(random.integers(0, 3000, (height, width)).astype(np.uint16))
    elif mode == "I":
        image = Image.fromarray(random.integers(-500, 70_000, (height, width)).astype(np.int32))
    elif mode in ("F", "-F"):
        image = Image.fromarray((random.normal(size=(height, width)) ** (1 if mode == "-F" else 2)).astype(np.float32))
    elif mode == "clear":
        image = Image.fromarray(colors).convert("RGB").quantize(16)
        options["transparency"] = 3
    elif mode == "frames":
        image = Image.fromarray(colors[..., 0])
        options |= {"save_all": True, "append_images": [Image.fromarray(colors[..., 1])]}
    else:
        image = Image.fromarray(colors).convert("LA" if mode == "LA" else "RGBA" if mode == "RGBA" else "RGB")
        image = image if image.mode == mode else image.convert(mode)
    content = io.BytesIO()
    image.save(content, {"jpg": "JPEG", "tif": "TIFF"}.get(ending, ending), **options)
    return content.getvalue()


@settings(max_examples=14, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(files(deep=False), min_size=12, max_size=15),
    st.lists(files(deep=True), max_size=2),
    st.sampled_from(["crop", "resize"]),
    st.sampled_from([1, 3]),
    st.tuples(st.integers(2, 12), st.integers(2, 12)),
)
def test_encode_image_files_equals_training_pixels(tmp_path_factory, some, more, resize_mode, channels, size):
    root = tmp_path_factory.mktemp("photos")
    for number, file in enumerate([*some, *more]):
        part = ("train", "val", "test")[number // 2 % 3]
        path = root / part / "ab"[number % 2] / f"{number:02}.{file[0]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_file(*file))
    data = load("image_folder", path=str(root), size=size, resize_mode=resize_mode, channels=channels)
    want = to_float(data.train["x"].base)
    assert want.dtype == torch.float32
    paths = sorted(str(path) for path in root.rglob("*.*"))
    read = list(pieces(data.spec, [str(root)]))
    assert [name for piece in read for name in piece.names] == paths
    ways = {
        "pieces": torch.cat([encode(data.spec, piece.raw)["x"] for piece in read]),
        "base64": encode(
            data.spec, from_json(data.spec, [base64.b64encode(Path(p).read_bytes()).decode() for p in paths])
        )["x"],
        "paths": encode(data.spec, paths)["x"],
        "Pillow": encode(data.spec, [Image.open(path) for path in paths])["x"],
    }
    for way, x in ways.items():
        same = (x == want).flatten(1).all(1)
        assert same.all(), (way, paths[int((~same).nonzero()[0])])


def gray(values, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def two_classes(root: Path, make, count: int = 12) -> Path:
    """Write ``count`` images in each of two class folders; ``make`` writes one by its number and class."""
    for n in range(count):
        for name in ("left", "right"):
            (root / name).mkdir(parents=True, exist_ok=True)
            make(root / name / f"{n}", n)
    return root


def all_images(data) -> torch.Tensor:
    return to_float(data.train["x"].base)


@pytest.mark.parametrize("bits", [10, 16])
def test_bit_depth_above_8_shares_one_range(tmp_path, bits, capsys):
    most = 2**bits - 1
    values = np.linspace(0, most, 24 * 30).astype(np.uint16).reshape(24, 5, 6)

    def make(path, n):
        gray(values[n + 12 * ("right" in str(path))], path.with_suffix(".png"))

    data = load("image_folder", path=str(two_classes(tmp_path / "x", make)))
    want = f"note: {tmp_path / 'x'}: 24 files (left/0.png, left/1.png, left/10.png, …) with more than 8 bits; values from 0 to {most} "
    assert want in capsys.readouterr().err
    assert torch.allclose(all_images(data)[:, 0].sort(0).values, torch.from_numpy(values / most).float().sort(0).values)
    assert len(all_images(data).unique()) == len(np.unique(values))
    new = gray(np.full((5, 6), most // 2, np.uint16), tmp_path / "new.png")
    assert encode(data.spec, new)["x"].mean() == pytest.approx(0.5, abs=1 / most)


def test_bit_depth_16_rgb_beside_8_bit_files(tmp_path):
    random = np.random.default_rng(0)
    color = random.integers(0, 4096, (5, 6, 3))

    def make(path, n):
        if n % 2:
            Image.new("L", (6, 5), 255).save(path.with_suffix(".png"))
        else:
            path.with_suffix(".png").write_bytes(png_of_16_bits(color))

    data = load("image_folder", path=str(two_classes(tmp_path / "x", make)))
    x = all_images(data)
    assert data.spec.reading.integer_range == (0, 4095)
    assert torch.allclose(x[0], torch.from_numpy(color.transpose(2, 0, 1) / 4095).float())
    assert (x[1] == 1).all()
    clear = np.concatenate([color, np.full((5, 6, 1), 65535)], 2)
    clear[0, 0, 3] = 0
    (tmp_path / "clear.png").write_bytes(png_of_16_bits(clear))
    read = encode(data.spec, tmp_path / "clear.png")["x"][0]
    assert read[:, 0, 0].tolist() == [1, 1, 1]
    assert torch.equal(read[:, 1:], x[0][:, 1:])


@pytest.mark.parametrize(
    "options",
    [{}, {"byteorder": ">"}, {"compression": "zlib"}, {"tile": (16, 16)}, {"planarconfig": "separate"}],
    ids=["little-endian", "big-endian", "compressed", "in tiles", "in planes"],
)
def test_bit_depth_16_rgb_tiff_by_layout(tmp_path, options):
    tifffile = pytest.importorskip("tifffile")
    color = np.random.default_rng(0).integers(0, 4096, (5, 6, 3)).astype(np.uint16)
    planes = "planarconfig" in options
    tifffile.imwrite(tmp_path / "a.tif", color.transpose(2, 0, 1) if planes else color, photometric="rgb", **options)
    reading = ImageReading(integer_range=(0.0, 4095.0))
    spec = ImageSpec("x", "classification", (3, 5, 6), classes=("a", "b"), reading=reading)
    if planes:
        with pytest.raises(zoo.ZooError, match=r"a.tif: .*\(it has planar channels of more than 8 bits"):
            encode(spec, tmp_path / "a.tif")
    else:
        want = torch.from_numpy(color.transpose(2, 0, 1) / 4095).float()
        assert torch.allclose(encode(spec, tmp_path / "a.tif")["x"][0], want)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "limits"),
    [
        (-1024, 3071, np.int32, (-4096.0, 4095.0)),
        (0, 200, np.int32, (0.0, 255.0)),
        (0.0, 0.5, np.float32, (0.0, 1.0)),
        (0.0, 300.0, np.float32, (0.0, 512.0)),
        (-3.0, 1.0, np.float32, (-4.0, 4.0)),
    ],
)
def test_bit_depth_range_of_signed_and_float_values(tmp_path, low, high, dtype, limits):
    def make(path, n):
        gray(np.full((4, 4), low + (high - low) * n / 11).astype(dtype), path.with_suffix(".tif"))

    data = load("image_folder", path=str(two_classes(tmp_path / "x", make)))
    reading = data.spec.reading
    assert (reading.integer_range or reading.float_range) == limits
    x = all_images(data)
    assert x.amin() == pytest.approx((low - limits[0]) / (limits[1] - limits[0]), abs=1e-6)
    assert x.amax() == pytest.approx((high - limits[0]) / (limits[1] - limits[0]), abs=1e-6)
    new = gray(np.full((4, 4), 3 * limits[1]).astype(dtype), tmp_path / "new.tif")
    with pytest.raises(zoo.ZooError, match=r"new.tif: .*values are from .*; must be from") as error:
        encode(data.spec, new)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("most", "dtype"), [(255, np.int32), (3000, np.uint16), (1, np.uint16)])
def test_bit_depth_8_model_reads_unambiguous_16_bit_files(tmp_path, reader, most, dtype):
    full = gray(np.full((4, 4), 257 * 100, np.uint16), tmp_path / "full.png")
    with pytest.raises(
        zoo.ZooError, match=r"full.png: .*\(its maximum is 25700 of 65535, and the training images had 8 bits"
    ):
        reader.predict(full)
    values = np.array([[0, 257 * 100, 257 * 200, 65535]] * 4, np.uint16)
    full = gray(values, tmp_path / "full.png")
    assert torch.equal(encode(reader.spec, full)["x"], encode(reader.spec, (values // 257).astype(np.uint8))["x"])
    black = gray(np.zeros((4, 4), np.uint16), tmp_path / "black.png")
    assert encode(reader.spec, black)["x"].sum() == 0
    with pytest.raises(
        zoo.ZooError, match=f"its maximum is {most} of 65535, and the training images had 8 bits; convert it"
    ):
        reader.predict(Image.fromarray(np.full((4, 4), most, dtype)))


def test_image_folder_rejects_nan_pixels(tmp_path):
    def make(path, n):
        gray(np.full((4, 4), np.nan if n == 3 else 0.5, np.float32), path.with_suffix(".tif"))

    with pytest.raises(zoo.ZooError, match=r"left/3.tif: cannot be decoded \(it has values that are not finite\), nor"):
        load("image_folder", path=str(two_classes(tmp_path / "x", make)))


# --- folders ---


def small(path, n):
    Image.new("L", (4, 4), 10 * n).save(path.with_suffix(".png"))


@pytest.mark.parametrize(
    "names",
    [
        ("train", "val", "test"),
        ("Training", "Validation", "Testing"),
        ("TRAIN", "dev", "TEST"),
        ("training_set", "validation-set", "test set"),
        ("seg_train", "seg_valid", "seg_test"),
        ("TrainData", "ValidData", "TestData"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_split_folders_have_any_common_name_and_level(tmp_path, names, inside):
    for part, count in zip(names, (6, 4, 2), strict=True):
        for name in ("left", "right"):
            folder = tmp_path / "x" / (f"{name}/{part}" if inside else f"{part}/{name}")
            folder.mkdir(parents=True)
            for n in range(count):
                small(folder / str(n), n)
    data = load("image_folder", path=str(tmp_path / "x"))
    assert (data.spec.classes, data.sizes) == (("left", "right"), (12, 8, 4))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("Train", "Test", "extra"), "extra is not"),
        (("Testing", "Validation"), "none of them is train"),
        (("a/train", "a/test", "b/train", "b/more"), "more is not"),
    ],
)
def test_split_folders_mixed_with_others_are_rejected(tmp_path, names, message):
    for name in names:
        two_classes(tmp_path / "x" / name, small, 3)
    with pytest.raises(zoo.ZooError, match=f"are named like splits, but {message}") as error:
        load("image_folder", path=str(tmp_path / "x"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("names", [("train", "car"), ("valid", "invalid"), ("dog_train", "cat_train"), ("1", "2")])
def test_split_folder_names_may_be_classes(tmp_path, names):
    for name in names:
        (tmp_path / "x" / name).mkdir(parents=True)
        for n in range(12):
            small(tmp_path / "x" / name / str(n), n)
    assert load("image_folder", path=str(tmp_path / "x")).spec.classes == tuple(sorted(names))


@pytest.fixture(scope="module")
def reader():
    """A model of small gray images in two classes, not trained."""
    return zoo.create("fnn", spec=ImageSpec("x", "classification", (1, 4, 4), classes=("a", "b"))).eval()


def test_image_reader_notes_skipped_files_everywhere(tmp_path, capsys, reader):
    root = two_classes(tmp_path / "x", small)
    for n in range(30):
        (root / "left" / f"IMG_{n:02}.HEIC").write_bytes(b"heic")
    (root / "right" / "photo").write_bytes((root / "right" / "0.png").read_bytes())
    for litter in ("Thumbs.db", ".DS_Store", "desktop.ini"):
        (root / "left" / litter).write_bytes(b"x")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "left.png").write_bytes(b"x")
    assert sum(load("image_folder", path=str(root)).sizes) == 24
    want = f"note: {root}: left out 31 files that cannot be read as images: left/IMG_00.HEIC, left/IMG_01.HEIC, "
    assert want in capsys.readouterr().err
    assert sum(len(piece.names) for piece in pieces(reader.spec, [str(root)])) == 24
    assert want in capsys.readouterr().err
    for path in (root / "left").glob("*.png"):
        path.unlink()
    with pytest.raises(zoo.ZooError, match=r"left: has no readable image: left out 30 files .*IMG_00.HEIC"):
        load("image_folder", path=str(root))
    (piece,) = pieces(reader.spec, [str(root / "left")])
    assert "has no readable image: left out 30 files" in piece.wrong


def test_image_reader_notes_frames_and_resized_files(tmp_path, capsys):
    def make(path, n):
        frames = [Image.new("L", (6 if n == 28 else 4, 4), shade) for shade in (n, 255)]
        frames[0].save(path.with_suffix(".tif"), save_all=n == 50, append_images=frames[1:] if n == 50 else [])

    root = two_classes(tmp_path / "x", make, 100)
    (tmp_path / "labels.csv").write_text("file,side\n" + "".join(f"left/{n}.tif,{n % 2}\n" for n in range(100)))
    for _ in range(2):  # the second time from the cache
        assert load("image_folder", path=str(root)).spec.input_shape == (1, 4, 4)
        assert capsys.readouterr().err.splitlines() == [
            f"note: {root}: 2 files (left/50.tif, right/50.tif) with several frames or pages; only the first is read",
            f"note: {root}: 2 files (left/28.tif, right/28.tif) resized to 4×4, the size of most files; "
            "set data.size= to change it",
        ]
    load("image_folder", path=str(root), labels=str(tmp_path / "labels.csv"), channels=1)
    want = "left out 100 images (right/0.tif, right/1.tif, right/10.tif, …) missing in the CSV of labels"
    assert want in capsys.readouterr().err


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_image_folder_with_one_rgb_file_has_three_channels(tmp_path, depth):
    def make(path, n):
        gray(np.full((4, 4), n, depth), path.with_suffix(".png"))
        if n == 30:
            Image.new("RGB", (4, 4), (9, 99, 0)).save(path.with_suffix(".bmp"))

    data = load("image_folder", path=str(two_classes(tmp_path / "x", make, 100)))
    names = [path.relative_to(tmp_path / "x").as_posix() for path in sorted((tmp_path / "x").rglob("*.*"))]
    x = (255 * all_images(data)).round()
    assert x[names.index("left/30.bmp"), :, 0, 0].tolist() == [9, 99, 0]
    assert x[names.index("right/60.png"), :, 0, 0].tolist() == [60, 60, 60]


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archive_rejects_duplicate_names(tmp_path, kind):
    root, path = two_classes(tmp_path / "x", small), tmp_path / f"x.{kind}"
    files = [*sorted(root.rglob("*.png")), root / "left" / "0.png"]
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings(action="ignore"):
            for file in files:
                archive.write(file, file.relative_to(root))
    else:
        with tarfile.open(path, "w") as archive:
            for file in files:
                archive.add(file, file.relative_to(root))
    with pytest.raises(zoo.ZooError, match=r"it has left/0.png twice"):
        load("image_folder", path=str(path))


# --- arrays ---

LAYOUTS = st.sampled_from(["NHW", "NCHW", "NHWC"])
TYPES = st.sampled_from(["uint8", "int64", "uint16", "float32", "float64", "bool", "255", "nan", "below", "12 bits"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(LAYOUTS, TYPES, st.integers(1, 5), st.integers(1, 6), st.integers(1, 6), st.integers(0, 9999))
def test_image_arrays_alike_in_training_and_prediction(layout, kind, channels, height, width, seed):
    random = np.random.default_rng(seed)
    shape = {"NHW": (height, width), "NCHW": (channels, height, width), "NHWC": (height, width, channels)}[layout]
    x = random.integers(0, 256, (40, *shape))
    x[0, 0, 0], x[1, 0, 0] = 255, 0
    x = {
        "uint8": lambda: x.astype(np.uint8),
        "int64": lambda: x,
        "uint16": lambda: x.astype(np.uint16),
        "float32": lambda: (x / 255).astype(np.float32),
        "float64": lambda: x / 255,
        "bool": lambda: x > 100,
        "255": lambda: x.astype(np.float64),
        "nan": lambda: np.where(x == 255, np.nan, x / 255),
        "below": lambda: x / 127.5 - 1,
        "12 bits": lambda: x * 16,
    }[kind]()
    y = np.arange(40) % 2
    spec = ImageSpec("data", "classification", (1, 1, 1), classes=("0", "1"))
    if kind in ("255", "nan", "below", "12 bits"):
        with pytest.raises(zoo.ZooError, match=r"^data: images .*; must be uint8, or float in \[0, 1\]") as refused:
            as_images(x, "data")
        with pytest.raises(zoo.ZooError) as error:
            encode(spec, x)
        assert str(error.value) == str(refused.value)
        return
    images = as_images(x, "data")
    data = from_arrays((x, y))
    assert data.spec.input_shape == images.shape[1:]
    want = to_float(torch.from_numpy(np.array(images)))
    for raw in (x, torch.from_numpy(x), list(x)):
        assert torch.equal(encode(data.spec, raw)["x"], want)
    assert torch.equal(encode(data.spec, x[3])["x"], want[3:4])


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((9, 9), (1, 9, 9)),
        ((3, 32, 3), (3, 32, 3)),
        ((4, 4, 3), (3, 4, 4)),
        ((16, 16, 4), (3, 16, 16)),
        ((16, 16, 2), (1, 16, 16)),
        ((16, 16, 1), (1, 16, 16)),
        ((16, 16, 5), (5, 16, 16)),
        ((2, 8, 8), (2, 8, 8)),
        ((4, 8, 8), (4, 8, 8)),
        ((5, 8, 8), (5, 8, 8)),
    ],
)
def test_image_arrays_channel_axis_from_shape(shape, read):
    assert as_images(np.zeros((7, *shape), np.uint8), "data").shape == (7, *read)


def test_image_arrays_alpha_is_composited_on_white(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (6, 5, 4, 4)).astype(np.uint8)
    for mode, spec_channels in (("RGBA", 3), ("LA", 1)):
        pixels = x if mode == "RGBA" else np.ascontiguousarray(x[..., 1:3])
        for n, image in enumerate(pixels):
            Image.fromarray(image, mode).save(tmp_path / f"{n}.png")
        spec = ImageSpec("x", "classification", (spec_channels, 5, 4), classes=("a", "b"))
        files = encode(spec, [tmp_path / f"{n}.png" for n in range(6)])["x"]
        assert torch.equal(to_float(torch.from_numpy(as_images(pixels, "x").copy())), files)
        assert torch.equal(encode(spec, pixels)["x"], files)
        assert torch.allclose(encode(spec, pixels / 255)["x"], files, atol=0.51 / 255)


def test_npz_splits_share_one_pixel_type(tmp_path):
    x, y = np.zeros((20, 4, 4), np.uint8), np.arange(20) % 2
    path = tmp_path / "x.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x / 255.0, y_test=y)
    with pytest.raises(zoo.ZooError, match=r"of different types, float64 and uint8; must be the same"):
        load("npz", path=str(path))
    deep = x.astype(np.int64)
    deep[0] = 255
    np.savez(path, x_train=deep, y_train=y, x_test=np.zeros((4, 4, 4), np.int64), y_test=y[:4])
    assert load("npz", path=str(path)).test["x"].dtype == torch.uint8


# --- raw images in Python ---


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            lambda p: np.full((2, 4, 4), 200.0),
            r"images of float64 from 200 to 200; must be .*divide all images by 255",
        ),
        (lambda p: np.full((2, 4, 4), 4000), "from 4000 to 4000; must be .* the largest possible value"),
        (lambda p: np.eye(4, dtype=int), "from 0 to 1; must be .*convert them to uint8 if their range is 0 to 255"),
        (lambda p: np.full((4, 4), np.nan), "NaN or infinity"),
        (lambda p: torch.full((1, 1, 4, 4), -0.5), "from -0.5 to -0.5; must be"),
        (lambda p: np.zeros((9, 7), np.uint8), r"shape \(9, 7\); must be \(batch, 1, 4, 4\); paths and Pillow"),
        (lambda p: np.zeros((4, 4, 3), np.uint8), r"shape \(4, 4, 3\); must be"),
        (lambda p: np.zeros((0, 4, 4), np.uint8), "have no pixels"),
        (lambda p: [], "have no pixels"),
        (lambda p: [np.zeros((4, 4)), np.zeros((5, 4))], "of different shapes"),
        (lambda p: None, "of type object"),
        (lambda p: p / "none.png", "none.png: is not a readable image"),
        (lambda p: [str(p / "a.txt")], "a.txt: is not a readable image"),
        (lambda p: p, "is not a readable image"),
        (lambda p: [p / "a.png", np.zeros((4, 4))], "a ndarray in a list of files"),
        (lambda p: Image.new("L", (0, 4)), "an image: is not a readable image"),
    ],
)
def test_predict_rejects_unfit_images_in_one_line(tmp_path, reader, raw, message):
    (tmp_path / "a.txt").write_text("a")
    small(tmp_path / "a", 3)
    with pytest.raises(zoo.ZooError, match=message) as error:
        reader.predict(raw(tmp_path))
    assert "\n" not in str(error.value)


def test_predict_accepts_every_form_of_an_image(tmp_path, reader):
    values = np.random.default_rng(0).integers(0, 256, (4, 4)).astype(np.uint8)
    path = gray(values, tmp_path / "a.png")
    ways = [values, values.astype(int), values / 255.0, values.tolist(), values[None], values[..., None]]
    ways += [torch.from_numpy(values), torch.from_numpy(values / 255.0), path, str(path), [path], Image.open(path)]
    ways += [Image.open(path).convert("RGB"), Image.fromarray(values), values[:, ::-1][:, ::-1]]
    want = reader.predict(values[None, None])["probability"]
    for way in ways:
        assert torch.allclose(reader.predict(way)["probability"], want, atol=1e-6), type(way)


def test_predict_multichannel_images_from_arrays_only(tmp_path):
    model = zoo.create("fnn", spec=ImageSpec("x", "classification", (5, 4, 4), classes=("a", "b"))).eval()
    assert len(model.predict(np.zeros((2, 5, 4, 4)))["label"]) == 2
    assert len(model.predict(np.zeros((2, 4, 4, 5)))["label"]) == 2
    small(tmp_path / "a", 3)
    with pytest.raises(zoo.ZooError, match="reads images with 5 channels and files have 1 or 3"):
        model.predict(tmp_path / "a.png")
