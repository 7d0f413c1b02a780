"""Text datasets: one long text for language modeling, or many labeled short texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Dataset, Splits, Windows, class_counts, rarer
from zoo.data.download import fetch, root_folder
from zoo.data.loader import STREAMS
from zoo.data.spec import PADDING, UNKNOWN
from zoo.data.text.read import LabeledTexts, read_labeled, read_text
from zoo.data.text.spec import TextReading, TextSpec
from zoo.data.text.tokenizer import TOKENIZERS, build_vocabulary, clean, infer_tokenizer, to_ids, token_ids, tokenize
from zoo.exceptions import ZooError
from zoo.registry import register_data
from zoo.utils.console import print_note

VALIDATION = TEST = 0.1  # fractions of a long text: the end is the test set, the part before it validation


# --- one long text ---


@register_data("text_file", tasks=("language_modeling",), modality="text")
def text_file(
    *, path: str | None = None, tokenizer: str = "characters", block_size: int = 128, vocab_size: int = 10_000
) -> Dataset:
    """Return a UTF-8 file as a language modeling dataset.

    The last 10 % of the text is the test set, and the 10 % before it are for validation.

    Args:
        ``path``: UTF-8 file; null: the documentation topics included in Python
        ``tokenizer``: characters | words
        ``block_size``: context length of a training step, in tokens
        ``vocab_size``: maximum number of tokens in the vocabulary; the most frequent in training are kept

    Raises:
        ZooError: if the file does not exist, is not UTF-8, is empty, or a split is shorter than a window.
    """
    if path is None:
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics))
        where = "python's documentation topics"
        return long_text("text_file", where, text, tokenizer, block_size, vocab_size)
    return long_text(Path(path).stem, path, read_text(Path(path)), tokenizer, block_size, vocab_size)


@register_data("shakespeare", tasks=("language_modeling",), modality="text")
def shakespeare(*, root: str | None = None, tokenizer: str = "characters", block_size: int = 128) -> Dataset:
    """Return Tiny Shakespeare: 1,115,394 characters.

    The last 10 % is the test set, as is customary, and the first 10 % is for validation. Other projects train on all
    but the last 10 %. Validation at the start avoids the 10 % before the test set, which begin the same play.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``tokenizer``: characters | words
        ``block_size``: context length of a training step, in tokens
    """
    folder = root_folder(root) / "tinyshakespeare"
    text = fetch("shakespeare", folder)["input.txt"].decode()
    return long_text("shakespeare", "shakespeare", text, tokenizer, block_size, 30_000, val_first=True)


def long_text(
    name: str,
    where: str,
    text: str,
    tokenizer: str,
    block_size: int,
    vocab_size: int,
    *,
    val_first: bool = False,
) -> Dataset:
    """Split a text into train, validation and test, and return their windows as a Dataset.

    The last 10 % is the test set. Validation is the 10 % before it, or the first 10 % with ``val_first``. Errors call
    the text ``where``.
    """
    check_choice("data.tokenizer", tokenizer, TOKENIZERS)
    check_number("data.block_size", block_size, low=2, integer=True)
    check_number("data.vocab_size", vocab_size, low=1, integer=True)
    tokens = tokenize(text, tokenizer)
    test_size = round(len(tokens) * TEST)
    val_size = round(len(tokens) * (TEST + VALIDATION)) - test_size
    if test_size <= block_size:
        required = int((block_size + 1) / min(TEST, VALIDATION)) + 1
        raise ZooError(
            f"{where}: the test split has {test_size} {tokenizer}; must be more than data.block_size={block_size}; "
            f"use a text of at least {required:,} {tokenizer} or a smaller block"
        )
    rest = tokens[:-test_size]
    train_tokens, val_tokens = rest[:-val_size], rest[-val_size:]
    if val_first:
        train_tokens, val_tokens = rest[val_size:], rest[:val_size]
    vocabulary = build_vocabulary(train_tokens, max_size=vocab_size)
    spec = TextSpec(
        name=name,
        task="language_modeling",
        input_shape=(block_size,),
        vocabulary=vocabulary,
        tokenizer=tokenizer,
        rows=len(train_tokens),
    )
    ids = token_ids(vocabulary)
    train, val, test = (
        windows(torch.from_numpy(to_ids(part, ids)), block_size, pad=part is not train_tokens)
        for part in (train_tokens, val_tokens, tokens[-test_size:])
    )
    return Dataset(spec, train, val, test, stride=block_size)


def windows(tokens: torch.Tensor, block_size: int, *, pad: bool) -> dict[str, Windows]:
    """Return windows x, and y shifted by one token. ``pad`` lets the parallel streams cover every token."""
    if pad:
        unit = STREAMS * block_size
        missing = -(len(tokens) - 1) % unit
        tokens = torch.nn.functional.pad(tokens, (0, missing), value=PADDING)
    return {"x": Windows(tokens, block_size, drop=1), "y": Windows(tokens, block_size, first=1)}


# --- many short texts ---


@register_data("text", tasks=("classification",), modality="text")
def text(
    *,
    path: str | None = None,
    text_column: str | int | None = None,
    target: str | int | None = None,
    test: str | None = None,
    delimiter: str | None = None,
    quoting: str = "auto",
    header: bool | None = None,
    tokenizer: str | None = None,
    max_length: int = 256,
    vocab_size: int = 20_000,
    min_freq: int = 2,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return labeled texts from a CSV or TSV, or from a folder with one folder of text files per class.

    Args:
        ``path``: file or folder
        ``text_column``: column with the texts; null: the column with the longest texts
        ``target``: column with the labels; null: the other column
        ``test``: file or folder with the test set; null: one of the folds
        ``delimiter``: character between cells; null: inferred
        ``quoting``: auto, minimal (quotation marks enclose cells) or none (they are ordinary characters)
        ``header``: whether the first line has the column names; null: inferred
        ``tokenizer``: characters | words; null: words, or characters for scripts without spaces
        ``max_length``: maximum length of a text in tokens; longer texts are truncated
        ``vocab_size``: maximum number of tokens in the vocabulary; the most frequent in training are kept
        ``min_freq``: minimum number of occurrences of a token in training
        ``folds``: number of stratified folds
        ``fold``: index of the fold used as the test set
        ``split_seed``: seed of the folds and the validation split

    Raises:
        ZooError: if a file cannot be read, a text is empty, a label is missing, or there is only one class.
    """
    splits = Splits(folds, fold, split_seed)
    if path is None:
        raise ZooError("data=text: set data.path= to a file or folder")
    name, layout = Path(path).stem, TextReading(delimiter=delimiter, quoting=quoting, header=header)
    texts = read_labeled(Path(path), text_column, target, layout)
    if tokenizer is None:
        tokenizer = infer_tokenizer(texts.texts)
        if tokenizer == "characters":
            reason = "most letters belong to a script without spaces between words"
            print_note(f"{path}: {reason}; data.tokenizer=characters (or words)")
    classes = sorted(set(texts.labels))
    if len(classes) < 2:
        raise ZooError(
            f"{name}: all {len(texts.texts)} texts have the label {classes[0]!r}; must have at least two labels"
        )
    y = np.array([classes.index(label) for label in texts.labels])
    if test is None:
        parts = [texts.select(index) for index in splits.cut(y, stratify=True, classes=classes)]
        return short_texts(name, parts, tokenizer, max_length, vocab_size, min_freq)
    column, label = texts.reading.text_column or text_column, texts.reading.target or target
    test_texts = read_labeled(Path(test), column, label, texts.reading if texts.reading.text_column else layout)
    unknown = sorted(set(test_texts.labels) - set(classes))
    if unknown:
        raise ZooError(f"{test}: the class {unknown[0]!r} is not in {path}")
    train, val = (texts.select(index) for index in splits.cut_val(y, stratify=True, classes=classes))
    return short_texts(name, [train, val, test_texts], tokenizer, max_length, vocab_size, min_freq)


@register_data("sentiment", tasks=("classification",), modality="text")
def sentiment(
    *,
    root: str | None = None,
    tokenizer: str = "words",
    max_length: int = 64,
    vocab_size: int = 20_000,
    min_freq: int = 2,
) -> Dataset:
    """Return the Stanford Sentiment Treebank (SST-2): sentences that are positive or negative.

    6,920 sentences are for training, 872 for validation and 1,821 for the test.

    Args:
        ``root``: folder of built-in datasets; null: $ZOO_DATA, otherwise data/
        ``tokenizer``: characters | words
        ``max_length``: maximum length of a sentence in tokens; longer ones are truncated
        ``vocab_size``: maximum number of tokens in the vocabulary; the most frequent in training are kept
        ``min_freq``: minimum number of occurrences of a token in training
    """
    parts = []
    for content in fetch("sentiment", root_folder(root) / "sst2").values():
        lines = [line.rpartition("\t") for line in content.decode().splitlines() if line]
        labels = [("negative", "positive")[int(line[2])] for line in lines]
        parts.append(LabeledTexts([line[0] for line in lines], labels))
    return short_texts("sentiment", parts, tokenizer, max_length, vocab_size, min_freq)


def short_texts(
    name: str, parts: Sequence[LabeledTexts], tokenizer: str, max_length: int, vocab_size: int, min_freq: int
) -> Dataset:
    """Encode the labeled texts of train, validation and test as a Dataset."""
    check_choice("data.tokenizer", tokenizer, TOKENIZERS)
    for option, value in (("max_length", max_length), ("vocab_size", vocab_size), ("min_freq", min_freq)):
        check_number(f"data.{option}", value, low=1, integer=True)
    tokens = [[tokenize(clean(text), tokenizer)[:max_length] for text in part.texts] for part in parts]
    classes = tuple(sorted(set(parts[0].labels)))
    labels = [np.array([classes.index(label) for label in part.labels]) for part in parts]
    train_tokens = (token for text in tokens[0] for token in text)
    vocabulary = build_vocabulary(train_tokens, max_size=vocab_size, min_freq=min_freq)
    longest = max(1, *map(len, tokens[0]))
    spec = TextSpec(
        name=name,
        task="classification",
        input_shape=(longest,),
        classes=classes,
        vocabulary=vocabulary,
        tokenizer=tokenizer,
        positive_class=rarer(labels[0]) if len(classes) == 2 else 1,
        class_counts=class_counts(labels[0], len(classes)),
        rows=len(labels[0]),
        reading=parts[0].reading,
    )
    known = token_ids(vocabulary)
    train, val, test = (coded_rows(texts, y, known, longest) for texts, y in zip(tokens, labels, strict=True))
    _note_unknown(spec, test)
    return Dataset(spec, train, val, test)


def _note_unknown(spec: TextSpec, test: dict[str, torch.Tensor]) -> None:
    """Print a note if most tokens of the test texts are unknown, since rare words teach a model little."""
    x = test["x"]
    count, unknown = int((x != PADDING).sum()), int((x == UNKNOWN).sum())
    if unknown > count / 2:
        other = "characters" if spec.tokenizer == "words" else "words"
        print_note(
            f"{spec.name}: {unknown / count:.0%} of the {spec.tokenizer} in test texts are not in the training data; "
            f"data.tokenizer={other} may work better"
        )


def coded_rows(
    tokens: Sequence[Any], y: np.ndarray, known: Mapping[str, int], max_length: int
) -> dict[str, torch.Tensor]:
    """Return x (N, T) int64, padded, with at most ``max_length`` tokens per row, ``lengths`` and ``y``.

    An empty text becomes one unknown token.
    """
    parts = [torch.from_numpy(to_ids(one[:max_length] or ["\ufffd"], known)).long() for one in tokens]
    x = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": x, "y": torch.from_numpy(y.astype(np.int64)), "lengths": lengths}
