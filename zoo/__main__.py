"""The command line: ``python -m zoo train model=cnn``, of which ``python train.py model=cnn`` is the short form."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo.errors import Stopped, TrainingError, ZooError, unknown


def train(arguments: Sequence[str]) -> int:
    """Train as the arguments say; returns the exit code.

    0; 1 for a run that failed, 2 for wrong input, 128 and the signal's number for a run that was stopped by one.
    """
    failures: list[Exception] = []
    try:
        if {"--help", "-h"} & set(arguments):
            from zoo.config import help_text

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
    from omegaconf import OmegaConf

    wrong = [a for a in arguments if "=" not in a]
    if wrong:
        raise ZooError(f"{wrong[0]!r}: does not go with resume=")
    asked = dict(a.split("=", 1) for a in arguments)
    folder = asked.pop("resume")
    from zoo.plan import reopen
    from zoo.training import run

    values = {k: OmegaConf.from_dotlist([f"value={v}"]).value for k, v in asked.items()}
    config, recipe = reopen(Path(folder), values)
    if config.data.name == "arrays":
        raise ZooError(f"{folder}: was trained on arrays; go on in Python with zoo.resume({folder!r}, data=…)")
    run(config, recipe=recipe, command="python train.py " + " ".join(arguments), resumed=Path(folder))


def _report(error: Exception, failures: list[Exception]) -> None:
    print(error if isinstance(error, Stopped) else f"error: {error}", file=sys.stderr)
    failures.append(error)


def _hydra(arguments: Sequence[str], failures: list[Exception]) -> None:
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us, instead of a print and an exit inside Hydra
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from zoo.config import conf_dir, explain, store_registered

    @hydra.main(config_path=str(conf_dir()), config_name="train", version_base="1.3")
    def job(config: DictConfig) -> None:
        from zoo.training import run

        if failures and isinstance(failures[-1], Stopped):
            return  # a sweep stops with its run
        command = "python train.py " + " ".join(HydraConfig.get().overrides.task)
        try:
            run(config, recipe=HydraConfig.get().runtime.choices["model"], command=command.strip())
        except (ZooError, TrainingError, Stopped) as error:
            _report(error, failures)  # and on with the next run, where this one is part of a sweep

    store_registered(arguments)
    old, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, [a for a in arguments if "=" in a and not a.startswith("-")]) from None
    finally:
        sys.argv = old


def generate(arguments: Sequence[str]) -> int:
    """Print what the language model of a checkpoint or a run's folder writes; returns the exit code."""
    try:
        places = [a for a in arguments if "=" not in a]
        if len(places) != 1:
            raise ZooError(
                "generate: takes one checkpoint or run folder, then prompt= length= temperature= top_k= seed="
            )
        options = dict(a.split("=", 1) for a in arguments if "=" in a)
        asked: dict[str, Any] = {"prompt": options.pop("prompt", "").replace("\\n", "\n")}
        for name, kind in (("length", int), ("temperature", float), ("top_k", int), ("seed", int)):
            if name in options:
                asked[name] = _number(name, options.pop(name), kind)
        if options:
            raise unknown(
                "option of generate", next(iter(options)), ("prompt", "length", "temperature", "top_k", "seed")
            )
        path = Path(places[0])
        if path.is_dir():
            path = path / "checkpoints" / "best.ckpt"
        from zoo.training import load

        model: Any = load(path)
        if not hasattr(model, "generate"):
            raise ZooError(f"{path}: holds a {model.name}, which writes no text")
        print(model.generate(**asked))
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ZooError(f"{name}={text}: must be a {'whole number' if kind is int else 'number'}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb: ``train`` or ``generate``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in ("train", "generate"):
        return (train if words[0] == "train" else generate)(words[1:])
    asked = not words or words[0] in ("-h", "--help")
    print("usage: zoo train model=NAME [data=NAME] [option=value …]     (zoo train --help shows the choices)")
    print("       zoo generate RUN|CKPT [prompt=TEXT] [length=200] [temperature=1] [top_k=N] [seed=0]")
    if not asked:
        print(f"error: unknown verb {words[0]!r}: the verbs are train and generate", file=sys.stderr)
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
