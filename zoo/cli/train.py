"""Training: ``zoo train model=cnn``, of which ``python train.py model=cnn`` is the short form."""

from __future__ import annotations

import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zoo.cli.base import Verb
from zoo.exceptions import Stopped, TrainingError, ZooError
from zoo.utils.rank import rank

HEARD = 2.0  # seconds in which the first process has said what all of them raise


def train(arguments: Sequence[str]) -> int:
    """Train as the arguments say; returns the exit code.

    0; 1 for a run that failed, 2 for wrong input, 128 and the signal's number for a run that was stopped by one.
    """
    failures: list[Exception] = []
    try:
        if {"--help", "-h"} & set(arguments):
            from zoo.config.compose import help_text

            print(help_text([a for a in arguments if "=" in a]))
        elif any(a.startswith("resume=") for a in arguments):
            _resume(arguments)
        else:
            _hydra(arguments, failures)
    except (ZooError, TrainingError, Stopped) as error:
        _report(error, failures)
    except KeyboardInterrupt:  # before the first batch or after the last: what is on disk is whole
        print("stopped by SIGINT", file=sys.stderr)
        return 128 + signal.SIGINT
    if not failures:
        return 0
    if isinstance(failures[-1], Stopped):
        return 128 + (failures[-1].signal or 0)
    return 2 if isinstance(failures[0], ZooError) else 1


def _resume(arguments: Sequence[str]) -> None:
    from zoo.config.quoting import value_of

    wrong = [a for a in arguments if "=" not in a]
    if wrong:
        raise ZooError(f"{wrong[0]!r}: does not go with resume=")
    asked = dict(a.split("=", 1) for a in arguments)
    folder = str(Path(asked.pop("resume")).expanduser())
    from zoo.config.run_config import reopen_run
    from zoo.engine.train import run

    values = {key: value_of(key, text) for key, text in asked.items()}
    config, recipe = reopen_run(Path(folder), values)
    if config.data.name == "arrays":
        raise ZooError(f"{folder}: was trained on arrays; go on in Python with zoo.resume({folder!r}, data=…)")
    run(config, recipe=recipe, command="python train.py " + " ".join(arguments), resumed=Path(folder))


def _report(error: ZooError | TrainingError | Stopped, failures: list[Exception]) -> None:
    failures.append(error)
    if rank() and getattr(error, "common", False):
        time.sleep(HEARD)  # the first process says it, and torchrun ends all once one has ended
        return
    print(error if isinstance(error, Stopped) else f"error: {error}", file=sys.stderr)


def _hydra(arguments: Sequence[str], failures: list[Exception]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us, instead of a print and an exit inside Hydra
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from zoo.config.compose import GROUPS, conf_dir, explain
    from zoo.config.quoting import quoted

    @hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")
    def job(config: DictConfig) -> None:
        from zoo.engine.train import run

        if failures and isinstance(failures[-1], Stopped):
            return  # a sweep stops with its run
        words = [typed.get(word, word) for word in HydraConfig.get().overrides.task]
        command = "python train.py " + " ".join(_in_a_shell(word) for word in words)
        try:
            named = [word.partition("=")[0].lstrip("+") for word in words]
            recipe = HydraConfig.get().runtime.choices["model"]
            done = run(config, recipe=recipe, command=command.strip(), named=named)
            figure = f"val/{done.model.task.monitor}"  # which one chooses by; the test is for the chosen one
            found = done.results.get("metrics", {}).get(figure)
            swept.append((words, f"{figure} {found:.4f}" if found is not None else "", str(done.folder)))
        except (ZooError, TrainingError, Stopped) as error:
            _report(error, failures)  # and on with the next run, where this one is part of a sweep
            swept.append((words, "failed" if not isinstance(error, Stopped) else "stopped", str(error)))

    swept: list[tuple[list[str], str, str]] = []  # of each run its words, its figure, its folder or its error
    sweep = bool({"-m", "--multirun"} & set(arguments))
    readable = quoted(arguments, groups=GROUPS, sweep=sweep)
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


def _in_a_shell(word: str) -> str:
    """Return a word as one types it; a shell would cut or change those with blanks, quotes or signs of its own."""
    return shlex.quote(word) if re.search(r"[\s'\"\\()$`&|;<>#!*?~]", word) else word


def _table(swept: Sequence[tuple[list[str], str, str]]) -> str:
    """Return the runs of a sweep side by side, by the words in which they differ."""
    common = set.intersection(*(set(words) for words, _, _ in swept))
    rows = [(" ".join(w for w in words if w not in common), figure, where) for words, figure, where in swept]
    wide = [max(len(row[k]) for row in rows) for k in (0, 1)]
    return "\n".join(["", *(f"{what:<{wide[0]}}  {figure:<{wide[1]}}  {where}" for what, figure, where in rows)])


VERBS = {
    "train": Verb(
        "train",
        "model=NAME [data=NAME] [option=value …]",
        "Train a model, test it, and write its folder; zoo train --help shows the choices.",
        train,
        raw=True,
    )
}
