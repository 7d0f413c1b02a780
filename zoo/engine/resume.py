"""The training state that a run continues from."""

from __future__ import annotations

from typing import Any

import torch

from zoo.checkpoint import read
from zoo.exceptions import ZooError
from zoo.reporting.results import RunContext, read_results


def load_training_state(context: RunContext, report: bool) -> dict[str, Any] | None:
    """Return the content of last.ckpt and restore its weights and counters in the model; None: there is none yet.

    A run that has finished continues only where parts of its ``report`` are missing.

    Raises:
        ZooError: the run has finished, the file is damaged, or the data is not what it was.
    """
    run_config, model = context.run_config, context.model
    path, folder, max_epochs = run_config.checkpoints / "last.ckpt", run_config.folder, run_config.trainer.max_epochs
    if not path.exists():
        return None
    content = read(path)
    try:
        spec, processes = content["hyper_parameters"]["spec"], content["processes"]
    except (KeyError, TypeError) as error:
        raise ZooError(f"{path}: holds no training state ({type(error).__name__})") from None
    if spec != context.dataset.spec.to_dict():
        raise ZooError(f"{folder}: the data of {context.dataset.spec.name} is not what the run began with")
    if len(processes) != run_config.trainer.world:
        content["processes"] = processes = reshard_states(processes, context)
    model.load_state_dict(content["state_dict"])
    model.on_load_checkpoint(content)
    epochs = model.loop.epochs = processes[0]["training"]["loop"]["epochs"]
    if (monitor := processes[0]["training"]["loop"].get("monitor")) is not None:
        model.watch(monitor)
    if epochs > max_epochs:
        raise ZooError(f"trainer.max_epochs={max_epochs}: {epochs} epochs of the run are done")
    ended = epochs == max_epochs or (content["ended"] and not run_config.changed)
    results = read_results(folder, steps=model.steps)
    if ended and results is not None and not (report and results.get("missing")):
        raise ZooError(f"{folder}: has finished, after {epochs} epochs; trainer.max_epochs={2 * epochs} would train on")
    return content


def reshard_states(processes: list[dict[str, Any]], context: RunContext) -> list[dict[str, Any]]:
    """Return the training states of another number of processes.

    Each has the accumulated gradients of all; rank zero has the epoch's sums.

    Raises:
        ZooError: each process has a state of its own, such as environments or a hidden state.
    """
    run_config, states = context.run_config, [process["training"] for process in processes]
    first, shared = states[0], {"loader", "loop", "gradients", "plateau", "scaler"}
    separate = [key for state in states for key, value in state.items() if key not in shared and value is not None]
    if separate or set(first["loader"]) != {"epoch", "batch"}:
        raise ZooError(
            f"trainer.devices={run_config.trainer.devices}: each of {len(states)} processes has a state of its own, "
            f"which others cannot go on from; {run_config.recipe} goes on with as many as before"
        )
    loops = [state["loop"] for state in states]
    sums = {key: sum(loop["sums"].get(key, 0) for loop in loops) for key in loops[0]["sums"]}
    zeros = {key: torch.zeros_like(value) for key, value in sums.items()}
    if context.is_rank_zero:
        print(f"note: {run_config.trainer.world} processes resume the work of {len(states)}; sums round otherwise")
    resharded = []
    for rank in range(run_config.trainer.world):
        counted = {"sums": zeros, "rows": 0} if rank else {"sums": sums, "rows": sum(loop["rows"] for loop in loops)}
        resharded.append({"training": {**first, "loop": {**first["loop"], **counted}}, "random": None})
    return resharded
