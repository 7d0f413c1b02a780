"""The image modality."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
from torch import Tensor

from zoo.data.dataset import Dataset, Values, channel_statistics
from zoo.data.example import ROWS, has_classes, row_dataset, statistics
from zoo.data.image.augment import ImageAugment
from zoo.data.image.labeled import labeled_archive, labeled_folder
from zoo.data.image.read import encode, from_json, read
from zoo.data.image.spec import ImageSpec
from zoo.data.labeled import Labeled
from zoo.data.modality import Modality, Scaler
from zoo.registry import register_modality


class BoundedScaler(Scaler):
    """Leaves x unchanged: values in [0, 1], (C, H, W)."""

    def transform(self, x: Tensor) -> Tensor:
        """Return x unchanged."""
        return x

    def inverse_transform(self, output: Tensor) -> Tensor:
        """Return the outputs unchanged."""
        return output

    def center(self, target: Tensor) -> Tensor:
        """Return the mean of each channel in the shape of the target."""
        return self.mean.view(-1, 1, 1).expand_as(target)


@register_modality
class ImageModality(Modality[ImageSpec]):
    """Images from files or arrays."""

    spec = ImageSpec
    scaler = BoundedScaler
    tasks = ("classification", "regression", "reconstruction", "generation")
    raw_input = "images as arrays, Pillow images or paths"
    labeled_options = {"image_folder": ("labels", "target"), "npz": ()}  # noqa: RUF012
    has_parts = True
    widget = "image_file"
    augmentation = ImageAugment

    encode = staticmethod(encode)
    read = staticmethod(read)
    from_json = staticmethod(from_json)

    def labeled(self, spec: ImageSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return the labeled images of a folder or archive."""
        read_labels = labeled_archive if data["name"] == "npz" else labeled_folder
        return read_labels(spec, data, part)

    def labeled_data(self, spec: ImageSpec, path: str) -> str:
        """Return npz for an archive of arrays, otherwise image_folder."""
        return "npz" if path.endswith(".npz") else "image_folder"

    def with_statistics(self, spec: ImageSpec, x: Values) -> ImageSpec:
        """Return the spec with the mean and standard deviation of each channel."""
        mean, std = channel_statistics(x)
        return replace(spec, mean=mean, std=std)

    def request_row(self, spec: ImageSpec) -> tuple[str, Any]:
        """Return the type of a base64-encoded image file."""
        from pydantic import WithJsonSchema

        channels, height, width = spec.input_shape
        color = "gray" if channels == 1 else "color"
        about = f"Image files, such as PNG or JPEG, in base64. They are resized to {height} by {width} pixels, {color}."
        schema = {"type": "string", "minLength": 1, "contentEncoding": "base64", "contentMediaType": "image/png"}
        schema |= {"pattern": "^[A-Za-z0-9+/]+={0,2}$"}
        return about, Annotated[str, WithJsonSchema(schema)]

    def request_example(self, spec: ImageSpec) -> str:
        """Return a gray image of the model's size as a base64-encoded PNG."""
        from PIL import Image

        channels, height, width = spec.input_shape
        gray = Image.new("L" if channels == 1 else "RGB", (width, height), 128 if channels == 1 else (128, 128, 128))
        file = io.BytesIO()
        gray.save(file, "png")
        return base64.b64encode(file.getvalue()).decode()

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return generated images of bars."""
        return generated_example(task)


def generated_example(task: str) -> Dataset:
    """Return generated images with two channels, 12×9, of a bar.

    The class is its orientation: horizontal, vertical or diagonal. The regression target is its height.
    """
    rng = np.random.default_rng(0)
    x = rng.random((ROWS, 2, 12, 9)) * 0.3
    way = rng.integers(0, 3, ROWS) if has_classes(task) else np.zeros(ROWS, int)
    place = rng.integers(1, 8, ROWS)
    for row, (turn, at) in enumerate(zip(way, place, strict=True)):
        down, right = [(np.full(9, at), np.arange(9)), (np.arange(12), np.full(12, at)), (np.arange(9), np.arange(9))][
            turn
        ]
        x[row, 0, down, right] += 0.7
    y = way if has_classes(task) else 1000 + 50.0 * place
    images = (255 * x.clip(0, 1)).astype(np.uint8)
    return row_dataset(ImageSpec, task, images, y, **statistics(images / 255, (0, 2, 3)))
