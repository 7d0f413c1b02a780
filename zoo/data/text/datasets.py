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
from zoo.data.table.csv_file import Table, column_named, read_csv
from zoo.data.table.numbers import is_number
from zoo.data.text.spec import TextReading, TextSpec
from zoo.data.text.tokens import TOKENS, cleaned, cut, encoded, numbers, tokens_of, vocabulary_of
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
    *, path: str | None = None, tokens: str = "characters", window: int = 128, vocabulary: int = 10_000
) -> Dataset:
    """Return a UTF-8 file to model the language of; null: the documentation topics that every Python carries.

    Its last tenth is test, the tenth before it validation. ``tokens`` are characters or words, those that
    ``vocabulary`` has room for, from training; ``window`` is how many a training step reads.

    Raises:
        ZooError: no such file, not UTF-8, empty, or shorter than a window in one of its parts.
    """
    if path is None:
        from pydoc_data.topics import topics

        text = "\n".join(topics[name] for name in sorted(topics))
        return long_text("text_file", "python's documentation topics", text, tokens, window, vocabulary, TOPICS)
    return long_text(Path(path).stem, path, read_text(Path(path)), tokens, window, vocabulary)


@register_data("shakespeare", tasks=("language_modeling",), modality="text")
def shakespeare(*, root: str | None = None, tokens: str = "characters", window: int = 128) -> Dataset:
    """Return Tiny Shakespeare, 1,115,394 characters: the last tenth is test, as is customary, the first validation.

    Others train on all but the last tenth; the tenth before it begins the play that test goes on with.
    """
    folder = root_folder(root) / "tinyshakespeare"
    address = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt"
    fetch("shakespeare", folder, {"input.txt": [address]}, SHAKESPEARE.md5)
    text = read_checked(folder / "input.txt", SHAKESPEARE.md5["input.txt"]).decode()
    return long_text("shakespeare", "shakespeare", text, tokens, window, 30_000, SHAKESPEARE, val_first=True)


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
    tokens: str,
    window: int,
    vocabulary: int,
    card: Card | None = None,
    *,
    val_first: bool = False,
) -> Dataset:
    """Return windows of a text, its last tenth test, the tenth before it validation, or the first where ``val_first``.

    ``where`` is what an error calls it.
    """
    check_choice("data.tokens", tokens, TOKENS)
    check_number("data.window", window, low=2, integer=True)
    check_number("data.vocabulary", vocabulary, low=1, integer=True)
    symbols = cut(text, tokens)
    held, kept = round(len(symbols) * TEST), round(len(symbols) * (TEST + VALIDATION))
    rest, apart = symbols[: len(symbols) - held], kept - held
    parts = [rest[: len(rest) - apart], rest[len(rest) - apart :], symbols[-held:]]
    if val_first:
        parts[:2] = [rest[apart:], rest[:apart]]
    if held <= window:
        least = int((window + 1) / min(TEST, VALIDATION)) + 1
        raise ZooError(
            f"{where}: its {len(symbols):,} {tokens} leave {held} for test, not more than data.window={window}; "
            f"give at least {least:,}, or a smaller window"
        )
    known = vocabulary_of(parts[0], most=vocabulary)
    spec = TextSpec(
        name=name,
        task="language_modeling",
        input_shape=(window,),
        vocabulary=known,
        tokenizer=tokens,
        rows=len(parts[0]),
    )
    coded = [torch.from_numpy(encoded(part, numbers(known))) for part in parts]
    train, val, test = (windows(part, window, whole=place > 0) for place, part in enumerate(coded))
    return Dataset(spec, train, val, test, card, stride=window)


def windows(symbols: torch.Tensor, window: int, *, whole: bool) -> dict[str, Windows]:
    """Return x and y, shifted by one; ``whole`` pads so that streams of windows cover every symbol."""
    if whole:
        unit = STREAMS * window
        missing = -(len(symbols) - 1) % unit
        symbols = torch.nn.functional.pad(symbols, (0, missing), value=PADDING)
    return {"x": Windows(symbols, window, drop=1), "y": Windows(symbols, window, first=1)}


# --- many short texts ---


@register_data("text", tasks=("classification",), modality="text")
def text(
    *,
    path: str | None = None,
    text: str | int | None = None,
    target: str | int | None = None,
    test: str | None = None,
    delimiter: str | None = None,
    quoting: str = "auto",
    header: bool | None = None,
    tokens: str | None = None,
    longest: int = 256,
    vocabulary: int = 20_000,
    least: int = 2,
    folds: int = 5,
    fold: int = 0,
    split_seed: int = 0,
) -> Dataset:
    """Return labelled texts: a CSV or TSV, or a folder with a folder of text files per class.

    ``text`` and ``target`` name the columns (null: the one with the longest texts, and the other one); ``test`` is a
    file or folder of test texts, else one of ``folds`` is. ``quoting`` is auto, minimal (quotation marks enclose cells)
    or none (they are characters). ``tokens`` are words or characters (null: words, characters
    where most letters are of a script without blanks between words). Symbols that occur ``least`` times in training
    are known, at most ``vocabulary`` of them; texts are cut after ``longest``, and after the longest in training.

    Raises:
        ZooError: a file that cannot be read, an empty text, a missing label, one class only.
    """
    splits = Splits(folds, fold, split_seed)
    if path is None:
        raise ZooError("data=text: needs data.path=, the file or folder to read")
    layout = TextReading(delimiter=delimiter, quoting=quoting, header=header)
    given = read_labelled(Path(path), text, target, layout)
    if tokens is None:
        tokens = tokens_of(given.texts)
        if tokens == "characters":
            said = "most letters are of a script without blanks between words"
            print(f"note: {path}: {said}; data.tokens=characters (or words)", file=sys.stderr)
    reading = Reading(tokens, longest, vocabulary, least)
    if test is None:
        return short_texts(Path(path).stem, given, splits, reading)
    column, label = given.reading.text_column or text, given.reading.target or target
    held = read_labelled(Path(test), column, label, given.reading if given.reading.text_column else layout)
    strange = sorted(set(held.labels) - set(given.labels))
    if strange:
        raise ZooError(f"{test}: its class {strange[0]!r} is not in {path}")
    return short_texts(Path(path).stem, given, splits, reading, test=held)


@register_data("sentiment", tasks=("classification",), modality="text")
def sentiment(
    *, root: str | None = None, tokens: str = "words", longest: int = 64, vocabulary: int = 20_000, least: int = 2
) -> Dataset:
    """Return the Stanford Sentiment Treebank's sentences, positive or negative: 6,920, 872 and 1,821."""
    folder = root_folder(root) / "sst2"
    above = "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/master/data/SST2/"
    fetch("sentiment", folder, {file: [above + file] for file in SST2.md5}, SST2.md5)
    parts = []
    for file, md5 in SST2.md5.items():
        lines = [line.rpartition("\t") for line in read_checked(folder / file, md5).decode().splitlines() if line]
        labels = [("negative", "positive")[int(line[2])] for line in lines]
        parts.append(Labelled([line[0] for line in lines], labels))
    reading = Reading(tokens, longest, vocabulary, least)
    return short_texts("sentiment", parts[0], Splits(), reading, val=parts[1], test=parts[2], card=SST2)


class Reading:
    """How texts become rows; checks its options."""

    def __init__(self, tokens: str, longest: int, vocabulary: int, least: int) -> None:
        check_choice("data.tokens", tokens, TOKENS)
        check_number("data.longest", longest, low=1, integer=True)
        check_number("data.vocabulary", vocabulary, low=1, integer=True)
        check_number("data.least", least, low=1, integer=True)
        self.tokens, self.longest, self.vocabulary, self.least = tokens, longest, vocabulary, least


@dataclass(frozen=True)
class Labelled:
    """Texts, the label of each, and how they were read."""

    texts: Sequence[str]
    labels: Sequence[str]
    reading: TextReading = field(default_factory=TextReading)


def short_texts(
    name: str,
    given: Labelled,
    splits: Splits,
    reading: Reading,
    *,
    val: Labelled | None = None,
    test: Labelled | None = None,
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
    symbols = _symbols(texts, reading)
    seen = (symbol for row in train_rows for symbol in symbols[row])
    known = vocabulary_of(seen, most=reading.vocabulary, least=reading.least)
    train = coded_rows([symbols[row] for row in train_rows], y[train_rows], known, reading.longest)
    longest = train["x"].shape[1]

    def others(part: Labelled) -> dict[str, torch.Tensor]:
        numbered = np.array([classes.index(label) for label in part.labels])
        return coded_rows(_symbols(part.texts, reading), numbered, known, longest)

    def own(index: np.ndarray) -> dict[str, torch.Tensor]:
        return coded_rows([symbols[row] for row in index], y[index], known, longest)

    spec = TextSpec(
        name=name,
        task="classification",
        input_shape=(longest,),
        classes=classes,
        vocabulary=known,
        tokenizer=reading.tokens,
        positive_class=rarer(y[train_rows]) if len(classes) == 2 else 1,
        class_counts=class_counts(y[train_rows], len(classes)),
        rows=len(train_rows),
        reading=given.reading,
    )
    held = others(val) if val is not None else own(val_rows)
    tested = others(test) if test is not None else own(test_rows)
    _say_unknown(spec, tested)
    return Dataset(spec, train, held, tested, card)


def _symbols(texts: Sequence[str], reading: Reading) -> list[Sequence[str]]:
    return [cut(cleaned(text), reading.tokens)[: reading.longest] for text in texts]


def _say_unknown(spec: TextSpec, test: dict[str, torch.Tensor]) -> None:
    """Say where most symbols of the test texts are unknown: little can be learnt from words that do not come again."""
    x = test["x"]
    count, unknown = int((x != PADDING).sum()), int((x == UNKNOWN).sum())
    if unknown > count / 2:
        other = "characters" if spec.tokenizer == "words" else "words"
        print(
            f"note: {spec.name}: {unknown / count:.0%} of the {spec.tokenizer} in test texts do not occur in training; "
            f"data.tokens={other} may suit them",
            file=sys.stderr,
        )


def coded_rows(
    symbols: Sequence[Any], y: np.ndarray, vocabulary: tuple[str, ...], longest: int
) -> dict[str, torch.Tensor]:
    """Return x (N, T) int64 of at most ``longest`` symbols, padded, ``lengths`` and ``y``.

    An empty text is one unknown symbol.
    """
    known = numbers(vocabulary)
    parts = [torch.from_numpy(encoded(one[:longest] or ["\ufffd"], known)).long() for one in symbols]
    x = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=PADDING)
    lengths = torch.tensor([len(part) for part in parts])
    return {"x": x, "y": torch.from_numpy(y.astype(np.int64)), "lengths": lengths}


def read_labelled(path: Path, text: str | int | None, target: str | int | None, reading: TextReading) -> Labelled:
    """Return texts and labels of a folder, or of a table that is cut as ``reading`` says.

    Raises:
        ZooError: cannot be read, a label or a text is missing.
    """
    if path.is_dir():
        return _folder(path)
    table = open_table(path, reading, text if isinstance(text, str) else "")
    cells = table.cells
    column = column_named(table, text, "data.text") if text is not None else longest_column(table)
    others = [str(name) for name in cells.columns if name != column and name not in table.nameless]
    label = others[0] if target is None and len(others) == 1 else column_named(table, target, "data.target")
    if all(is_number(str(cell)) for cell in cells[column].dropna()):
        raise ZooError(f"{path}: its column {column!r} holds numbers, no texts; data=csv reads tables")
    for line, one, known in zip(table.lines, cells[column], cells[label], strict=True):
        if not isinstance(one, str) or not isinstance(known, str):
            missing = f"the label ({label})" if isinstance(one, str) else f"the text ({column})"
            raise ZooError(f"{path}, line {line}: {missing} is missing; fill it or delete the line")
    reading = TextReading(column, label, table.delimiter, table.quoting, table.header)
    return Labelled(list(cells[column]), list(cells[label]), reading)


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


def _folder(path: Path) -> Labelled:
    classes = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    texts, labels = [], []
    for folder in classes:
        for file in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
            texts.append(read_text(file))
            labels.append(folder.name)
    if not texts:
        raise ZooError(f"{path}: holds no folders of text files; must be a folder per class, or a CSV")
    return Labelled(texts, labels)
