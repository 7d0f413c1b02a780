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
        words = list(HydraConfig.get().overrides.task)
        command = "python train.py " + " ".join(words)
        try:
            done = run(config, recipe=HydraConfig.get().runtime.choices["model"], command=command.strip())
            figure = f"val/{done.model.objective.monitor}"  # which one chooses by; the test is for the chosen one
            found = done.results.get("metrics", {}).get(figure)
            swept.append((words, f"{figure} {found:.4f}" if found is not None else "", str(done.folder)))
        except (ZooError, TrainingError, Stopped) as error:
            _report(error, failures)  # and on with the next run, where this one is part of a sweep
            swept.append((words, "failed" if not isinstance(error, Stopped) else "stopped", str(error)))

    swept: list[tuple[list[str], str, str]] = []  # of each run its words, its figure, its folder or its error
    store_registered(arguments)
    old, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, [a for a in arguments if "=" in a and not a.startswith("-")]) from None
    finally:
        sys.argv = old
    if len(swept) > 1:
        print(_table(swept), flush=True)


def _table(swept: Sequence[tuple[list[str], str, str]]) -> str:
    """Return the runs of a sweep side by side, by the words in which they differ."""
    common = set.intersection(*(set(words) for words, _, _ in swept))
    rows = [(" ".join(w for w in words if w not in common), figure, where) for words, figure, where in swept]
    wide = [max(len(row[k]) for row in rows) for k in (0, 1)]
    return "\n".join(["", *(f"{what:<{wide[0]}}  {figure:<{wide[1]}}  {where}" for what, figure, where in rows)])


def generate(model: Any, options: dict[str, str]) -> list[str]:
    """Return what a language model writes."""
    asked: dict[str, Any] = {"prompt": options.pop("prompt", "").replace("\\n", "\n")}
    asked |= _numbers(options, length=int, temperature=float, top_k=int, seed=int)
    if not hasattr(model, "generate"):
        raise ZooError(f"generate: model={model.name} writes no text")
    return [model.generate(**asked)]


def judge(arguments: Sequence[str]) -> int:
    """Train a classifier that generated images are measured by; returns the exit code."""
    from zoo.judge import JUDGES, make, path_of

    names = [a for a in arguments if "=" not in a]
    roots = [a.removeprefix("root=") for a in arguments if a.startswith("root=")]
    try:
        if len(names) != 1 or len(names) + len(roots) != len(arguments):
            raise ZooError(f"judge: takes one of {', '.join(JUDGES)}, and root=FOLDER")
        if names[0] not in JUDGES:
            raise unknown("judge of", names[0], JUDGES)
        accuracy = make(names[0], roots[0] if roots else None)
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"judge           {path_of(names[0])}   accuracy on test {accuracy:.4f}")
    return 0


# What is done with a trained model: the options of each verb and what they are at first; data's own come beside them.
VERBS: dict[str, dict[str, str]] = {
    "generate": {"prompt": "TEXT", "length": "200", "temperature": "1", "top_k": "N", "seed": "0"},
    "encode": {"out": "codes.npz"},
    "denoise": {"out": "denoised.png"},
    "detect": {"out": "scores.csv"},
    "sample": {"out": "samples.png", "count": "64", "seed": "0", "label": "CLASS", "truncation": "X"},
    "fid": {"weights": "FILE", "count": "10000", "seed": "0"},
    "walk": {"out": "walk.png", "from": "0", "to": "1", "steps": "10", "seed": "0", "label": "CLASS"},
}
PLOT = {"figure": "NAME", "over": "epoch|steps|samples|seconds", "out": "runs.png"}


def use(verb: str, arguments: Sequence[str]) -> int:
    """Do something with the model of a checkpoint or a run's folder and say how it went; returns the exit code."""
    try:
        places = [a for a in arguments if "=" not in a]
        if len(places) != 1:
            raise ZooError(f"{verb}: takes one checkpoint or run folder, then {'= '.join(VERBS[verb])}=")
        given = [a for a in arguments if "=" in a]
        own = {key: value for key, _, value in (a.partition("=") for a in given) if key in VERBS[verb]}
        words = [a for a in given if a.partition("=")[0] not in own]
        for key in (word.partition("=")[0] for word in words):
            if verb in ("generate", "sample") or not (key == "data" or key.startswith("data.")):
                raise unknown(f"option of {verb}", key, VERBS[verb])
        from zoo import uses

        model, folder = uses.opened(places[0])
        lines = generate(model, own) if verb == "generate" else _coded(verb, model, folder, own, words)
        print("\n".join(lines))
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename}: cannot be written ({error.strerror})", file=sys.stderr)
        return 2
    return 0


def _coded(verb: str, model: Any, folder: Path | None, own: dict[str, str], words: Sequence[str]) -> list[str]:
    """Return what a verb says that is about codes or images."""
    from zoo import uses

    if verb == "fid":
        return uses.fid(model, uses.data_for(model, folder, words), **_numbers(own, count=int, seed=int), **own)
    out = Path(own.pop("out", VERBS[verb]["out"]))
    if not out.absolute().parent.is_dir():
        raise ZooError(f"out={out}: there is no such folder")
    if verb == "sample":
        return uses.sample(model, out, **_numbers(own, count=int, seed=int, truncation=float), **own)
    if verb == "walk" and model.spec.task == "generation":  # where no image has a code
        for name in ("from", "to"):
            if name in own:
                raise ZooError(f"{name}={own[name]}: is for models that code images; {model.name} has seed=")
        return uses.noise_walk(model, out, **_numbers(own, steps=int, seed=int), **own)
    if not hasattr(model, "codes"):
        raise ZooError(f"{verb}: model={model.name} makes no codes")
    dataset = uses.data_for(model, folder, words)
    if verb == "walk":
        asked = _numbers(own, **{"from": int, "to": int, "steps": int})
        for name in own:
            raise ZooError(f"{name}={own[name]}: is for models that make images of noise; {model.name} has from=, to=")
        named = {{"from": "first", "to": "last"}.get(key, key): value for key, value in asked.items()}
        return uses.walk(model, dataset, out, **named)
    return {"encode": uses.encode, "denoise": uses.denoise, "detect": uses.detect}[verb](model, dataset, out)


def plot(arguments: Sequence[str]) -> int:
    """Draw runs in one picture and say where; returns the exit code."""
    from zoo.plots.together import found_in, together

    places = [a for a in arguments if "=" not in a]
    asked = dict(a.split("=", 1) for a in arguments if "=" in a)
    try:
        for key in asked:
            if key not in PLOT:
                raise unknown("option of plot", key, PLOT)
        if not places:
            raise ZooError("plot: takes run folders, or a folder that has some below it")
        out = Path(asked.pop("out", PLOT["out"]))
        if not out.absolute().parent.is_dir():
            raise ZooError(f"out={out}: there is no such folder")
        runs = found_in(places)
        print(f"{together(runs, out, **asked)}   {len(runs)} runs")
    except ZooError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _numbers(options: dict[str, str], **kinds: type) -> dict[str, Any]:
    return {name: _number(name, options.pop(name), kind) for name, kind in kinds.items() if name in options}


def _number(name: str, text: str, kind: type) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ZooError(f"{name}={text}: must be a {'whole number' if kind is int else 'number'}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb: ``train``, ``plot``, ``judge``, or one of ``VERBS``."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] == "train":
        return train(words[1:])
    if words and words[0] == "judge":
        return judge(words[1:])
    if words and words[0] == "plot" and not {"-h", "--help"} & set(words):
        return plot(words[1:])
    if words and words[0] in VERBS and not {"-h", "--help"} & set(words):
        return use(words[0], words[1:])
    asked = not words or bool({"-h", "--help"} & set(words))
    print("usage: zoo train model=NAME [data=NAME] [option=value …]     (zoo train --help shows the choices)")
    for verb, options in VERBS.items():
        data = "" if verb in ("generate", "sample") else "[data=NAME …] "
        print(f"       zoo {verb} RUN|CKPT {data}{' '.join(f'[{key}={value}]' for key, value in options.items())}")
    print(f"       zoo plot RUN… {' '.join(f'[{key}={value}]' for key, value in PLOT.items())}")
    print("       zoo judge digits|mnist|fashion_mnist [root=FOLDER]     (the classifier that samples are measured by)")
    if not asked:
        print(
            f"error: unknown verb {words[0]!r}: the verbs are train, plot, judge, {', '.join(VERBS)}", file=sys.stderr
        )
    return 0 if asked else 2


if __name__ == "__main__":
    sys.exit(main())
