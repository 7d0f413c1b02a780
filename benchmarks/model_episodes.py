"""Pictures of reinforcement learning for the pages of the models: episodes, actions and values."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gymnasium
import matplotlib.pyplot as plt
import numpy as np
import torch

import zoo
from benchmarks.drawing import BLUE, ORANGE, figure_of, save, show, train


class Episode:
    """An episode of an environment with a model's greedy actions: its frames, observations and actions."""

    def __init__(self, model: Any, env_id: str, *, seed: int = 0, **options: Any) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame renders without a screen
        env: Any = gymnasium.make(env_id, render_mode="rgb_array")
        x, _ = env.reset(seed=seed, options=options or None)
        self.frames, self.x, self.actions, ended = [env.render()], [x], [], False
        while not ended:
            action = model.greedy(torch.from_numpy(x).float()[None])["action"][0].cpu().numpy()
            x, _, terminated, truncated, _ = env.step(action)
            self.frames.append(env.render())
            self.x.append(x)
            self.actions.append(action)
            ended = terminated or truncated
        env.close()

    def strip(self, axes: Any, steps: Sequence[int], crop: tuple[slice, slice]) -> None:
        """Draw the frames of the given steps."""
        for ax, step in zip(axes, steps, strict=True):
            show(ax, self.frames[step][crop], f"step {step}")


TRACK, CENTER = (slice(130, 330), slice(None)), (slice(60, 460), slice(50, 450))


def _evenly(episode: Episode, count: int) -> list[int]:
    """Return ``count`` evenly spaced steps, from the first to the last one."""
    return [round(part * (len(episode.frames) - 1) / (count - 1)) for part in range(count)]


def ppo() -> None:
    """Draw an episode of Acrobot, in which a two-link pendulum swings its tip above a line."""
    episode = Episode(train("ppo", "acrobot", epochs=3), "Acrobot-v1")
    figure, axes = figure_of(1.6, 1, 6)
    episode.strip(axes, _evenly(episode, 6), CENTER)
    save(figure, "ppo")


def a2c() -> None:
    """Draw the actor's probabilities and the critic's values over angle and angular velocity of a pole."""
    model = train("a2c", "cartpole")
    angle, speed = torch.meshgrid(torch.linspace(-0.2, 0.2, 81), torch.linspace(-2, 2, 81), indexing="xy")
    zero = torch.zeros_like(angle)
    x = torch.stack([zero, zero, angle, speed], 2).view(-1, 4)
    with torch.no_grad():
        right, value = model(x).softmax(1)[:, 1].view_as(angle), model.value(x).view_as(angle)
    figure, axes = figure_of(3.4, 1, 2, sharey=True)
    for ax, field, label, cmap in (
        (axes[0], right, "actor: probability of a push right", "PuOr"),
        (axes[1], value, "critic: value of the state", "viridis"),
    ):
        extent = (*(angle.rad2deg()[0, [0, -1]]).tolist(), -2, 2)
        image = ax.imshow(field, origin="lower", extent=extent, aspect="auto", cmap=cmap)
        figure.colorbar(image, ax=ax, orientation="horizontal", label=label)
        ax.set_xlabel("angle of the pole (°)")
    axes[0].set_ylabel("angular velocity (rad/s)")
    save(figure, "a2c")


def reinforce() -> None:
    """Draw an episode before and after training."""
    trained = train("reinforce", "cartpole")
    torch.manual_seed(0)
    figure, axes = figure_of(2.6, 2, 4)
    for row, model, label in zip(axes, (zoo.create("reinforce"), trained), ("untrained", "trained"), strict=True):
        episode = Episode(model, "CartPole-v1")
        episode.strip(row, _evenly(episode, 4), TRACK)
        row[0].text(-0.05, 0.5, label, rotation=90, ha="right", va="center", transform=row[0].transAxes)
    save(figure, "reinforce")


def dqn() -> None:
    """Draw an episode that starts with a tilted pole, and the values of both actions."""
    model = zoo.load("dqn/cartpole")
    episode, steps = Episode(model, "CartPole-v1", low=0.12, high=0.121), 81
    with torch.no_grad():
        values = model(torch.from_numpy(np.stack(episode.x[:steps])))
    figure = plt.figure(figsize=(7, 3.9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.7])
    episode.strip(above.subplots(1, 4), [0, 20, 40, 80], TRACK)
    ax = below.subplots()
    for action, label, color, style in ((0, "push left", BLUE, "-"), (1, "push right", ORANGE, "--")):
        ax.plot(values[:, action], style, color=color, linewidth=2, label=label)
    ax.set(xlabel="step", ylabel="Q(s, a)")
    ax.legend(frameon=False)
    save(figure, "dqn")


def sac() -> None:
    """Draw an episode in which a pendulum swings up, and the torque on it."""
    episode = Episode(zoo.load("sac/pendulum"), "Pendulum-v1", seed=10)
    figure = plt.figure(figsize=(7, 3.9), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    episode.strip(above.subplots(1, 6), [0, 10, 20, 30, 40, 80], CENTER)
    ax = below.subplots()
    ax.step(range(100), [action[0] for action in episode.actions[:100]], where="post", color=BLUE, linewidth=2)
    ax.axhline(0, color="#bbbbbb", linewidth=1)
    ax.set(xlabel="step", ylabel="torque (N m)", ylim=(-2.1, 2.1))
    save(figure, "sac")
