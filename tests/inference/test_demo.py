"""``zoo demo``: pages that predict as the model does, with errors for invalid input."""

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.data import load
from zoo.data.image.spec import ImageReading, ImageSpec

pytest.importorskip("gradio")


@pytest.fixture
def ask_page():
    """Open a model's page and return what asks it."""
    from gradio_client import Client, handle_file

    from zoo.inference.demo import page

    opened = []

    def ask(model, *values):
        blocks = page(model, title="a model")
        _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
        opened.append(blocks)
        values = [handle_file(str(value)) if hasattr(value, "suffix") else value for value in values]
        return Client(address, verbose=False).predict(*values, api_name="/ask")

    yield ask
    for blocks in opened:
        blocks.close()


def test_demo_classifies_a_dropped_image(ask_page, tmp_path):
    x = load("digits").test["x"][3, 0].numpy()
    Image.fromarray(x).save(tmp_path / "digit.png")
    model = zoo.load("cnn/digits")
    _, answer = ask_page(model, tmp_path / "digit.png")
    assert answer["label"] == model.predict(x)["label"][0]
    confidences = {one["label"]: one["confidence"] for one in answer["confidences"]}
    assert confidences[answer["label"]] == pytest.approx(float(model.predict(x)["probability"].max()), abs=1e-5)


def test_demo_reads_a_file_as_training_did(ask_page, tmp_path):
    reading = ImageReading(resize_mode="resize")
    spec = ImageSpec("x", "classification", (3, 8, 8), classes=("left", "right"), reading=reading)
    model = zoo.create("fnn", spec=spec).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 40, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")  # with opacity, and a shape that cropping would cut
    _, answer = ask_page(model, tmp_path / "wide.png")
    want = model.predict(tmp_path / "wide.png")["probability"][0].tolist()
    confidences = {one["label"]: one["confidence"] for one in answer["confidences"]}
    assert [confidences[name] for name in spec.classes] == pytest.approx(want, abs=1e-6)


def test_demo_predicts_csv_rows_and_names_wrong_ones(ask_page, tmp_path):
    model, data = zoo.load("fnn/wine"), load("wine")
    names = model.spec.columns
    header = ",".join(names) if names else ",".join(f"column_{n + 1}" for n in range(13))
    rows = "\n".join(",".join(map(str, row)) for row in data.test["x"].tolist())
    (tmp_path / "new.csv").write_text(f"{header}\n{rows}\n")
    table, _ = ask_page(model, tmp_path / "new.csv")
    assert [row[1] for row in table["data"]] == model.predict(data.test["x"])["label"]
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Exception, match="missing|13"):
        ask_page(model, tmp_path / "bad.csv")


def test_demo_samples_images(ask_page):
    gallery = ask_page(zoo.load("gan/digits"), 3, 1, "any")
    assert len(gallery) == 3
    first = np.asarray(Image.open(gallery[0]["image"]))
    assert first.shape[:2] == (256, 256)


def test_demo_rejects_models_without_a_page():
    from zoo.inference.demo import page

    with pytest.raises(zoo.ZooError, match="zoo play"):
        page(zoo.load("ppo/cartpole"), title="a policy")
