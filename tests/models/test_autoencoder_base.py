"""Autoencoder and VAE: bounds against closed forms, noise, anomalies, latent codes, commands."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import DATA

import zoo
from zoo.__main__ import main
from zoo.data import load
from zoo.data.image.spec import UNLABELED_DIGITS, ImageSpec
from zoo.data.loader import EvalLoader, Shard
from zoo.data.noise import add_noise
from zoo.data.prepare import unlabeled
from zoo.data.table.modality import TableScaler
from zoo.data.table.spec import TableSpec
from zoo.exceptions import ZooError
from zoo.models.vae import kl_to_prior, log_normal, log_ratio
from zoo.tasks.baselines import baselines
from zoo.tasks.reconstruction import Reconstruction
from zoo.utils.random import PerSampleGenerator

TABLE = TableSpec("example", "reconstruction", (5,), mean=(0.0,) * 5, std=(1.0,) * 5)


def digits(**options):
    return unlabeled(load("digits"), "reconstruction", **options)


# --- bounds ---


def test_kl_to_prior_equals_its_monte_carlo_estimate():
    torch.manual_seed(0)
    mean, log_var = torch.randn(4, 3), torch.randn(4, 3)
    z = mean + (0.5 * log_var).exp() * torch.randn(200_000, 4, 3)
    drawn = -log_ratio(z, mean, log_var).mean(0)
    assert torch.allclose(kl_to_prior(mean, log_var).sum(1), drawn, atol=0.03)


def linear_vae(latent=2, **options):
    torch.manual_seed(0)
    model = zoo.create("vae", spec=TABLE, hidden_sizes=[], latent_dim=latent, likelihood="gaussian", **options).eval()
    with torch.no_grad():
        model.decoder[0].weight.mul_(3)
        model.log_scale.fill_(math.log(0.7))
    return model


def test_importance_sampling_equals_linear_gaussian_likelihood():
    model = linear_vae(test_importance_samples=4000)
    with torch.no_grad():
        w, b = model.decoder[0].weight, model.decoder[0].bias
        exact = torch.distributions.MultivariateNormal(b, w @ w.T + 0.49 * torch.eye(5))
        x = exact.sample((64,))
        precision = torch.eye(2) + w.T @ w / 0.49  # of the true posterior, which the encoder is given
        model.encoder[1].weight[:2] = torch.linalg.solve(precision, w.T / 0.49)
        model.encoder[1].bias[:2] = -model.encoder[1].weight[:2] @ b
        model.encoder[1].weight[2:], model.encoder[1].bias[2:] = 0, precision.inverse().diagonal().log()
        model.begin_evaluation("test")
        output = model.eval_step({"x": x, "row": torch.arange(64)})
        nll = -exact.log_prob(x)
    assert torch.allclose(output["nll"], nll, atol=0.15)
    assert abs(float((output["nll"] - nll).mean())) < 0.02
    assert float((-output["elbo"]).mean()) > float(nll.mean())


def test_iwae_bound_tightens_with_importance_samples():
    torch.manual_seed(1)
    x = torch.randn(512, 5)
    batch = {"x": x}
    means = []
    for k in (1, 5, 50):
        model = linear_vae(importance_samples=k)
        with torch.no_grad():
            means.append(float(torch.stack([model.compute_loss(batch)[0] for _ in range(100)]).mean()))
    assert means[0] > means[1] > means[2]
    model = linear_vae()
    mean, log_var = model.posterior(x)
    z = mean + (0.5 * log_var).exp() * torch.randn(400, *mean.shape)
    log_likelihood = log_normal(x, model.decoder[0](z), torch.full((1,), 2 * math.log(0.7)))
    plain = -(log_likelihood + log_ratio(z, mean, log_var)).mean()
    assert means[0] == pytest.approx(float(plain.detach()), abs=0.3)
    assert means[0] - means[1] > 1


def test_free_bits_and_kl_warmup():
    model = zoo.create("vae", spec=TABLE, free_bits=0.5, kl_warmup=0.5, beta=2.0)
    x = torch.randn(64, 5)
    model.loop.total_steps = 100
    assert [round(model.kl_weight(), 2) for model.loop.steps in (0, 24, 49, 99)] == [0.04, 1.0, 2.0, 2.0]
    with torch.no_grad():
        model.encoder[-1].weight.zero_()
        model.encoder[-1].bias.zero_()  # q(z|x) is the prior: no KL, and all of it free
    loss, counts = model.compute_loss({"x": x})
    free = 0.5 * model.latent_dim * model.kl_weight()
    assert float(loss.detach()) == pytest.approx(free - float(counts["log_likelihood"]) / 64, rel=1e-5)
    assert float(counts["kl"]) == 0


# --- noise ---


@pytest.mark.parametrize("count", [2500, 2001])
def test_per_sample_generator_is_independent_of_processes(count):
    x = torch.zeros(count, 6)
    alone = torch.cat([PerSampleGenerator(b["row"]).normal(6) for b in EvalLoader({"x": x})])
    for world in (2, 3):
        for rank in range(world):
            batches = list(EvalLoader({"x": x}, shard=Shard(rank, world)))
            shared = torch.cat([PerSampleGenerator(b["row"]).normal(6) for b in batches])
            assert torch.equal(shared, alone[torch.cat([b["row"] for b in batches])])
    assert abs(float(alone.std()) - 1) < 0.02
    assert not torch.equal(alone[:1000], alone[1000:2000])


def test_add_noise_has_its_distribution():
    torch.manual_seed(0)
    x = torch.full((50, 1, 20, 20), 0.5)
    assert float((add_noise(x, "gaussian", 0.1, image=True) - x).std()) == pytest.approx(0.1, abs=0.002)
    strong = add_noise(x, "gaussian", 2.0, image=True)
    assert float(strong.min()) == 0
    assert float(strong.max()) == 1
    hit = add_noise(x, "salt_and_pepper", 0.2, image=True)
    assert [round(float((hit == v).float().mean()), 1) for v in (0.0, 1.0)] == [0.1, 0.1]
    assert float((add_noise(x, "masking", 0.3, image=True) == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert add_noise(x, "none", 0.3, image=True) is x


def test_denoising_autoencoder_beats_classic_filters(quick):
    quick["trainer"]["max_epochs"] = 40
    options = {"noise": "gaussian", "noise_level": 0.3}
    run = zoo.train("autoencoder", model_kwargs=options, **quick)
    scores = run.results["baselines"]
    assert run.metrics["test/psnr"] > scores["noisy input"]["psnr"] + 2
    assert run.metrics["test/psnr"] > max(scores[name]["psnr"] for name in ("wavelets", "non-local means"))
    clean = load("digits").test["x"][:1].numpy()
    assert run.model.predict(clean)["reconstruction"].shape == (1, 1, 8, 8)


# --- networks ---


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 30), (2, 7, 5), (1, 28, 28)])
def test_autoencoders_conv_accept_images_of_any_size(shape):
    spec = replace(UNLABELED_DIGITS, input_shape=shape, mean=(0.0,) * shape[0], std=(1.0,) * shape[0])
    for name in ("autoencoder", "vae"):
        for norm in ("none", "batch", "layer"):
            model = zoo.create(name, spec=spec, network="conv", norm=norm, channels=[4, 8, 8]).eval()
            assert model(torch.rand(2, *shape)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "model.latent_dim=0: must be an integer at least 1"),
        ({"network": "conv", "spec": TABLE}, "requires images, but example is table data"),
        ({"likelihood": "bernoulli", "spec": TABLE}, "requires images, but example is table data"),
        (
            {"noise": "salt_and_pepper", "noise_level": 1.5},
            "model.noise_level=1.5: must be a number at least 0 and at most 1",
        ),
        ({"noise": "gausian"}, "did you mean 'gaussian'"),
        ({"hidden_sizes": 3}, "model.hidden_sizes=3: must be a list of integers"),
    ],
)
def test_autoencoder_rejects_invalid_options(options, message):
    with pytest.raises(ZooError, match=message.replace("[", r"\[")):
        zoo.create("autoencoder", **options)


def test_autoencoder_notes_a_latent_larger_than_input(capsys):
    zoo.create("autoencoder", spec=TABLE, latent_dim=9)
    assert "model.latent_dim=9 is more than the 5 values of a row of example" in capsys.readouterr().err
    assert zoo.create("autoencoder", spec=TABLE).latent_dim == 2


# --- learning ---


@pytest.mark.slow
def test_autoencoder_and_vae_beat_pca(quick):
    quick["trainer"]["max_epochs"] = 45
    for name, options in (("autoencoder", {}), ("vae", {"latent_dim": 2})):
        run = zoo.train(name, model_kwargs=options, **quick)
        pca = run.results["baselines"]["pca"]
        assert run.metrics["test/mse"] < pca["mse"], name
        assert {p.stem for p in run.plots} >= {"reconstructions", "interpolation", "codes", "curves"}
    assert run.metrics["test/knn_accuracy"] > pca["knn_accuracy"] + 0.05
    assert run.metrics["test/elbo"] > run.results["baselines"]["independent pixels"]["elbo"]
    assert -run.metrics["test/nll"] > run.metrics["test/elbo"]


@pytest.mark.slow
def test_sparsity_weight_shrinks_latent_codes(quick):
    sizes = []
    for weight in (0.0, 0.1):
        run = zoo.train("autoencoder", model_kwargs={"sparsity_weight": weight}, **quick)
        sizes.append(float(run.model.encode_split(digits().test).abs().mean()))
    assert sizes[1] < 0.5 * sizes[0]


def test_conditional_vae_samples_the_given_class(quick):
    quick["trainer"]["max_epochs"] = 25
    run = zoo.train("vae", model_kwargs={"conditional": True, "latent_dim": 2}, **quick)
    data = load("digits")
    means = torch.stack([data.train["x"][data.train["y"] == k].float().mean(0) / 255 for k in range(10)])
    for k in range(10):
        drawn = run.model.sample(20, label=str(k))
        nearest = (drawn[:, None] - means).square().flatten(2).sum(2).argmin(1)
        assert float((nearest == k).float().mean()) > 0.6
    with pytest.raises(ZooError, match="needs class labels, as y"):
        run.model.predict(data.test["x"][:1].numpy())
    with pytest.raises(ZooError, match="label"):
        run.model.sample(1, label="x")


@pytest.mark.slow
def test_vae_warns_of_posterior_collapse(quick, capsys):
    run = zoo.train("vae", model_kwargs={"beta": 50.0}, **quick)
    assert run.metrics["test/active_units"] == 0
    assert "posterior has collapsed" in capsys.readouterr().err


# --- anomalies ---


def test_normal_classes_restrict_training_rows():
    plain, data = load("digits"), digits(normal=[3, "5"])
    normal = (plain.train["y"] == 3) | (plain.train["y"] == 5)
    assert torch.equal(data.train["x"], plain.train["x"][normal])
    assert not data.train["y"].any()
    assert torch.equal(data.test["y"] == 0, (plain.test["y"] == 3) | (plain.test["y"] == 5))
    x = plain.train["x"][normal].float() / 255
    assert data.spec.mean[0] == pytest.approx(float(x.mean()), rel=1e-5)
    assert (data.spec.classes, data.spec.normal_classes) == (("normal", "anomaly"), ("3", "5"))


def test_anomaly_detection_ranks_and_flags(quick):
    quick["trainer"]["max_epochs"] = 30
    run = zoo.train("autoencoder", model_kwargs={"latent_dim": 8}, **{"data.normal_classes": [0, 6]}, **quick)
    assert run.metrics["test/auroc"] > 0.95
    assert run.metrics["test/f1"] > 0.9
    assert run.results["baselines"]["isolation forest"]["auroc"] > 0.5
    assert {"scores", "anomalies"} <= {p.stem for p in run.plots}
    data = load("digits")
    label = zoo.load(run.folder / "checkpoints" / "best.ckpt").predict(data.test["x"].numpy())["label"]
    flagged = np.array(label) == "anomaly"
    is_anomaly = ~np.isin(data.test["y"].numpy(), [0, 6])
    assert (flagged == is_anomaly).mean() > 0.85


@pytest.mark.parametrize(
    ("normal", "message"),
    [
        ([11], "unknown data.normal_classes '11'"),
        ([], "must be a list of classes"),
        (list(range(10)), "includes all classes of digits"),
    ],
)
def test_normal_classes_reject_invalid_values(normal, message):
    with pytest.raises(ZooError, match=message):
        digits(normal=normal)


def test_anomaly_metrics_equal_scikit_learn_at_any_scale():
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    score = np.concatenate([rng.normal(0, 0.2, 200), rng.normal(80, 60, 200)]) + 15 * y  # one batch small, one large
    objective = digits(normal=[1]).spec
    objective = zoo.create("autoencoder", spec=objective).task
    metrics = objective.metrics("test")
    x = torch.zeros(200, 1, 8, 8)
    for part in (slice(0, 200), slice(200, 400)):
        output = {"output": x, "score": torch.from_numpy(score[part])}
        objective.update(metrics, output, {"x": x, "y": torch.from_numpy(y[part])})
    values = metrics.scalars()
    assert values["auroc"] == pytest.approx(roc_auc_score(y, score), abs=1e-6)
    assert values["average_precision"] == pytest.approx(average_precision_score(y, score), abs=1e-6)


def test_anomaly_score_of_images_averages_neighborhoods():
    spec = ImageSpec("x", "reconstruction", (1, 6, 6), classes=("normal", "anomaly"), normal_classes=("normal",))
    objective = Reconstruction(spec)
    x, reconstruction = torch.zeros(2, 1, 6, 6), torch.zeros(2, 1, 6, 6)
    reconstruction[0, 0, 2, 2], reconstruction[0, 0, 2, 3] = 0.6, -0.6  # a line a pixel to the side
    reconstruction[1, 0, 2, 2], reconstruction[1, 0, 2, 3] = 0.6, 0.6  # a part that is not there
    assert torch.allclose(*objective.error(reconstruction, x).split(1))
    padded = np.pad((reconstruction - x)[:, 0].numpy(), ((0, 0), (1, 1), (1, 1)))
    means = [[padded[:, i : i + 3, j : j + 3].mean((1, 2)) for j in range(6)] for i in range(6)]
    expected = np.square(means).mean((0, 1))
    scores = objective.score({"output": reconstruction}, x)
    assert scores.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert scores[1] > 3 * scores[0]


def test_best_threshold_of_negative_scores():
    from zoo.metrics.scores import best_threshold

    score, is_anomaly = torch.tensor([-50.0, -20.0, -10.0]), torch.tensor([True, True, True])
    assert bool((score >= best_threshold(score, is_anomaly, "f1")).all())
    assert best_threshold(torch.tensor([-5.0, -3.0, 1.0]), torch.tensor([False, True, True]), "f1") == -4


def test_anomaly_windows_are_excluded_from_training(tmp_path, quick):
    step = np.arange(600)
    frame = pd.DataFrame({"t": pd.date_range("2024-01-01", periods=600, freq="h"), "v": np.sin(step / 4)})
    frame.loc[100:105, "v"] = 1000.0
    frame.loc[540:549, "v"] = 3.0
    frame.to_csv(tmp_path / "s.csv", index=False)
    spans = [[str(frame["t"][a]), str(frame["t"][b])] for a, b in ((100, 105), (540, 549))]
    (tmp_path / "a.json").write_text(json.dumps({"else/s.csv": spans, "other.csv": []}))
    files = {"data.path": str(tmp_path / "s.csv"), "data.anomaly_windows": str(tmp_path / "a.json")}
    data = load(
        "series",
        path=files["data.path"],
        anomaly_windows=files["data.anomaly_windows"],
        context_length=12,
        prediction_length=1,
    )
    windows = unlabeled(data, "reconstruction")
    x = windows.train["x"]
    assert float(torch.stack([x[n] for n in range(len(x))]).max()) <= 1
    assert len(x) == (420 - 11) - (6 + 11)  # of the first 420 rows, without the windows that touch the six
    assert windows.spec.std[0] < 1
    assert [len(part["x"]) for part in (windows.val, windows.test)] == [60 - 11, 120 - 11]
    assert int(windows.test["y"].sum()) == 10 + 11
    run = zoo.train("autoencoder", "series", **files, **{"data.context_length": 12}, **quick)
    assert run.metrics["test/auroc"] > 0.9
    with pytest.raises(ZooError, match="data.anomaly_windows: needs a model for anomaly detection"):
        zoo.train("gru", "series", **files)
    (tmp_path / "a.json").write_text("[[1]]")
    with pytest.raises(ZooError, match="is not a pair of times"):
        load("series", path=files["data.path"], anomaly_windows=files["data.anomaly_windows"])


def test_unlabeled_notes_a_test_without_anomalies(capsys):
    data = load("digits")
    test = {key: value[data.test["y"] == 1] for key, value in data.test.items()}
    dataset = unlabeled(replace(data, test=test), "reconstruction", normal=[1])
    assert "has no anomaly, so AUROC is undefined" in capsys.readouterr().err
    assert "auroc" not in baselines(dataset)["pca"]


def test_normal_classes_need_an_anomaly_model():
    with pytest.raises(ZooError, match="data.normal_classes: needs a model for anomaly detection: autoencoder, vae"):
        zoo.train("fnn", **{"data.normal_classes": [1]})


# --- rows without labels ---


def test_reconstruction_trains_without_labels(quick, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)) @ rng.normal(size=(3, 8))
    frame = pd.DataFrame(x, columns=list("abcdefgh")).assign(kind=rng.choice(["u", "v"], 200))
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert zoo.train("autoencoder", x, **quick).model.spec.task == "reconstruction"
    run = zoo.train("vae", frame, **quick)
    assert run.model.spec.outputs == 10  # each text is a number of its own
    reconstruction = run.model.predict(frame.iloc[:2])["reconstruction"]
    assert reconstruction.shape == (2, 10)
    run = zoo.train("autoencoder", "csv", **{"data.path": str(tmp_path / "t.csv")}, **quick)
    assert run.model.spec.columns[-1] == "kind"


def test_reconstruction_of_series_windows(quick):
    run = zoo.train("autoencoder", "series", **quick)
    assert run.model.predict(load("series").test["x"][0].numpy())["reconstruction"].shape == (1, 104, 1)


def test_binarized_mnist_reads_its_files(tmp_path):
    for part in ("train", "valid", "test"):
        np.savetxt(tmp_path / f"b_{part}.amat", np.zeros((3, 784), int), fmt="%d")
    with pytest.raises(ZooError, match=r"has shape \(3, 784\); must be 50000 rows of 784 zeros and ones"):
        load("binarized_mnist", path=str(tmp_path))
    with pytest.raises(ZooError, match="download the three files from"):
        load("binarized_mnist", path=str(tmp_path / "nowhere"))
    if (DATA / "binarized_mnist").is_dir():
        data = load("binarized_mnist", root=str(DATA))
        assert data.sizes == (50_000, 10_000, 10_000)
        assert data.spec.mean[0] == pytest.approx(0.13056, abs=1e-4)


# --- commands ---


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    above = tmp_path_factory.mktemp("runs")
    short = {"trainer": {"max_epochs": 3, "precision": "32-true"}, "logger": "csv", "report": False}
    zoo.train("autoencoder", model_kwargs={"noise": "gaussian"}, run_dir=str(above / "ae"), **short)
    zoo.train("vae", run_dir=str(above / "vae"), **{"data.normal_classes": [1]}, **short)
    return above


def run_command(capsys, *args):
    code = main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_encode_writes_codes_with_classes(run, capsys, tmp_path):
    code, out = run_command(capsys, "encode", run / "ae", f"out={tmp_path / 'c.npz'}")
    assert code == 0
    assert "k-NN accuracy" in out
    archive = np.load(tmp_path / "c.npz")
    model = zoo.load(run / "ae" / "checkpoints" / "best.ckpt")
    assert np.allclose(archive["codes"], model.encode_split(load("digits").test).numpy())
    assert np.array_equal(archive["y"], load("digits").test["y"].numpy())
    assert run_command(capsys, "encode", run / "ae", f"out={tmp_path / 'c.csv'}")[0] == 0
    rows = list(csv.DictReader((tmp_path / "c.csv").open()))
    assert len(rows) == 360
    assert rows[0]["class"] == str(int(archive["y"][0]))
    assert (tmp_path / "c.png").stat().st_size > 5000


def test_anomalies_sample_interpolate_and_denoise_from_a_checkpoint(run, capsys, tmp_path):
    code, out = run_command(capsys, "anomalies", run / "vae", f"out={tmp_path / 's.csv'}")
    assert code == 0
    assert "isolation forest" in out
    rows = list(csv.DictReader((tmp_path / "s.csv").open()))
    model = zoo.load(run / "vae" / "checkpoints" / "best.ckpt")
    predictions = model.predict(load("digits").test["x"].numpy())
    assert [float(r["score"]) for r in rows] == pytest.approx(predictions["score"].tolist(), rel=1e-4)
    assert [r["alarm"] == "1" for r in rows] == [label == "anomaly" for label in predictions["label"]]
    assert sum(int(r["anomaly"]) for r in rows) == int((load("digits").test["y"] != 1).sum())
    for args in (("sample", run / "vae"), ("interpolate", run / "ae", "from=3", "to=5"), ("denoise", run / "ae")):
        assert run_command(capsys, *args, f"out={tmp_path / 'p.png'}")[0] == 0
        assert (tmp_path / "p.png").stat().st_size > 2000
        (tmp_path / "p.png").unlink()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("anomalies", "ae"), "needs a model trained with data.normal_classes"),
        (("denoise", "vae"), "needs a denoising autoencoder of images"),
        (("encode", "ae", "out=c.txt"), "must end in .npz or .csv"),
        (("encode", "ae", "out=nowhere/c.npz"), "the folder nowhere does not exist"),
        (("encode", "ae", "data=wine"), "rows have shape (13,), but the model was trained on (1, 8, 8)"),
        (("interpolate", "ae", "to=999"), "to=999: must be the number of a test row, from 0 to 359"),
        (("interpolate", "ae", "steps=1"), "steps=1: must be an integer at least 2"),
        (("interpolate", "ae", "steps=700"), "steps=700: must be at most 50"),
        (("sample", "ae"), "does not generate images"),
        (("sample", "vae", "cuont=3"), "did you mean 'count'"),
        (("sample", "vae", "label=3"), "needs a model trained with model.conditional=true"),
        (("sample", "vae", "count=6000"), "count=6000: must be from 1 to 1,024"),
        (("sample", "vae", "out=x.txt"), "must end in .png, .pdf, .svg or .npz"),
        (("anomalies", "vae", "data=digits"), "has no normal classes. Set data.normal_classes="),
        (("encode",), "needs one checkpoint or run folder"),
    ],
)
def test_generative_commands_reject_invalid_arguments_in_one_line(run, capsys, args, line):
    resolved = [args[0], *(run / arg if arg in ("ae", "vae") else arg for arg in args[1:])]
    code, out = run_command(capsys, *resolved)
    assert code == 2
    assert line in out
    assert out.count("\n") == 1


def test_table_of_categories_alone_is_reconstructed(tmp_path):
    rng = np.random.default_rng(0)
    color = rng.choice(["red", "green", "blue"], 200)
    frame = pd.DataFrame({"color": color, "shade": np.char.add(color, "ish"), "size": rng.choice(["S", "L"], 200)})
    frame.to_csv(tmp_path / "shirts.csv", index=False)
    run = zoo.train(
        "autoencoder", "csv", run_dir=str(tmp_path / "run"), report=False, epochs=1, logger="csv",
        **{"data.path": str(tmp_path / "shirts.csv"), "data.target": "size", "model.latent_dim": 2},
    )  # fmt: skip
    assert run.model.predict(frame.drop(columns="size"))["reconstruction"].shape == (200, 6)


def test_table_scaler_of_categories_alone_is_one_hot():
    spec = TableSpec("shirts", "reconstruction", (2,), categories=(("blue", "red", "white"), ("L", "S")))
    scaler = TableScaler(spec)
    rows = torch.tensor([[1.0, 2.0], [3.0, 1.0], [0.0, 2.0]])  # 0 is a category that training lacks
    one_hot = torch.tensor([[1.0, 0, 0, 0, 1], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    assert torch.equal(scaler.transform(rows), one_hot)
    assert torch.equal(scaler.inverse_transform(one_hot), one_hot)
