"""Texts as a modality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from zoo.data.dataset import Dataset
from zoo.data.labeled import Labeled
from zoo.data.modality import Modality
from zoo.data.spec import PADDING, UNKNOWN
from zoo.data.text.augment import TextAugment
from zoo.data.text.example import example
from zoo.data.text.labeled import labeled_stretch, labeled_texts
from zoo.data.text.read import encode, read
from zoo.data.text.spec import TextSpec
from zoo.data.text.translate import translate
from zoo.registry import register_modality


@register_modality
class TextModality(Modality[TextSpec]):
    """Texts."""

    spec = TextSpec
    tasks = ("classification", "language_modeling")
    raw_input = "texts, a column of a data frame or a path"
    labeled_options = {  # noqa: RUF012
        "text": ("text_column", "target", "delimiter", "quoting", "header"),
        "text_file": (),
    }
    widget = "text_box"
    augmentation = TextAugment

    encode = staticmethod(encode)
    read = staticmethod(read)
    translate = staticmethod(translate)

    def unknown_values(self, spec: TextSpec, batch: Mapping[str, Any]) -> tuple[dict[str, int], int]:
        """Return how many tokens training did not have, and of how many."""
        x = batch["x"]
        count = int((x == UNKNOWN).sum())
        return {spec.tokenizer: count} if count else {}, int((x != PADDING).sum())

    def labeled(self, spec: TextSpec, data: Mapping[str, Any], part: str | None) -> Labeled:
        """Return labeled texts, or the windows of a long one."""
        read_file = labeled_stretch if data["name"] == "text_file" else labeled_texts
        return read_file(spec, data, part)

    def labeled_data(self, spec: TextSpec, path: str) -> str:
        """Return text for labeled texts, else text_file."""
        return "text" if spec.classes else "text_file"

    def request_row(self, spec: TextSpec) -> tuple[str, Any]:
        """Return the type of a text."""
        from pydantic import Field

        from zoo.data.request_types import MAX_TEXT

        about = f"Texts, of which the model reads the first {spec.input_shape[0]} {spec.tokenizer}."
        return about, Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=r"\S")]

    def request_example(self, spec: TextSpec) -> str:
        """Return a text."""
        return "a text to classify"

    def example(self, task: str, action_space: str = "") -> Dataset:
        """Return texts in which the order of two tokens decides, or whose tokens say which one follows."""
        return example(task)
