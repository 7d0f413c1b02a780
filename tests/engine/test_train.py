"""A run from end to end: training, files in its folder, metrics, errors."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import pty
import re
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import zoo
from zoo import registry
from zoo.__main__ import main
from zoo.data import load
from zoo.data.image.spec import ImageSpec
from zoo.data.table.spec import TableSpec

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [sys.executable, str(ROOT / "train.py")]


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([*TRAIN, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory):
    """The command that the README names first, in a folder of its own, with no data at hand."""
    folder = tmp_path_factory.mktemp("digits")
    done = command(
        "model=cnn", "trainer.max_epochs=5", "trainer.precision=32-true", "run_dir=out", cwd=folder, ZOO_DATA=""
    )
    assert done.returncode == 0, done.stderr
    return folder / "out", done


def test_train_prints_its_results(digits_run):
    folder, done = digits_run
    lines = done.stdout.strip().splitlines()
    assert lines[0].startswith("cnn on digits   1,293 train, 144 validation, 360 test rows of 1×8×8")
    results = json.loads((folder / "results.json").read_text())
    accuracy = results["metrics"]["test/accuracy"]
    assert accuracy > 0.95 > results["baselines"]["majority"]["accuracy"]
    assert f"test accuracy {accuracy:.4g} (majority 0.1, logistic regression 0.9" in lines[-4]
    balanced = results["metrics"]["test/balanced_accuracy"]
    assert f"balanced accuracy {balanced:.4g} (majority 0.1)" in lines[-3]
    assert lines[-2].endswith("out/plots/{curves,batch,confusion,mistakes}.png")
    assert re.fullmatch(r"next            zoo predict \S*out INPUT… · zoo train model=fnn data=digits", lines[-1])
    assert not done.stderr


def test_run_dir_has_all_files(digits_run):
    folder, _ = digits_run
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    events = {f for f in files if f.startswith("events.out.tfevents")}
    assert len(events) == 1
    assert files - events == {
        "config.yaml",
        "metrics.csv",
        "results.json",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "plots/curves.png",
        "plots/batch.png",
        "plots/confusion.png",
        "plots/mistakes.png",
    }
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["epoch"]) for r in rows] == [1, 2, 3, 4, 5]
    assert [int(r["samples"]) for r in rows] == [1293 * e for e in range(1, 6)]
    assert float(rows[-1]["train/loss"]) < float(rows[0]["train/loss"])
    results = json.loads((folder / "results.json").read_text())
    needed = "model class data task seed epochs steps samples train_seconds samples_per_second params peak_memory_mb "
    needed += "validation_seconds metrics baselines device precision threads versions commit command config_hash"
    assert set(results) == set(needed.split())
    assert results["command"] == "python train.py model=cnn trainer.max_epochs=5 trainer.precision=32-true run_dir=out"


@pytest.mark.slow
def test_progress_bar_shows_loss_metric_and_time(tmp_path):
    parent, child = pty.openpty()
    words = [*TRAIN, "model=fnn", "trainer.max_epochs=80", "logger=csv"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=child, env=environment)
    os.close(child)
    output = b""
    with contextlib.suppress(OSError):  # how a terminal ends on Linux
        while piece := os.read(parent, 4096):
            output += piece
    assert done.wait() == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.decode())
    lines = re.findall(r"(\d+)% +(\d\d:\d\d|--:--) +epoch (\d+)/80 +loss \d\.\d+ +val/accuracy 0\.\d+", text)
    assert len(lines) > 5
    assert [int(line[0]) for line in lines] == pytest.approx([int(line[2]) / 0.8 for line in lines], abs=1)


def test_tensorboard_logs_equal_the_csv(digits_run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _ = digits_run
    events = EventAccumulator(str(folder))
    events.Reload()
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in ("train/loss", "train/accuracy", "val/nll", "val/accuracy", "lr"):
        logged = [(e.step, e.value) for e in events.Scalars(name)]
        assert logged == [(int(r["steps"]), pytest.approx(float(r[name]), rel=1e-5)) for r in rows]


def test_checkpoint_reproduces_the_reported_metrics(digits_run):
    folder, _ = digits_run
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["zoo"]["model"] == "cnn"
    model = zoo.load(folder / "checkpoints" / "best.ckpt")
    test = load("digits").test
    predictions = model.predict(test["x"])
    accuracy = np.mean([label == str(int(y)) for label, y in zip(predictions["label"], test["y"], strict=True)])
    reported = json.loads((folder / "results.json").read_text())["metrics"]
    assert accuracy == pytest.approx(reported["test/accuracy"], abs=1e-6)
    nll = -predictions["probability"][torch.arange(360), test["y"]].log().mean()
    assert float(nll) == pytest.approx(reported["test/nll"], rel=1e-4)
    assert model.predict(test["x"][0].numpy())["label"] == predictions["label"][:1]
    with pytest.raises(zoo.ZooError, match="must be"):
        model.predict(np.zeros((3, 9, 9)))


def test_checkpoint_test_with_last_keeps_the_last_epoch(quick):
    harsh = {"optimizer": {"lr": 0.3}, "scheduler": "constant", "trainer": {**quick["trainer"], "max_epochs": 4}}
    run = zoo.train("fnn", **{"checkpoint.test_with": "last", "logger": "csv", **harsh}, report=False)
    best, last = (torch.load(run.folder / "checkpoints" / f"{n}.ckpt", weights_only=True) for n in ("best", "last"))
    assert all(torch.equal(best["state_dict"][key], value) for key, value in last["state_dict"].items())
    rows = list(csv.DictReader((run.folder / "metrics.csv").open()))
    figures = [float(row["val/accuracy"]) for row in rows]
    assert figures[-1] < max(figures)  # or the test shows nothing
    assert run.results["metrics"]["val/accuracy"] == figures[-1]


def test_best_checkpoint_has_the_best_validation_metric(digits_run):
    folder, _ = digits_run
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    best = max(rows, key=lambda r: (float(r["val/accuracy"]), int(r["epoch"])))
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["state_dict"]["counters"].tolist() == [int(best["steps"]), int(best["samples"])]


def test_load_rejects_files_that_are_no_checkpoint(tmp_path):
    import pickle

    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"zoo": Trap()}))
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    (tmp_path / "short.ckpt").write_bytes(b"PK")
    for name in ("evil", "other", "short"):
        with pytest.raises(zoo.ZooError, match="not a checkpoint of the zoo"):
            zoo.load(tmp_path / f"{name}.ckpt")
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(zoo.ZooError, match="no such file"):
        zoo.load(tmp_path / "none.ckpt")


def test_regression_metrics_are_in_original_units(quick):
    quick["trainer"]["max_epochs"] = 20
    run = zoo.train("fnn", data="diabetes", **quick)
    data = load("diabetes")
    value, y = run.model.predict(data.test["x"])["value"], data.test["y"]
    rmse = float(((value - y) ** 2).mean().sqrt())
    assert run.metrics["test/rmse"] == pytest.approx(rmse, rel=1e-4)
    assert run.metrics["test/mae"] == pytest.approx(float((value - y).abs().mean()), rel=1e-4)
    assert run.metrics["test/r2"] == pytest.approx(1 - rmse**2 / float(y.var(correction=0)), rel=1e-3)
    assert rmse < run.results["baselines"]["mean"]["rmse"]
    assert {p.name for p in run.plots} == {"curves.png", "truth.png"}


def test_classification_metrics_equal_scikit_learn(quick):
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

    run = zoo.train("fnn", data="wine", **quick)
    test = load("wine").test
    probability = run.model.predict(test["x"])["probability"].double().numpy()
    y = test["y"].numpy()
    probability /= probability.sum(1, keepdims=True)
    assert run.metrics["test/auroc"] == pytest.approx(roc_auc_score(y, probability, multi_class="ovr"), abs=1e-4)
    precision = np.mean([average_precision_score(y == k, probability[:, k]) for k in range(3)])
    assert run.metrics["test/average_precision"] == pytest.approx(precision, abs=1e-3)
    assert run.metrics["test/balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(y, probability.argmax(1)), abs=1e-6
    )


def test_train_on_arrays_and_a_frame(quick):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    quick["trainer"]["max_epochs"] = 15
    images = rng.random((200, 10, 12)) * 0.5
    y = np.arange(200) % 2
    images[y == 1, :5] += 0.5
    assert (
        zoo.train("cnn", data=(images, y), model_kwargs={"head_hidden_size": 0}, **quick).metrics["test/accuracy"] > 0.9
    )
    brightness = zoo.train("cnn", data=(images, images.mean((1, 2))), model_kwargs={"head_hidden_size": 0}, **quick)
    assert brightness.metrics["test/r2"] > 0.8
    frame = pd.DataFrame(x, columns=list("abcd")).assign(target=x @ [1, 2, 3, 4] + 100)
    run = zoo.train("fnn", data=frame, target="target", **quick)
    assert run.metrics["test/r2"] > 0.8
    assert run.folder.parent.name == "fnn-arrays"
    assert run.model.predict(frame.drop(columns="target"))["value"].shape == (300,)


def test_train_stops_at_a_non_finite_loss(tmp_path):
    diverge = {"scheduler": "constant", "optimizer": "sgd", "logger": "csv", "init": "kaiming"}
    with pytest.raises(zoo.TrainingError, match=r"at step \d+ \(learning rate 1e\+30\).*The run has no checkpoint yet"):
        zoo.train("fnn", model_kwargs={"norm": "none"}, run_dir="gone", **diverge, **{"optimizer.lr": 1e30})
    assert not (tmp_path / "gone").exists()


def test_train_names_the_last_good_checkpoint(tmp_path):
    @zoo.register("test_breaks")
    class Breaks(zoo.FNN):
        def compute_loss(self, batch):
            loss, counts = super().compute_loss(batch)
            return loss * (float("nan") if self.steps == 50 else 1.0), counts

    try:
        with pytest.raises(zoo.TrainingError, match=r"at step 50 .*Last good checkpoint: kept/checkpoints/best"):
            zoo.train("test_breaks", run_dir="kept", logger="csv")
    finally:
        registry._MODELS.pop("test_breaks")
    state = torch.load("kept/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    assert 0 < state["counters"][0] <= 50
    assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())
    assert not Path("kept/results.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=cnnn"], "did you mean 'cnn'"),
        (["model=cnn", "model.dropuot=0.1"], "did you mean 'model.dropout'"),
        (["model=cnn", "data=wine"], "Compatible models: fnn"),
        (["model=cnn", "data.batch_size=0"], "data.batch_size=0: must be an integer at least 1"),
        (["model=cnn", "optimizer.lr=-1"], "optimizer.lr=-1: must be a number above 0"),
        (["model=cnn", "run_dir=/proc/none/here"], "cannot be written"),
        (["model=cnn", "model=[cnn"], "invalid syntax. Use option=value"),
    ],
)
def test_train_rejects_invalid_options_before_writing(words, message, tmp_path):
    done = command(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert re.search(message, one_line(done))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model=cnn", "trainer=cuda"], "no CUDA device was found"),
        (["model=cnn", "logger=wandb"], r'pip install -e "\.\[wandb\]"'),
        (["model=cnn", "data=mnist", "data.root=nowhere"], "t10k-labels-idx1-ubyte.gz not found in nowhere/MNIST/raw"),
    ],
)
def test_train_rejects_missing_resources_in_one_line(words, message, tmp_path, capsys):
    if "trainer=cuda" in words and torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    assert main(["train", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(message, line)
    assert not list(tmp_path.iterdir())


def test_train_rejects_an_existing_run_dir(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    done = command("model=fnn", "run_dir=mine", cwd=tmp_path)
    assert done.returncode == 2
    assert "already exists" in one_line(done)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_multirun_continues_after_a_failure(tmp_path, capsys):
    words = ["-m", "model=glob(*nn)", "data=wine", "trainer.max_epochs=1", "logger=csv", "trainer=cpu"]
    assert main(["train", *words]) == 2
    output = capsys.readouterr()
    assert "model=cnn does not support" in output.err
    table = {line.split()[0]: line for line in output.out.splitlines() if line.startswith("model=")}
    assert re.fullmatch(r"model=fnn +val/accuracy \d\.\d{4} +runs/fnn-wine/\S+", table["model=fnn"])
    assert re.match(r"model=cnn +failed +model=cnn does not support", table["model=cnn"])
    assert len(list(tmp_path.glob("runs/fnn-wine/*/results.json"))) == 1


def test_train_help_shows_groups_and_choices():
    done = command("--help", cwd=ROOT)
    assert "hidden_sizes" in command("model=fnn", "--help", cwd=ROOT).stdout
    assert done.returncode == 0
    for word in (
        "model=",
        "cnn | dcgan | dqn | fnn",
        "breast_cancer",
        "one_cycle",
        "rmsprop",
        "auto | cpu | cuda | ddp",
        "label_smoothing",
    ):
        assert word in done.stdout


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 5, 7), (3, 32, 32), (2, 3, 40)])
@pytest.mark.parametrize("network", ["plain", "resnet"])
def test_cnn_accepts_small_and_flat_images(network, size):
    spec = ImageSpec("s", "classification", size, classes=("a", "b"))
    model = zoo.create("cnn", spec=spec, network=network, depth=8).eval()
    assert model(torch.rand(2, *size)).shape == (2, 2)


def test_resnet_depth_and_parameters_equal_the_paper():
    spec = ImageSpec("c", "classification", (3, 32, 32), classes=tuple("0123456789"))
    model = zoo.create("cnn", spec=spec, network="resnet", depth=20, base_width=16)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(layers) - 2 == 20  # two 1×1 shortcuts (option B) are not counted
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(0.27e6, rel=0.03)


def test_fnn_residual_layers_add_their_input():
    spec = TableSpec("t", "regression", (4,))
    torch.manual_seed(0)
    model = zoo.create("fnn", spec=spec, hidden_sizes=[4, 4], residual=True, norm="none", dropout=0.0).eval()
    x = torch.randn(3, 4)
    h = x
    for layer in model.network[0:2]:
        h = h + torch.relu(h @ layer[0].weight.T + layer[0].bias)
    assert torch.allclose(model.network[0:2](x), h, atol=1e-6)


@pytest.mark.slow
def test_wheel_trains_from_any_folder(tmp_path):
    words = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        str(ROOT),
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        "w",
    ]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "w").glob("nnzoo-*.whl")
    home = tmp_path / "env"
    venv.create(home, symlinks=True, with_pip=False)
    site = subprocess.run(
        [home / "bin" / "python", "-c", "import site; print(site.getsitepackages()[0])"],
        capture_output=True,
        text=True,
    ).stdout.strip()
    subprocess.run([sys.executable, "-m", "zipfile", "-e", wheel, site], check=True)
    # torch and the others come from this environment; the zoo itself from the wheel alone
    others = [p for p in sys.path if p.endswith("site-packages")]
    (Path(site) / "others.pth").write_text("\n".join(others))
    work = tmp_path / "elsewhere"
    work.mkdir()
    words = [home / "bin" / "python", "-m", "zoo", "train", "model=fnn", "trainer.max_epochs=1", "logger=csv"]
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(words, cwd=work, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(list(work.glob("runs/fnn-digits/*/results.json"))) == 1
    where = [home / "bin" / "python", "-c", "import zoo; print(zoo.__file__)"]
    assert str(home) in subprocess.run(where, cwd=work, env=alone, capture_output=True, text=True).stdout
