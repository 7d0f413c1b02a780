"""Texts as symbols, characters or words, and symbols as numbers by their place in a vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from zoo.data.spec import UNKNOWN
from zoo.exceptions import ZooError

TOKENS = ("characters", "words")
SPECIAL = ("", "\ufffd")  # padding and unknown, by their written form
# A word with the apostrophes inside it, a line's end, or any other mark by itself
WORD = re.compile(r"\n|\w+(?:['’]\w+)*|[^\w\s]")
# Letters of scripts that put no blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
CLOSING = set(".,;:!?)]}%\n")  # marks that follow what is before them without a blank


def cleaned(text: str) -> str:
    """Return a text with line ends as \\n and without the blanks around it, as a row of labelled texts."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def tokens_of(texts: Iterable[str]) -> str:
    """Return the tokens that suit texts: characters where most letters are of scripts without blanks, else words."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += len(UNSPACED.findall(text))
    return "characters" if unspaced > letters / 2 else "words"


def cut(text: str, tokens: str) -> Sequence[str]:
    """Return the symbols of a text; words are in small letters."""
    return text if tokens == "characters" else WORD.findall(text.lower())


def join(symbols: Iterable[str], tokens: str) -> str:
    """Return symbols as a text."""
    if tokens == "characters":
        return "".join(symbols)
    out = ""
    for symbol in symbols:
        out += symbol if not out or out.endswith(("\n", "(", "[")) or symbol in CLOSING else f" {symbol}"
    return out


def vocabulary_of(symbols: Iterable[str], *, most: int | None = None, least: int = 1) -> tuple[str, ...]:
    """Return padding, unknown, then symbols that occur ``least`` times, frequent first, ``most`` of them."""
    counted = sorted(Counter(symbols).items(), key=lambda item: (-item[1], item[0]))
    return (*SPECIAL, *(symbol for symbol, count in counted[:most] if count >= least and symbol not in SPECIAL))


def numbers(vocabulary: Sequence[str]) -> dict[str, int]:
    """Return the number of each symbol."""
    return {symbol: number for number, symbol in enumerate(vocabulary)}


def encoded(symbols: Sequence[str], known: Mapping[str, int]) -> np.ndarray:
    """Return the numbers of symbols (N,), int32; those that are not in ``known`` are UNKNOWN."""
    return np.fromiter((known.get(symbol, UNKNOWN) for symbol in symbols), np.int32, count=len(symbols))


def checked(text: str, tokens: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the numbers of a text's symbols, all of which must be known.

    Raises:
        ZooError: a symbol that is not in the vocabulary.
    """
    symbols = cut(text, tokens)
    found = encoded(symbols, numbers(vocabulary))
    if (found == UNKNOWN).any():
        stranger = symbols[int((found == UNKNOWN).argmax())]
        some = " ".join(repr(symbol) for symbol in vocabulary[2:12])
        raise ZooError(f"prompt: {stranger!r} is not among the {len(vocabulary) - 2} {tokens} that it knows ({some} …)")
    return found
