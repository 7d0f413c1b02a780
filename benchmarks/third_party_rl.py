"""The zoo's policies compared with stable-baselines3 in the same environments, in turn.

Each seed has three rows:

- the zoo's recipe
- stable-baselines3 with the hyperparameters and the number of steps of rl-baselines3-zoo
- PPO of stable-baselines3 with the hyperparameters of the zoo's recipe

Each policy is tested greedily on the zoo's schedule, in separate environments and with the clock stopped. ``steps_to``
is the number of steps at the first test whose mean return reaches ``goal``.
"""

from __future__ import annotations

import csv
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.jobs import Job, timed
from benchmarks.quality import Case
from benchmarks.runs import trained
from zoo.exceptions import ZooError, install

LIBRARY = "stable-baselines3"
# By model and data: the mean return that counts as solved, and the settings of rl-baselines3-zoo's hyperparams/*.yml
PAIRS: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {
    ("ppo", "cartpole"): (
        475,
        {
            "n_timesteps": 100_000,
            "n_envs": 8,
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "learning_rate": "lin_0.001",
            "clip_range": "lin_0.2",
        },
    ),
    ("ppo", "acrobot"): (
        -82,
        {
            "n_timesteps": 1_000_000,
            "n_envs": 16,
            "n_steps": 256,
            "gae_lambda": 0.94,
            "n_epochs": 4,
            "normalize": True,
        },
    ),
    ("ppo", "pendulum"): (
        -250,
        {
            "n_timesteps": 100_000,
            "n_envs": 4,
            "n_steps": 1024,
            "gamma": 0.9,
            "learning_rate": 1e-3,
            "use_sde": True,
            "sde_sample_freq": 4,
        },
    ),
    ("ppo", "lunar_lander"): (
        200,
        {
            "n_timesteps": 1_000_000,
            "n_envs": 16,
            "n_steps": 1024,
            "batch_size": 64,
            "gae_lambda": 0.98,
            "gamma": 0.999,
            "n_epochs": 4,
            "ent_coef": 0.01,
        },
    ),
    ("dqn", "cartpole"): (
        475,
        {
            "n_timesteps": 50_000,
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1000,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "net_arch": [256, 256],
        },
    ),
    ("sac", "pendulum"): (-170, {"n_timesteps": 20_000, "learning_rate": 1e-3}),
}


def fits(case: Case) -> bool:
    """Return whether there are settings for a case."""
    return (case.model, case.data) in PAIRS and not case.words


def jobs(case: Case, seeds: int, earlier: Sequence[dict[str, Any]]) -> list[Job]:
    """Return the jobs of each seed. Combinations in the ``earlier`` rows are skipped.

    Raises:
        ZooError: stable-baselines3 is not installed.
    """
    if find_spec("stable_baselines3") is None:
        raise ZooError(f"suite=third_party model={case.model}: needs {LIBRARY}; {install('benchmarks')}")
    goal, listed = PAIRS[case.model, case.data]
    plan = case.plan()
    ours: dict[str, Callable[[int], dict[str, Any]]] = {
        "zoo": lambda seed: _zoo(case, seed, goal),
        f"{LIBRARY}, its settings": lambda seed: _stable(case.model, listed, plan.values, seed, goal),
    }
    if case.model == "ppo":
        same = _as_ours(plan.values)
        ours[f"{LIBRARY}, our settings"] = lambda seed: _stable("ppo", same, plan.values, seed, goal)
    earlier = [row for row in earlier if row["library"] == LIBRARY]
    done = {(row["model"], row["data"], row["by"], row["seed"]) for row in earlier}
    took = timed(earlier, lambda row: (row["model"], row["data"], row["by"]), "train_seconds")
    return [
        Job(
            f"{case.model} on {case.data} by {by}, seed {seed}",
            partial(_one, {"model": case.model, "data": case.data, "library": LIBRARY, "by": by, "seed": seed}, run),
            took.get((case.model, case.data, by)),
        )
        for seed in range(seeds)
        for by, run in ours.items()
        if (case.model, case.data, by, seed) not in done
    ]


def _one(about: dict[str, Any], run: Callable[[int], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    row = {**about, **run(about["seed"])}
    print(
        f"    return {row['metrics']['test/return']:.1f}, {row['steps_per_second']:,.0f} steps/s, "
        f"{row['goal']} after {row['steps_to']}",
        flush=True,
    )
    yield row


def _first(tested: list[tuple[int, float]], goal: float) -> int | None:
    """Return the number of steps at the first test that reached ``goal``."""
    return next((steps for steps, value in tested if value >= goal), None)


def _zoo(case: Case, seed: int, goal: float) -> dict[str, Any]:
    """Return the row of the recipe, trained by the train.py command."""
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "run"
        content = trained([f"model={case.model}", f"data={case.data}", f"seed={seed}", "logger=csv"], folder)
        with (folder / "metrics.csv").open() as file:
            tested = [(int(float(r["samples"])), float(r["val/return"])) for r in csv.DictReader(file)]
    steps = tested[-1][0]
    row = {key: content[key] for key in ("metrics", "device", "threads", "precision", "versions", "commit")}
    seconds = content["train_seconds"] - content["validation_seconds"]
    return row | {
        "train_seconds": round(seconds, 3),
        "steps": steps,
        "steps_per_second": steps / seconds,
        "goal": goal,
        "steps_to": _first(tested, goal),
    }


def _as_ours(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return stable-baselines3's names for the settings of a run of ``model=ppo``."""
    model, data, optimizer = values["model"], values["data"], values["optimizer"]
    rate = optimizer["lr"]
    return {
        "n_envs": data["num_envs"],
        "n_steps": data["num_steps"],
        "batch_size": data["batch_size"],
        "n_epochs": model["n_epochs"],
        "gamma": model["gamma"],
        "gae_lambda": model["gae_lambda"],
        "clip_range": model["clip_range"],
        "ent_coef": model["ent_coef"],
        "vf_coef": model["vf_coef"],
        "max_grad_norm": values["trainer"]["gradient_clip_val"],
        "learning_rate": f"lin_{rate}" if values["scheduler"]["name"] == "linear" else rate,
        "net_arch": list(model["hidden_sizes"]),
        "activation": model["activation"],
        "log_std_init": model["log_std_init"],
        "normalize": model["normalize_observations"] or model["normalize_rewards"],
    }


def _stable(model: str, settings: Mapping[str, Any], values: Mapping[str, Any], seed: int, goal: float) -> Any:
    """Return the row of a run of stable-baselines3; the default number of steps is that of the zoo's run."""
    import stable_baselines3
    from stable_baselines3 import DQN, PPO, SAC
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    from zoo.data.environment.spaces import episode_seeds
    from zoo.reporting.results import origin

    args, data = dict(settings), values["data"]
    steps = args.pop("n_timesteps", values["trainer"]["max_epochs"] * data["steps_per_epoch"])
    count, scaled = args.pop("n_envs", 1), args.pop("normalize", False)
    about = {key: args.pop(key) for key in ("net_arch", "log_std_init") if key in args}
    if args.pop("activation", "tanh") != "tanh":
        raise NotImplementedError("an activation other than tanh")
    for key in ("learning_rate", "clip_range"):
        if str(args.get(key)).startswith("lin_"):
            args[key] = _falling(float(args[key][4:]))
    env: Any = make_vec_env(data["env"], n_envs=count, seed=episode_seeds("train", 1, seed=seed)[0])
    env = VecNormalize(env, gamma=args.get("gamma", 0.99)) if scaled else env
    kind: Any = {"ppo": PPO, "dqn": DQN, "sac": SAC}[model]
    actor = kind("MlpPolicy", env, seed=seed, device="cpu", policy_kwargs=about, **args)

    def returns(part: str, episodes: int) -> list[float]:
        return _played(actor, data["env"], env if scaled else None, episode_seeds(part, episodes))

    watch = _watch(lambda: statistics.mean(returns("val", data["n_val_episodes"])), data["steps_per_epoch"])
    started = time.perf_counter()
    actor.learn(steps, callback=watch)
    seconds = time.perf_counter() - started - watch.stopped
    return {
        "metrics": {"test/return": statistics.mean(returns("test", data["n_test_episodes"]))},
        "train_seconds": round(seconds, 3),
        "steps": actor.num_timesteps,
        "steps_per_second": actor.num_timesteps / seconds,
        "goal": goal,
        "steps_to": _first(watch.tested, goal),
        "settings": dict(settings),
        "library_version": stable_baselines3.__version__,
        "precision": "32-true",
        **origin("cpu"),
    }


def _falling(begin: float) -> Callable[[float], float]:
    """Return a linear schedule to 0. stable-baselines3 passes the remaining fraction of the run."""
    return lambda left: begin * left


def _watch(tested: Callable[[], float], every: int) -> Any:
    """Return a callback that tests the policy at regular intervals and records the duration of the tests."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Watch(BaseCallback):
        def __init__(self) -> None:
            super().__init__()
            self.stopped, self.tested, self.next = 0.0, [], every

        def _on_step(self) -> bool:
            if self.num_timesteps >= self.next:
                began = time.perf_counter()
                self.tested.append((self.num_timesteps, tested()))
                self.next += every
                self.stopped += time.perf_counter() - began
            return True

    return Watch()


def _played(actor: Any, identity: str, scaling: Any, seeds: Sequence[int]) -> list[float]:
    """Return the returns of greedy episodes of ``actor``, each with its own seed, in separate environments."""
    import gymnasium
    import numpy as np

    games = [gymnasium.make(identity) for _ in seeds]
    observations = np.stack([game.reset(seed=seed)[0] for game, seed in zip(games, seeds, strict=True)])
    totals, going = np.zeros(len(seeds)), list(range(len(seeds)))
    while going:
        read = scaling.normalize_obs(observations[going]) if scaling is not None else observations[going]
        actions, _ = actor.predict(read, deterministic=True)
        left = []
        for place, action in zip(going, actions, strict=True):
            observations[place], reward, terminated, truncated, _ = games[place].step(action)
            totals[place] += float(reward)
            left += [] if terminated or truncated else [place]
        going = left
    return totals.tolist()
