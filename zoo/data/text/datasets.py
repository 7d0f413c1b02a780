"""Texts: one long one to model the language of, or many short ones with a label each."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.config.schema import check_choice, check_number
from zoo.data.dataset import Card, Dataset, Splits, Windows, class_counts, rarer
from zoo.data.download import fetch, read_checked, root_folder
from zoo.data.loader import STREAMS
from zoo.data.spec import PADDING, UNKNOWN
from zoo.data.table.csv_file import column_named, read_csv
from zoo.data.table.numbers import is_number
from zoo.data.table.source import Table
from zoo.data.text.spec import TextReading, TextSpec
from zoo.data.text.tokenizer import TOKENIZERS, build_vocabulary, clean, infer_tokenizer, to_ids, token_ids, tokenize
from zoo.exceptions import ZooError
from zoo.registry import register_data

TOPICS = Card(
    source="the documentation topics that help() shows, a part of every Python (pydoc_data.topics)",
    licence="PSF License 2",
    citation="Python Software Foundation: The Python Language Reference",
)
SHAKESPEARE = Card(
    source="https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare",
    licence="public domain",
    citation="Karpathy: The unreasonable effectiveness of recurrent neural networks, 2015",
    md5={"input.txt": "6fb458f1232090904fb40fe944165e91"},
)
SST2 = Card(
    source="https://nlp.stanford.edu/sentiment, sentences of two classes",
    licence="none stated",
    citation="Socher et al.: Recursive deep models for semantic compositionality over a sentiment treebank, EMNLP 2013",
    md5={
        "train.tsv": "c6150a821d5effe356ec872c2b95855c",
        "dev.tsv": "3f2a9a844576f2b5a7aeeac2ccbab1c7",
        "test.tsv": "f8f49ee1b37ec68b0e8977fbe33761e2",
    },
)
VALIDATION = TEST = 0.1  # shares of a long text; the last is test, what is before it validation


# --- one long text ---


@register_data("text_file", tasks=("language_modeling",), modality="text")
def text_file(
    *, path: str | None = None, tokenizer: str = "characters", block_size: int = 128, vocab_size: int = 10_000
) -> Dataset:
    """Return a UTF-8 file to model the language of; null: the documentation topics that every Python carries.

    Its last tenth is test, the tenth before it validation.

    Args:
        ``path``: the file
        ``tokenizer``: characters or words
        ``block_size``: tokens that a training step reads
        ``vocab_size``: tokens that are known, at most: the most frequent in training

    Raises:
        ZooError: no such file, not UTF-8, empty, or shorter than a window in one of its parts.
    """
    if path is None:
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics))
        return long_text("text_file", "python's documentation topics", text, tokenizer, block_size, vocab_size, TOPICS)
    return long_text(Path(path).stem, path, read_text(Path(path)), tokenizer, block_size, vocab_size)


@register_data("shakespeare", tasks=("language_modeling",), modality="text")
def shakespeare(*, root: str | None = None, tokenizer: str = "characters", block_size: int = 128) -> Dataset:
    """Return Tiny Shakespeare, 1,115,394 characters: the last tenth is test, as is customary, the first validation.

    Others train on all but the last tenth; the tenth before it begins the play that test goes on with.

    Args:
        ``root``: folder of data sets that are downloaded; null: $ZOO_DATA, else data/
        ``tokenizer``: characters or words
        ``block_size``: tokens that a training step reads
    """
    folder = root_folder(root) / "tinyshakespeare"
    address = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    fetch("shakespeare", folder, {"input.txt": [address]}, SHAKESPEARE.md5)
    text = read_checked(folder / "input.txt", SHAKESPEARE.md5["input.txt"]).decode()
    return long_text("shakespeare", "shakespeare", text, tokenizer, block_size, 30_000, SHAKESPEARE, val_first=True)


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, line ends as \\n.

    Raises:
        ZooError: cannot be read, not UTF-8 (with the place), or empty.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ZooError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ZooError(f"{path}, line {line}: byte {error.start + 1:,} is not UTF-8; save it as UTF-8") from None
    if not text.strip():
        raise ZooError(f"{path}: is empty")
    return text.replace("\r\n", "\n")


def long_text(
    name: str,
    where: str,
    text: str,
    tokenizer: str,
    block_size: int,
    vocab_size: int,
    card: Card | None = None,
    *,
    val_first: bool = False,
) -> Dataset:
    """Return windows of a text, its last tenth test, the tenth before it validation, or the first where ``val_first``.

    ``where`` is what an error calls it.
    """
    check_choice("data.tokenizer", tokenizer, TOKENIZERS)
    check_number("data.block_size", block_size, low=2, integer=True)
    check_number("data.vocab_size", vocab_size, low=1, integer=True)
    tokens = tokenize(text, tokenizer)
    held, kept = round(len(tokens) * TEST), round(len(tokens) * (TEST + VALIDATION))
    rest, apart = tokens[: len(tokens) - held], kept - held
    parts = [rest[: len(rest) - apart], rest[len(rest) - apart :], tokens[-held:]]
    if val_first:
        parts[:2] = [rest[apart:], rest[:apart]]
    if held <= block_size:
        required = int((block_size + 1) / min(TEST, VALIDATION)) + 1
        raise ZooError(
            f"{where}: its {len(tokens):,} {tokenizer} leave {held} for test, not more than data.block_size={block_size}; "
            f"give at least {required:,}, or a smaller block"
        )
    known = build_vocabulary(parts[0], max_size=vocab_size)
    spec = TextSpec(
        name=name,
        task="language_modeling",
        input_shape=(block_size,),
        vocabulary=known,
        tokenizer=tokenizer,
        rows=len(parts[0]),
    )
    coded = [torch.from_numpy(to_ids(part, token_ids(known))) for part in parts]
    train, val, test = (windows(part, block_size, whole=place > 0) for place, part in enumerate(coded))
    return Dataset(spec, train, val, test, card, stride=block_size)


def windows(tokens: torch.Tensor, block_size: int, *, whole: bool) -> dict[str, Windows]:
    """Return x and y, shifted by one; ``whole`` pads so that streams of windows cover every symbol."""
    if whole:
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
    """Return labelled texts: a CSV or TSV, or a folder with a folder of text files per class.

    Args:
        ``path``: the file or the folder
        ``text_column``: column of the texts; null: the one with the longest texts
        ``target``: column of the labels; null: the other one
        ``test``: a file or folder of test texts; null: one of the folds
        ``delimiter``: character between cells; null: inferred
        ``quoting``: auto, minimal (quotation marks enclose cells) or none (they are ordinary characters)
        ``header``: whether the first line has the names of the columns; null: inferred
        ``tokenizer``: characters or words; null: words, or characters for scripts without blanks between words
        ``max_length``: tokens that are read of each text, at most
        ``vocab_size``: tokens that are known, at most: the most frequent in training
        ``min_freq``: times that a token must occur in training to be known

    Raises:
        ZooError: a file that cannot be read, an empty text, a missing label, one class only.
    """
    splits = Splits(folds, fold, split_seed)
    if path is None:
        raise ZooError("data=text: needs data.path=, the file or folder to read")
    layout = TextReading(delimiter=delimiter, quoting=quoting, header=header)
    given = read_labelled(Path(path), text_column, target, layout)
    if tokenizer is None:
        tokenizer = infer_tokenizer(given.texts)
        if tokenizer == "characters":
            said = "most letters are of a script without blanks between words"
            print(f"note: {path}: {said}; data.tokenizer=characters (or words)", file=sys.stderr)
    options = TextOptions(tokenizer, max_length, vocab_size, min_freq)
    if test is None:
        return short_texts(Path(path).stem, given, splits, options)
    column, label = given.reading.text_column or text_column, given.reading.target or target
    held = read_labelled(Path(test), column, label, given.reading if given.reading.text_column else layout)
    strange = sorted(set(held.labels) - set(given.labels))
    if strange:
        raise ZooError(f"{test}: its class {strange[0]!r} is not in {path}")
    return short_texts(Path(path).stem, given, splits, options, test=held)


@register_data("sentiment", tasks=("classification",), modality="text")
def sentiment(
    *,
    root: str | None = None,
    tokenizer: str = "words",
    max_length: int = 64,
    vocab_size: int = 20_000,
    min_freq: int = 2,
) -> Dataset:
    """Return the Stanford Sentiment Treebank's sentences, positive or negative: 6,920, 872 and 1,821.

    Args:
        ``root``: folder of data sets that are downloaded; null: $ZOO_DATA, else data/
        ``tokenizer``: characters or words
        ``max_length``: tokens that are read of each sentence, at most
        ``vocab_size``: tokens that are known, at most: the most frequent in training
        ``min_freq``: times that a token must occur in training to be known
    """
    folder = root_folder(root) / "sst2"
    above = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"
    fetch("sentiment", folder, {file: [above + file] for file in SST2.md5}, SST2.md5)
    parts = []
    for file, md5 in SST2.md5.items():
        lines = [line.rpartition("\t") for line in read_checked(folder / file, md5).decode().splitlines() if line]
        labels = [("negative", "positive")[int(line[2])] for line in lines]
        parts.append(LabelledTexts([line[0] for line in lines], labels))
    options = TextOptions(tokenizer, max_length, vocab_size, min_freq)
    return short_texts("sentiment", parts[0], Splits(), options, val=parts[1], test=parts[2], card=SST2)


class TextOptions:
    """How texts become rows; checks its options."""

    def __init__(self, tokenizer: str, max_length: int, vocab_size: int, min_freq: int) -> None:
        check_choice("data.tokenizer", tokenizer, TOKENIZERS)
        check_number("data.max_length", max_length, low=1, integer=True)
        check_number("data.vocab_size", vocab_size, low=1, integer=True)
        check_number("data.min_freq", min_freq, low=1, integer=True)
        self.tokenizer, self.max_length, self.vocab_size, self.min_freq = tokenizer, max_length, vocab_size, min_freq


@dataclass(frozen=True)
class LabelledTexts:
    """Texts, the label of each, and how they were read."""

    texts: Sequence[str]
    labels: Sequence[str]
    reading: TextReading = field(default_factory=TextReading)


def short_texts(
    name: str,
    given: LabelledTexts,
    splits: Splits,
    options: TextOptions,
    *,
    val: LabelledTexts | None = None,
    test: LabelledTexts | None = None,
    card: Card | None = None,
) -> Dataset:
    """Return labelled texts as numbers; ``val`` and ``test`` where they are given, else cut from the others."""
    texts, labels = given.texts, given.labels
    classes = tuple(sorted(set(labels)))
    if len(classes) < 2:
        raise ZooError(f"{name}: all {len(texts)} texts have the label {classes[0]!r}; there must be at least two")
    y = np.array([classes.index(label) for label in labels])
    index = np.arange(len(y))
    if val is None and test is None:
        train_rows, val_rows, test_rows = splits.cut(y, stratify=True, classes=classes)
    elif val is None:
        (train_rows, val_rows), test_rows = splits.cut_val(y, stratify=True, classes=classes), index[:0]
    else:
        train_rows, val_rows, test_rows = index, index[:0], index[:0]
    tokens = _tokenized(texts, options)
    seen = (token for row in train_rows for token in tokens[row])
    known = build_vocabulary(seen, max_size=options.vocab_size, min_freq=options.min_freq)
    train = coded_rows([tokens[row] for row in train_rows], y[train_rows], known, options.max_length)
    max_length = train["x"].shape[1]

    def others(part: LabelledTexts) -> dict[str, torch.Tensor]:
        numbered = np.array([classes.index(label) for label in part.labels])
        return coded_rows(_tokenized(part.texts, options), numbered, known, max_length)

    def own(index: np.ndarray) -> dict[str, torch.Tensor]:
        return coded_rows([tokens[row] for row in index], y[index], known, max_length)

    spec = TextSpec(
        name=name,
        task="classification",
        input_shape=(max_length,),
        classes=classes,
        vocabulary=known,
        tokenizer=options.tokenizer,
        positive_class=rarer(y[train_rows]) if len(classes) == 2 else 1,
        class_counts=class_counts(y[train_rows], len(classes)),
        rows=len(train_rows),
        reading=given.reading,
    )
    held = others(val) if val is not None else own(val_rows)
    tested = others(test) if test is not None else own(test_rows)
    _say_unknown(spec, tested)
    return Dataset(spec, train, held, tested, card)


def _tokenized(texts: Sequence[str], options: TextOptions) -> list[Sequence[str]]:
    return [tokenize(clean(text), options.tokenizer)[: options.max_length] for text in texts]


def _say_unknown(spec: TextSpec, test: dict[str, torch.Tensor]) -> None:
    """Say where most tokens of the test texts are unknown: little can be learnt from words that do not come again."""
    x = test["x"]
    count, unknown = int((x != PADDING).sum()), int((x == UNKNOWN).sum())
    if unknown > count / 2:
        other = "characters" if spec.tokenizer == "words" else "words"
        print(
            f"note: {spec.name}: {unknown / count:.0%} of the {spec.tokenizer} in test texts do not occur in training; "
            f"data.tokenizer={other} may suit them",
            file=sys.stderr,
        )


def coded_rows(
    tokens: Sequence[Any], y: np.ndarray, vocabulary: tuple[str, ...], max_length: int
) -> dict[str, torch.Tensor]:
    """Return x (N, T) int64 of at most ``max_length`` tokens, padded, ``lengths`` and ``y``.

    An empty text is one unknown symbol.
    """
    known = token_ids(vocabulary)
    parts = [torch.from_numpy(to_ids(one[:max_length] or ["\ufffd"], known)).long() for one in tokens]
    x = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": x, "y": torch.from_numpy(y.astype(np.int64)), "lengths": lengths}


def read_labelled(
    path: Path, text_column: str | int | None, target: str | int | None, reading: TextReading
) -> LabelledTexts:
    """Return texts and labels of a folder, or of a table that is cut as ``reading`` says.

    Raises:
        ZooError: cannot be read, a label or a text is missing.
    """
    if path.is_dir():
        return _folder(path)
    table = open_table(path, reading, text_column if isinstance(text_column, str) else "")
    cells = table.cells
    column = column_named(table, text_column, "data.text_column") if text_column is not None else longest_column(table)
    others = [str(name) for name in cells.columns if name != column and name not in table.nameless]
    label = others[0] if target is None and len(others) == 1 else column_named(table, target, "data.target")
    if all(is_number(str(cell)) for cell in cells[column].dropna()):
        raise ZooError(f"{path}: its column {column!r} holds numbers, no texts; data=csv reads tables")
    for line, one, known in zip(table.lines, cells[column], cells[label], strict=True):
        if not isinstance(one, str) or not isinstance(known, str):
            missing = f"the label ({label})" if isinstance(one, str) else f"the text ({column})"
            raise ZooError(f"{path}, line {line}: {missing} is missing; fill it or delete the line")
    reading = TextReading(column, label, table.delimiter, table.quoting, table.header)
    return LabelledTexts(list(cells[column]), list(cells[label]), reading)


def open_table(path: Path, reading: TextReading, column: str) -> Table:
    """Return a file's cells, cut as ``reading`` says; ``column`` is one of its names, where that is known."""
    return read_csv(
        path,
        delimiter=reading.delimiter,
        quoting=reading.quoting,
        header=reading.header,
        known=(column,) if column else (),
    )


def longest_column(table: Table) -> str:
    """Return the column that holds the longest texts."""
    sizes = {str(name): table.cells[name].dropna().map(len).sum() for name in table.cells.columns}
    return max(sizes, key=lambda name: sizes[name])


def _folder(path: Path) -> LabelledTexts:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    texts, labels = [], []
    for folder in classes:
        for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
            texts.append(read_text(file))
            labels.append(folder.name)
    if not texts:
        raise ZooError(f"{path}: holds no folders of text files; must be a folder per class, or a CSV")
    return LabelledTexts(texts, labels)
