"""What a trained model is used for, from its run's folder or from a checkpoint: each a figure, a picture, a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from zoo import registry
from zoo.config import compose as configs
from zoo.config.quoting import value_of
from zoo.config.run_config import check_files, read_run_config, resolve_paths
from zoo.exceptions import ZooError
from zoo.hub import card, list_weights
from zoo.utils.atomic_io import atomic_write, write_npz

MOST, STEPS, STORED = 1024, 50, 100_000  # samples, and images of a walk, in a picture; samples in a file

if TYPE_CHECKING:
    from zoo.data import Dataset
    from zoo.data.spec import DataSpec
    from zoo.models.autoencoder_base import CodingModule


def opened(place: str) -> tuple[Any, Path | None]:
    """Return the model of a run's folder, a checkpoint or weights by name, and the run's folder where there is one.

    Raises:
        ZooError: no such file, or not a checkpoint of the zoo.
    """
    from zoo.hub import load

    path = Path(place).expanduser()
    path = path / "checkpoints" / "best.ckpt" if path.is_dir() else path
    folder = path.parent.parent
    return load(path), folder if (folder / "config.yaml").is_file() else None


def data_for(model: Any, folder: Path | None, words: Sequence[str], *, place: str = "") -> Dataset:
    """Return the data that ``words`` name, as ``train.py`` takes them, else that of the model's run.

    The data of weights that come with the zoo, named by ``place``, is what they were trained on.

    Raises:
        ZooError: neither is there, or the data is not like what the model was trained on.
    """
    from zoo.data.from_config import load_dataset
    from zoo.data.translated import translated

    if place in list_weights() and not any(word.startswith("data=") for word in words):
        words = [f"data={card(place)['data']}", *words]
    if any(word.startswith("data=") for word in words) and not names_own_data(folder, words):
        words = [*_sizes(model.spec, words), *words]
        asked: Any = OmegaConf.to_container(configs.compose([f"model={model.name}", *words]).data, resolve=True)
    elif folder is not None:
        kept: Any = OmegaConf.create({**read_run_config(folder), "data": own_data(folder)})
        changed = {key: value for key, value in _pairs(words).items() if key != "data"}
        configs.update(kept, {key: value_of(key, text) for key, text in changed.items()})
        asked = OmegaConf.to_container(kept.data)
        _check_own_files(asked)
    else:
        raise ZooError("a checkpoint away from its run does not know its data; name it by data=")
    if asked["name"] == "arrays":
        raise ZooError("the run was trained on arrays, which it does not keep; name data by data=")
    dataset = translated(load_dataset(resolve_paths(asked), model.spec.task), model.spec)
    theirs, ours = dataset.spec, model.spec
    if theirs.input_shape != ours.input_shape:
        raise ZooError(f"{theirs.name}: has rows of {theirs.input_shape}; the model was trained on {ours.input_shape}")
    labels = {
        name: getattr(theirs, name)
        for name in ("classes", "normal_classes", "positive_class", "multilabel", "class_counts", "name")
    }
    return replace(dataset, spec=replace(ours, **labels))


def _check_own_files(data: dict[str, Any]) -> None:
    """Refuse a run whose files are gone, or were named from another folder."""
    try:
        check_files(resolve_paths(data))
    except ZooError as error:
        raise ZooError(f"{error}, of which the run was trained; name another by data.path=") from None


def own_data(folder: Path | None) -> dict[str, Any]:
    """Return the options of the data that the run in ``folder`` was trained on, its files as they are named from here.

    Without a folder there are none.
    """
    values = read_run_config(folder) if folder is not None else {}
    return resolve_paths(values["data"], values.get("working_dir")) if values else {}


def names_own_data(folder: Path | None, words: Sequence[str]) -> bool:
    """Tell whether ``words`` name the very file that the run in ``folder`` was trained on."""
    typed = _pairs(words)
    own = own_data(folder)
    paths = [own.get("path"), value_of("data.path", typed.get("data.path", ""))]
    if not all(paths) or typed.get("data", own["name"]) != own["name"]:
        return False
    one, other = (Path(str(path)).expanduser().resolve() for path in paths)
    return one == other


def _sizes(spec: DataSpec, words: Sequence[str]) -> list[str]:
    """Return the words for how long a model's rows are, where ``words`` do not say it of ready-made data."""
    asked = registry.get_task(spec.task).data_options(spec)
    return [f"{key}={value}" for key, value in asked.items() if key not in _pairs(words)]


def _pairs(words: Sequence[str]) -> dict[str, str]:
    return {key: value for key, _, value in (word.partition("=") for word in words)}


def encode(model: CodingModule, dataset: Dataset, out: Path) -> list[str]:
    """Write the code of each test row, with its class where there is one, and a picture beside it.

    ``out`` ends in .npz (``codes``, ``y``) or .csv. Returns what to say: accuracies by the codes beside PCA's.
    """

    from zoo.tasks.reconstruction.plots import plane

    codes, y = model.codes(dataset.test), dataset.test.get("y")
    named = len(dataset.spec.classes) > 1 and not dataset.spec.multilabel
    labels = y.numpy() if y is not None and named else None  # type: ignore[union-attr]
    if out.suffix == ".npz":
        write_npz(out, {"codes": codes.numpy(), **({} if labels is None else {"y": labels})})
    else:
        rows = codes.tolist()
        header = [f"code_{n + 1}" for n in range(codes.shape[1])] + (["class"] if labels is not None else [])
        names = [[] for _ in rows] if labels is None else [[dataset.spec.classes[k]] for k in labels]
        _write_csv(out, header, [row + name for row, name in zip(rows, names, strict=True)])
    picture = plane(codes, y if labels is not None else None, dataset.spec.classes, out.with_suffix(".png"))  # type: ignore[arg-type]
    lines = [f"codes           {out}   {codes.shape[0]:,} test rows of {codes.shape[1]} numbers"]
    lines.append(f"picture         {picture}")
    figures = model.extra_metrics(dataset)
    known = {model.name: figures, **(others(model, dataset) if "knn_accuracy" in figures else {})}
    return lines + _beside(known, ("knn_accuracy", "probe_accuracy"))


def denoise(model: CodingModule, dataset: Dataset, out: Path) -> list[str]:
    """Draw test images clean, with the model's noise, and restored, into ``out``; return PSNR and SSIM beside filters'.

    Raises:
        ZooError: the model was not trained to take noise off, or not on images.
    """
    from zoo.tasks.reconstruction.plots import reconstructions

    name, level = model.noise
    if name == "none" or model.spec.modality != "image":
        raise ZooError("denoise: needs a denoiser of images, such as model=autoencoder model.noise=gaussian")
    if model.task.detects_anomalies:
        raise ZooError(
            "denoise: the model looks for anomalies and reads rows as they are; train without normal_classes"
        )
    figures, _ = measured(model, dataset, stage="val")
    picture = reconstructions(model.shown(dataset), out)
    said = f"{name} noise of {level:g} on {len(dataset.test['x']):,} test images (filters: on at most the first 1,000)"
    lines = [f"picture         {picture}", said]
    return lines + _beside({"restored": figures, **others(model, dataset)}, ("psnr", "ssim"))


def detect(model: CodingModule, dataset: Dataset, out: Path) -> list[str]:
    """Write each test row's score, whether it is an alarm, and whether it is an anomaly, to ``out`` (.csv).

    Returns what to say: AUROC and average precision beside others'.

    Raises:
        ZooError: the model was not trained on what is normal alone.
    """
    import torch

    from zoo.tasks.reconstruction.plots import score_histogram

    if not model.task.detects_anomalies:
        raise ZooError("detect: needs a model of what is normal, trained with data.normal_classes=[…]")
    if not dataset.spec.normal_classes:
        raise ZooError(f"detect: {dataset.spec.name} does not say what is normal; name it by data.normal_classes=[…]")
    if model.task.threshold is None:
        raise ZooError(
            "detect: the checkpoint has no threshold yet, which a run chooses at its end; take best.ckpt then"
        )
    figures, kept = measured(model, dataset, stage="val")
    score = torch.cat(kept)
    threshold, y = model.task.threshold, dataset.test["y"]
    alarm = score >= threshold
    rows = zip(range(len(score)), score.tolist(), alarm.int().tolist(), y.tolist(), strict=True)  # type: ignore[union-attr]
    _write_csv(out, ["test_row", "score", "alarm", "anomaly"], [list(row) for row in rows])
    said = f"{int(alarm.sum()):,} alarms in {len(score):,} test rows, from a score of {threshold:.4g}"
    lines = [f"scores          {out}   {said}", f"picture         {score_histogram(score, y, out.with_suffix('.png'))}"]  # type: ignore[arg-type]
    return lines + _beside({model.name: figures, **others(model, dataset)}, ("auroc", "average_precision", "f1"))


def measured(
    model: Any, dataset: Dataset, *, parts: Sequence[str] = ("test",), stage: str = "test"
) -> tuple[dict[str, float], list[Any]]:
    """Return figures of a model on ``parts`` of data, and what it keeps of each batch; stage val leaves out what takes
    long.
    """
    from itertools import chain

    from zoo.data.from_config import eval_loader
    from zoo.inference.evaluate import measured_on

    return measured_on(model, chain.from_iterable(eval_loader(dataset, part) for part in parts), stage)


def others(model: Any, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Return the figures of what stands without a network."""
    from zoo.tasks.baselines import baselines

    return baselines(dataset, options=dict(model.hparams))


def _beside(known: Mapping[str, Mapping[str, float]], names: Sequence[str]) -> list[str]:
    """Return a line for each of those that have one of the figures ``names``."""
    lines = []
    for title, figures in known.items():
        said = "   ".join(f"{key.replace('_', ' ')} {figures[key]:.4g}" for key in names if key in figures)
        lines += [f"  {title:<17} {said}"] if said else []
    return lines


def sample(model: Any, out: Path, *, count: int = 64, **options: Any) -> list[str]:
    """Draw new images into ``out``: a picture, or an ``.npz`` of ``x`` (count, C, H, W) of bytes, with ``y`` where the
    model was told classes.

    ``options`` are those of the model's ``sample``: ``seed``, ``label``, ``truncation``.

    Raises:
        ZooError: a model that draws none.
    """

    from zoo.data.classes import labels_of
    from zoo.utils.plotting import grid

    stored = out.suffix == ".npz"
    most = STORED if stored else MOST
    if not 1 <= count <= most:
        raise ZooError(f"count={count}: must be from 1 to {most} in a {out.suffix}")
    if not hasattr(model, "sample") or model.spec.modality != "image":
        raise ZooError(f"sample: model={model.name} of {model.spec.modality} data draws no images")
    images = model.sample(count, **options)
    if not stored:
        return [f"picture         {grid(images, 'new images', out)}"]
    content = {"x": (255 * images.clamp(0, 1)).round().byte().cpu().numpy()}
    y = labels_of(
        model.spec, count, options.get("label"), conditional=getattr(model, "num_classes", 0) > 0, device="cpu"
    )
    content |= {} if y is None else {"y": y.numpy()}
    write_npz(out, content)
    return [f"images          {out}   x {content['x'].shape}{'' if y is None else ', y'}"]


def fid(model: Any, dataset: Dataset, **options: Any) -> list[str]:
    """Return the Inception FID of a model's samples beside that of other real images.

    ``options`` are those of ``inception_fid``: ``weights``, ``count``, ``seed``.

    Raises:
        ZooError: a model that draws no images.
    """
    from zoo.metrics.inception import inception_fid

    if not hasattr(model, "sample") or model.spec.modality != "image":
        raise ZooError(f"fid: model={model.name} of {model.spec.modality} data draws no images")
    found = inception_fid(model, dataset, **options)
    return [f"  {name:<17} inception fid {value:.2f}" for name, value in found.items()]


def noise_walk(model: Any, out: Path, *, steps: int = 10, **options: Any) -> list[str]:
    """Draw the way from one noise to another into ``out``; ``options`` are ``seed`` and ``label``."""
    from zoo.utils.plotting import grid

    if steps > STEPS:
        raise ZooError(f"steps={steps}: must be at most {STEPS}")
    return [
        f"picture         {grid(model.interpolate(steps=steps, **options), 'from one noise to another', out, columns=steps)}"
    ]


def walk(
    model: CodingModule, dataset: Dataset, out: Path, *, first: int = 0, last: int = 1, steps: int = 10
) -> list[str]:
    """Draw the way from one test image to another, by their numbers, into ``out``.

    Raises:
        ZooError: no such rows, or no images.
    """
    from zoo.utils.plotting import grid

    if steps > STEPS:
        raise ZooError(f"steps={steps}: must be at most {STEPS}")
    x = dataset.test["x"]
    if model.spec.modality != "image":
        raise ZooError(f"walk: is drawn of images; {model.spec.name} is {model.spec.modality} data")
    for name, row in (("from", first), ("to", last)):
        if not 0 <= row < len(x):
            raise ZooError(f"{name}={row}: must be from 0 to {len(x) - 1}, the test rows")
    images = model.interpolate(x[first].numpy(), x[last].numpy(), steps=steps)
    return [f"picture         {grid(images, f'from test image {first} to {last}', out, columns=steps)}"]


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    def write(to: Path) -> None:
        with to.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)

    atomic_write(path, write)
