"""The time of a training step compared with plain layers of the same size, in one session, interleaved.

Language models are compared with forward and backward passes of torch's layers, without an optimizer step. CNNs,
autoencoders and GANs are compared with a hand-written loop over the same networks, with the same optimizer.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RECURRENT = {"hidden_size": 256, "num_layers": 2, "embedding_dim": 64, "dropout": 0.2}
LANGUAGE: dict[str, dict[str, Any]] = {
    "rnn": RECURRENT,
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "transformer": {"hidden_size": 128, "num_layers": 3, "num_heads": 4, "dropout": 0.1},
}
ROWS, WINDOW, STEPS = 64, 128, 64  # rows and tokens per row of a batch of text; number of timed batches
CODERS: dict[str, dict[str, Any]] = {
    "autoencoder": {"hidden_sizes": [512, 256], "latent_dim": 30},
    "vae": {"hidden_sizes": [512, 256], "latent_dim": 30},
}
IMAGES, BATCHES = 256, 200  # images per batch, and number of timed batches
GAN: dict[str, Any] = {"network": "conv", "channels": [32, 64], "latent_dim": 64, "r1": 0.5, "average": 0.999}
GENERATED = 64  # images per batch of the GAN


CNN: dict[str, Any] = {"network": "lenet", "activation": "relu", "dropout": 0.0}
MODELS = ("cnn", *LANGUAGE, *CODERS, "gan")


def row(model: str, repeats: int) -> dict[str, Any]:
    """Return the row of a training step of ``model``, one of MODELS."""
    if model in LANGUAGE:
        return _language(model, LANGUAGE[model], repeats)
    if model in CODERS:
        return _coder(model, CODERS[model], repeats)
    return _cnn(repeats) if model == "cnn" else _gan(repeats)


def in_turn(
    bare: Callable[[int], float], ours: Callable[[int], dict[str, Any]], repeats: int
) -> tuple[list[float], list[float], list[float], dict[str, Any]]:
    """Measure ``bare`` and ``ours`` in turn; return the seconds of both, their ratios, and the last results of ``ours``."""
    plain, zoo_seconds, results = [], [], {}
    for repeat in range(repeats + 1):
        seconds = bare(repeat)
        results = ours(repeat)
        if repeat:  # the first pair warms up
            plain.append(seconds)
            zoo_seconds.append(results["train_seconds"])
    return plain, zoo_seconds, [m / p for m, p in zip(zoo_seconds, plain, strict=True)], results


def _paired(
    what: str, name: str, dataset: Any, options: dict[str, Any], bare: Callable[[int], float], repeats: int
) -> dict[str, Any]:
    """Return the row of runs of the zoo compared with ``bare``, which returns the seconds of the same number of steps."""
    import zoo
    from zoo.reporting.results import origin

    def run(repeat: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as above, contextlib.redirect_stdout(io.StringIO()):
            folder = str(Path(above) / "run")
            return zoo.train(name, dataset, seed=repeat, report=False, run_dir=folder, **options).results

    plain_seconds, ours, ratios, results = in_turn(bare, run, repeats)
    steps = options["trainer"]["steps_per_epoch"]
    row = {
        "what": f"{what}, {results['params']:,} parameters",
        "step_ratio": statistics.median(ours) / statistics.median(plain_seconds),
        "ratio_spread": [min(ratios), max(ratios)],
        "step_seconds": statistics.median(ours) / steps,
        "bare_step_seconds": statistics.median(plain_seconds) / steps,
        "repeats": repeats,
        "precision": results["precision"],
        **origin("cpu"),
    }
    print(f"{row['what']}: {row['step_ratio']:.3f} times the bare layers {row['ratio_spread']}", flush=True)
    return row


def _language(name: str, options: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return the row of a language model's step compared with torch's layers."""
    from zoo.data import load
    from zoo.data.dataset import Dataset, Windows

    dataset_all = load("text_file", block_size=WINDOW)
    text = dataset_all.train["x"]
    assert isinstance(text, Windows)
    short = {"x": Windows(text.base[: 16 * WINDOW + 1], WINDOW, drop=1)}  # a validation set that takes almost no time
    short["y"] = Windows(text.base[: 16 * WINDOW + 1], WINDOW, first=1)
    dataset = Dataset(dataset_all.spec, dataset_all.train, short, short, stride=WINDOW)
    ours = {"model_kwargs": options, "trainer": {"max_epochs": 1, "steps_per_epoch": STEPS}, "data.batch_size": ROWS}
    symbols = len(dataset_all.spec.vocabulary)
    return _paired(
        f"a step of {name} on text", name, dataset, ours, lambda r: _bare(name, options, symbols, text.base, r), repeats
    )


def _bare(name: str, options: dict[str, Any], symbols: int, text: Any, seed: int) -> float:
    """Return the seconds of forward and backward passes of torch's layers over STEPS batches."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    from zoo.utils.device import select_device, select_precision

    torch.manual_seed(seed)
    device = select_device("auto")
    size, layers, dropout = (options[key] for key in ("hidden_size", "num_layers", "dropout"))
    embedding = nn.Embedding(symbols, options.get("embedding_dim", size))
    recurrent = name != "transformer"
    if recurrent:
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[name]
        stack: Any = kind(embedding.embedding_dim, size, layers, batch_first=True, dropout=dropout)
    else:
        layer = nn.TransformerEncoderLayer(
            size, options["num_heads"], 4 * size, dropout, F.gelu, batch_first=True, norm_first=True
        )
        stack = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
    model = nn.ModuleList([embedding, stack, nn.Linear(size, symbols)]).to(device).train()
    mask = nn.Transformer.generate_square_subsequent_mask(WINDOW, device=device)
    starts = torch.randint(len(text) - WINDOW - 1, (STEPS, ROWS))
    rows = (starts[..., None] + torch.arange(WINDOW + 1)).to(device)
    text = text.to(device)
    cast = torch.autocast(device, torch.bfloat16, enabled=select_precision("auto", device) == "bf16-mixed")
    started = time.perf_counter()
    for step in range(STEPS):
        batch = text[rows[step]].long()
        with cast:
            h = embedding(batch[:, :-1])
            h = stack(h)[0] if recurrent else stack(h, mask=mask, is_causal=True)
            loss = F.cross_entropy(model[2](h).flatten(0, 1).float(), batch[:, 1:].flatten())
        loss.backward()
        for parameter in model.parameters():
            parameter.grad = None
    return time.perf_counter() - started


def _cnn(repeats: int) -> dict[str, Any]:
    """Return the row of LeNet's step on MNIST compared with a hand-written loop over the same network."""
    dataset_all, dataset = _mnist()
    ours = {"model_kwargs": CNN, "trainer": {"max_epochs": 1, "steps_per_epoch": BATCHES}, "data.batch_size": IMAGES}
    return _paired("a step of cnn on MNIST", "cnn", dataset, ours, lambda r: _cnn_by_hand(dataset_all, r), repeats)


def _cnn_by_hand(dataset: Any, seed: int) -> float:
    """Return the seconds of BATCHES steps in a fast hand-written loop."""
    import torch
    import torch.nn.functional as F

    import zoo
    from zoo.utils.device import select_device

    torch.manual_seed(seed)
    device = select_device("auto")
    network = zoo.create("cnn", spec=dataset.spec, **CNN).network.to(device).train()  # type: ignore[union-attr,operator]
    mean, std, y = dataset.spec.mean[0], dataset.spec.std[0], dataset.train["y"].to(device)

    def loss(x: Any, index: Any) -> Any:
        return F.cross_entropy(network((x - mean) / std).float(), y.index_select(0, index))

    return _looped(list(network.parameters()), 0.01, dataset.train["x"], loss)


def _looped(parameters: list[Any], weight_decay: float, x: Any, loss_of: Callable[[Any, Any], Any]) -> float:
    """Return the seconds of BATCHES steps on ``loss_of`` (images in [0, 1], their rows), with AdamW and one cycle."""
    import torch

    from zoo.utils.device import select_device, select_precision

    device = select_device("auto")
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=BATCHES, cycle_momentum=False)
    x = x.to(device)
    order = torch.randperm(len(x))[: BATCHES * IMAGES].to(device).split(IMAGES)
    cast = torch.autocast(device, torch.bfloat16, enabled=select_precision("auto", device) == "bf16-mixed")
    started = time.perf_counter()
    for index in order:
        batch = x.index_select(0, index).float() / 255
        with cast:
            loss = loss_of(batch, index)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return time.perf_counter() - started


def _coder(name: str, options: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Return the row of a step on MNIST compared with a hand-written loop over the same networks."""
    dataset_all, dataset = _mnist()
    args = {**options, **({"test_importance_samples": 1} if name == "vae" else {})}
    ours = {"model_kwargs": args, "trainer": {"max_epochs": 1, "steps_per_epoch": BATCHES}, "data.batch_size": IMAGES}
    return _paired(
        f"a step of {name} on MNIST", name, dataset, ours, lambda r: _by_hand(name, options, dataset_all, r), repeats
    )


def _mnist() -> tuple[Any, Any]:
    """Return MNIST, and a copy with so few validation and test rows that they take almost no time."""
    from dataclasses import replace

    from zoo.data import load

    dataset_all = load("mnist")
    few = {key: value[:IMAGES] for key, value in dataset_all.val.items()}  # type: ignore[index]
    return dataset_all, replace(dataset_all, val=few, test=few)


def _by_hand(name: str, options: dict[str, Any], dataset: Any, seed: int) -> float:
    """Return the seconds of BATCHES steps in a fast hand-written loop."""
    import itertools

    import torch
    import torch.nn.functional as F
    from torch import nn

    from zoo.utils.device import select_device

    torch.manual_seed(seed)
    device, code = select_device("auto"), options["latent_dim"]

    def stack(sizes: Sequence[int]) -> nn.Sequential:
        layers = [[nn.Linear(a, b), nn.ReLU()] for a, b in itertools.pairwise(sizes)]
        return nn.Sequential(*itertools.chain(*layers[:-1]), layers[-1][0])

    sizes = [784, *options["hidden_sizes"]]
    encoder = stack([*sizes, code * (2 if name == "vae" else 1)]).to(device)
    decoder = stack([code, *reversed(sizes)]).to(device)
    mean, std = dataset.spec.mean[0], dataset.spec.std[0]

    def loss(x: Any, index: Any) -> Any:
        z = encoder((x - mean) / std).float()
        if name == "autoencoder":
            return F.mse_loss(decoder(z).float().sigmoid(), x)
        mu, log_var = z.chunk(2, 1)
        z = mu + (0.5 * log_var).exp() * torch.randn_like(mu)
        kl = 0.5 * (mu.square() + log_var.exp() - log_var - 1).sum(1).mean()
        return F.binary_cross_entropy_with_logits(decoder(z).float(), x, reduction="none").sum(1).mean() + kl

    return _looped([*encoder.parameters(), *decoder.parameters()], 0.0, dataset.train["x"].flatten(1), loss)


def _gan(repeats: int) -> dict[str, Any]:
    """Return the row of a GAN's step, of both networks, on MNIST compared with a hand-written loop."""
    dataset_all, dataset = _mnist()
    ours = {"model_kwargs": GAN, "trainer": {"max_epochs": 1, "steps_per_epoch": BATCHES}, "data.batch_size": GENERATED}
    return _paired("a step of gan on MNIST", "gan", dataset, ours, lambda r: _gan_by_hand(dataset_all, r), repeats)


def _gan_by_hand(dataset: Any, seed: int) -> float:
    """Return the seconds of BATCHES steps of both networks in a fast hand-written loop."""
    import copy

    import torch
    from torch import nn
    from torch.nn.functional import softplus

    from zoo.utils.device import select_device, select_precision

    torch.manual_seed(seed)
    device, size = select_device("auto"), GAN["latent_dim"]
    few, many = GAN["channels"]
    up = {"kernel_size": 4, "stride": 2, "padding": 1}
    generator = nn.Sequential(
        *(nn.Linear(size, many * 49, bias=False), nn.Unflatten(1, (many, 7, 7)), nn.BatchNorm2d(many), nn.ReLU()),
        *(nn.ConvTranspose2d(many, few, **up, bias=False), nn.BatchNorm2d(few), nn.ReLU()),
        *(nn.ConvTranspose2d(few, 1, **up), nn.Tanh()),
    ).to(device)
    discriminator = nn.Sequential(
        *(nn.Conv2d(1, few, **up), nn.LeakyReLU(0.2), nn.Conv2d(few, many, **up), nn.LeakyReLU(0.2)),
        *(nn.Flatten(), nn.Linear(many * 49, 1)),
    ).to(device)
    average = copy.deepcopy(generator)
    optimizers = [
        torch.optim.AdamW(net.parameters(), lr=5e-4, betas=(0.0, 0.99), weight_decay=0.0, fused=True)
        for net in (discriminator, generator)
    ]
    x = dataset.train["x"].to(device)
    order = torch.randperm(len(x))[: BATCHES * GENERATED].to(device).split(GENERATED)
    cast = torch.autocast(device, torch.bfloat16, enabled=select_precision("auto", device) == "bf16-mixed")
    started = time.perf_counter()
    for index in order:
        real = (x.index_select(0, index).float() / 127.5 - 1).requires_grad_()
        with cast:
            generated = generator(torch.randn(GENERATED, size, device=device))
            r, f = discriminator(real).float(), discriminator(generated.detach()).float()
            (slope,) = torch.autograd.grad(r.sum(), real, create_graph=True)
            penalty = GAN["r1"] / 2 * slope.float().square().flatten(1).sum(1).mean()
            of_d = softplus(-r).mean() + softplus(f).mean() + penalty
        of_d.backward()
        optimizers[0].step()
        optimizers[0].zero_grad()
        discriminator.requires_grad_(False)
        with cast:
            of_g = softplus(-discriminator(generated).float()).mean()
        of_g.backward()
        discriminator.requires_grad_(True)
        optimizers[1].step()
        optimizers[1].zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - GAN["average"])
    return time.perf_counter() - started
