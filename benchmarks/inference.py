"""Inference latency of each model for one row and many rows, in float32, in bf16 and compiled.

Each model has its default options and dataset, and its initial weights. The variants are measured in turn, in rounds of
a tenth of a second. The result is the median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

ROWS = {"one row": 1, "many rows": 256}
ROUND = 0.1  # seconds
WAYS = ("float32", "bf16", "compiled")  # compiled in float32


def row(name: str, repeats: int, ways: tuple[str, ...]) -> dict[str, Any]:
    """Return the row of a model: median and range of the latency in milliseconds, by number of rows and variant."""
    import torch

    from zoo.reporting.results import origin
    from zoo.utils.device import select_device

    device = select_device("auto")
    model, data, batch = _model(name, device)
    answers = {way: _answering(model, way, device) for way in ways}
    timings: dict[str, Any] = {}
    with torch.inference_mode():
        for what, count in ROWS.items():
            args = {key: value.index_select(0, torch.arange(count) % len(value)) for key, value in batch.items()}
            args = {key: value.to(device) for key, value in args.items()}
            for answer in answers.values():
                answer(args)  # compilation and warm-up
            rounds: dict[str, list[float]] = {way: [] for way in ways}
            for _ in range(repeats):
                for way, answer in answers.items():
                    rounds[way].append(1000 * _seconds(answer, args, device))
            timings[what] = {
                way: {"ms": statistics.median(each), "spread": [min(each), max(each)]} for way, each in rounds.items()
            }
    lines = [f"{what}, {way} {one['ms']:.2f}" for what, by in timings.items() for way, one in by.items()]
    print(f"    ms per prediction: {'; '.join(lines)}", flush=True)
    return {"what": f"inference of {name} on {data}", "answers": timings, "rows": ROWS, "repeats": repeats} | origin(
        device
    )


def _model(name: str, device: str) -> tuple[Any, str, dict[str, Any]]:
    import torch

    from zoo import registry
    from zoo.config import compose as configs
    from zoo.config.run_config import RunConfig
    from zoo.data.environment.environments import Environments
    from zoo.engine.build import build_data, build_model

    run_config = RunConfig.from_config(configs.compose([f"model={name}"]), recipe=name, command="")
    dataset, _ = build_data(run_config)
    model = build_model(run_config, dataset).to(device).eval()
    if isinstance(dataset, Environments):
        return model, dataset.spec.name, {"x": torch.rand(1, *dataset.spec.input_shape)}
    first = next(iter(registry.get_modality(dataset.spec.modality).eval_loader(dataset, "test")))
    return model, dataset.spec.name, {k: v for k, v in first.items() if isinstance(v, torch.Tensor) and v.ndim}


def _answering(model: Any, way: str, device: str) -> Callable[[Any], Any]:
    import torch

    if way == "compiled":
        return torch.compile(model.output)
    if way == "float32":
        return model.output  # type: ignore[no-any-return]

    def answer(batch: Any) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return model.output(batch)

    return answer


def _seconds(answer: Callable[[Any], Any], batch: Any, device: str) -> float:
    """Return the mean seconds per prediction over one round."""
    import torch

    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < ROUND:
        answer(batch)
        if device == "cuda":
            torch.cuda.synchronize()
        count += 1
    return (time.perf_counter() - started) / count


def rows(name: str, repeats: int, quick: bool) -> Iterator[dict[str, Any]]:
    """Yield the row of a model; ``quick`` skips the compiled variant."""
    yield row(name, repeats, WAYS[:2] if quick else WAYS)
