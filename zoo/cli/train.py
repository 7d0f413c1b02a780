"""The commands ``zoo train``, ``zoo resume`` and ``zoo lr-find``."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Sequence

from zoo.cli.command import Args, joined
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.utils.console import aligned
from zoo.utils.rank import rank

RANK_ZERO_FIRST = 2.0  # seconds that other ranks wait, so that rank zero prints the common error first
# Flags of Hydra, with the number of their values
HYDRA_FLAGS = dict.fromkeys(("-h", "--help", "-m", "--multirun", "--resolve"), 0)
HYDRA_FLAGS |= dict.fromkeys(("--cfg", "-c", "--package", "-p"), 1)


def run_train(arguments: Sequence[str]) -> int:
    """Train a model with command-line arguments and return the exit code.

    The code is 0 for success, 1 for a failed run, and 2 for invalid input. For a run that a signal stopped, it is 128
    plus the number of the signal.
    """
    failures: list[Exception] = []
    try:
        arguments = _overrides(arguments)
        if {"--help", "-h"} & set(arguments):
            from zoo.config.help import train_help

            print(train_help([a for a in arguments if "=" in a]))
        elif any(a.startswith("resume=") for a in arguments):
            _resume(arguments)
        else:
            _hydra(arguments, failures)
    except (ZooError, TrainingError, Stopped) as error:
        _report(error, failures)
    except KeyboardInterrupt:  # before the first or after the last batch, when all files on disk are complete
        print("stopped by SIGINT", file=sys.stderr)
        return 128 + signal.SIGINT
    if not failures:
        return 0
    if isinstance(failures[-1], Stopped):
        return 128 + (failures[-1].signal or 0)
    return 2 if isinstance(failures[0], ZooError) else 1


def _overrides(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with ``--key value`` rewritten as ``key=value``, except --help and the flags of Hydra."""
    flags: list[str] = []
    others: list[str] = []
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument in HYDRA_FLAGS:
            flags += [argument, *(waiting[:1] if HYDRA_FLAGS[argument] else [])]
            waiting = waiting[HYDRA_FLAGS[argument] :]
        else:
            others.append(argument)
    return [*flags, *joined(others)]


def _resume(arguments: Sequence[str]) -> None:
    from zoo.config.compose import value_of
    from zoo.utils.run_paths import find_run

    wrong = [a for a in arguments if "=" not in a]
    if wrong:
        raise ZooError(f"{wrong[0]!r}: cannot be combined with resume=")
    options = dict(a.split("=", 1) for a in arguments)
    folder = find_run(options.pop("resume"))
    from zoo.config.run_config import reopen_run
    from zoo.engine.train import run

    values = {key: value_of(key, text) for key, text in options.items()}
    config, recipe = reopen_run(folder, values)
    if config.data.name == "arrays":
        raise ZooError(f"{folder}: trained on arrays. Resume it in Python with zoo.resume({str(folder)!r}, data=…)")
    run(config, recipe=recipe, command="python train.py " + " ".join(arguments), resume_from=folder)


def _report(error: ZooError | TrainingError | Stopped, failures: list[Exception]) -> None:
    failures.append(error)
    if rank() and getattr(error, "common", False):
        time.sleep(RANK_ZERO_FIRST)  # torchrun ends all processes when the first one exits
        return
    print(error if isinstance(error, Stopped) else f"error: {error}", file=sys.stderr)


def _hydra(arguments: Sequence[str], failures: list[Exception]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises errors instead of printing them and exiting
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from zoo.config.compose import explain, quoted
    from zoo.config.groups import conf_dir

    @hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")
    def job(config: DictConfig) -> None:
        from zoo.engine.train import run

        if failures and isinstance(failures[-1], Stopped):
            return  # a stopped run stops the sweep
        overrides = [typed.get(override, override) for override in HydraConfig.get().overrides.task]
        command = "python train.py " + " ".join(_quote_for_shell(override) for override in overrides)
        try:
            named = [override.partition("=")[0].lstrip("+") for override in overrides]
            recipe = HydraConfig.get().runtime.choices["model"]
            finished = run(config, recipe=recipe, command=command.strip(), overridden=named)
            monitor = f"val/{finished.model.task.monitor}"  # select by validation; test only the selected run
            value = finished.results.get("metrics", {}).get(monitor)
            swept.append((overrides, f"{monitor} {value:.4f}" if value is not None else "", str(finished.folder)))
        except (ZooError, TrainingError, Stopped) as error:
            _report(error, failures)  # a sweep continues with its next run
            swept.append((overrides, "failed" if not isinstance(error, Stopped) else "stopped", str(error)))

    swept: list[tuple[list[str], str, str]] = []  # per run: overrides, metric, and folder or error
    sweep = bool({"-m", "--multirun"} & set(arguments))
    readable = quoted(arguments, sweep=sweep)
    typed = dict(zip(readable, arguments, strict=True))
    old, sys.argv = sys.argv, [sys.argv[0], *readable]
    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, [a for a in arguments if "=" in a and not a.startswith("-")]) from None
    finally:
        sys.argv = old
    if len(swept) > 1:
        print(_table(swept), flush=True)


def _quote_for_shell(override: str) -> str:
    """Return an override for a shell, quoted if it contains special characters."""
    return shlex.quote(override) if re.search(r"[\s'\"\\()$`&|;<>#!*?~]", override) else override


def _table(swept: Sequence[tuple[list[str], str, str]]) -> str:
    """Return the table of a sweep, with the overrides that differ between its runs."""
    common = set.intersection(*(set(overrides) for overrides, _, _ in swept))
    rows = [(" ".join(w for w in overrides if w not in common), metric, where) for overrides, metric, where in swept]
    return "\n".join(["", *aligned(rows)])


def run_resume(args: Args) -> int:
    """Resume a stopped run, or train a finished run for longer."""
    return run_train([f"resume={args.path('run')}", *args.overrides])


def run_lr_find(args: Args) -> Sequence[str]:
    """Suggest a learning rate by a range test."""
    from zoo.config.compose import compose
    from zoo.config.groups import canonical

    overrides = [canonical(override) for override in args.overrides]
    config = compose(overrides)
    recipe = next((o.partition("=")[2] for o in overrides[::-1] if o.startswith("model=")), config.model.name)
    from zoo.engine.lr_finder import find_lr

    result = find_lr(config, args["out"], recipe=recipe)
    return [
        f"suggested       optimizer.lr={result.suggestion:.2g}   (current: {result.current:g})",
        f"plot            {args['out']}",
    ]
