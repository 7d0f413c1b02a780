"""Pictures of reconstructions and samples for the pages of the models."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA

import zoo
from benchmarks.drawing import figure_of, save, show, tiles
from zoo.data import load
from zoo.data.input_readers import to_float


def autoencoder() -> None:
    """Draw digits, their reconstructions from 16 latent values, and those from 16 principal components."""
    model, data = zoo.load("autoencoder/digits"), load("digits")
    train, x = (to_float(data.train["x"][:]).flatten(1), to_float(data.test["x"][:10]))
    pca = PCA(model.latent_dim).fit(train)
    with torch.no_grad():
        restored = model(x)
    linear = torch.tensor(pca.inverse_transform(pca.transform(x.flatten(1)))).clamp(0, 1).view_as(x)
    figure, axes = figure_of(2.6, 3)
    labels = ("input", f"{model.latent_dim} numbers", f"{model.latent_dim} principal\ncomponents")
    for ax, images, label in zip(axes, (x, restored, linear), labels, strict=True):
        show(ax, tiles(images, 10), vmin=0, vmax=1)
        ax.text(-0.02, 0.5, label, ha="right", va="center", transform=ax.transAxes)
    save(figure, "autoencoder")


def vae() -> None:
    """Draw samples, and decoded codes on a grid over the 2-D latent space."""
    model = zoo.load("vae/digits")
    at = torch.distributions.Normal(0, 1).icdf(torch.linspace(0.05, 0.95, 8))
    with torch.no_grad():
        grid = model.decode(torch.cartesian_prod(at.flip(0), at).flip(1))
    figure, (left, right) = figure_of(3.6, 1, 2)
    show(left, tiles(model.sample(64, seed=0).cpu(), 8), "samples", vmin=0, vmax=1)
    show(right, tiles(grid, 8), "the latent space", vmin=0, vmax=1)
    save(figure, "vae")


def gan() -> None:
    """Draw real and generated digits."""
    model, x = zoo.load("gan/digits"), load("digits").test["x"]
    figure, (left, right) = figure_of(3.6, 1, 2)
    show(left, tiles(to_float(x[:64]), 8), "real images", vmin=0, vmax=1)
    show(right, tiles(model.sample(64, seed=0).cpu(), 8), "generated images", vmin=0, vmax=1)
    save(figure, "gan")
