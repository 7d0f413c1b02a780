"""Texts as tokens, characters or words, and tokens as numbers by their place in a vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from zoo.data.spec import UNKNOWN
from zoo.exceptions import ZooError

TOKENIZERS = ("characters", "words")
SPECIAL = ("", "\ufffd")  # padding and unknown, by their written form
# A word with the apostrophes inside it, a line's end, or any other mark by itself
WORD = re.compile(r"\n|\w+(?:['’]\w+)*|[^\w\s]")
# Letters of scripts that put no blanks between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
CLOSING = set(".,;:!?)]}%\n")  # marks that follow what is before them without a blank


def clean(text: str) -> str:
    """Return a text with line ends as \\n and without the blanks around it, as a row of labeled texts."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def infer_tokenizer(texts: Iterable[str]) -> str:
    """Return the tokenizer that suits texts: characters where most letters are of scripts without blanks, else words."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += len(UNSPACED.findall(text))
    return "characters" if unspaced > letters / 2 else "words"


def tokenize(text: str, tokenizer: str) -> Sequence[str]:
    """Return the tokens of a text; words are in small letters."""
    return text if tokenizer == "characters" else WORD.findall(text.lower())


def detokenize(tokens: Iterable[str], tokenizer: str) -> str:
    """Return tokens as a text."""
    if tokenizer == "characters":
        return "".join(tokens)
    out = ""
    for token in tokens:
        out += token if not out or out.endswith(("\n", "(", "[")) or token in CLOSING else f" {token}"
    return out


def build_vocabulary(tokens: Iterable[str], *, max_size: int | None = None, min_freq: int = 1) -> tuple[str, ...]:
    """Return padding, unknown, then tokens that occur ``min_freq`` times, frequent first, ``max_size`` of them."""
    counted = sorted(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))
    return (*SPECIAL, *(token for token, count in counted[:max_size] if count >= min_freq and token not in SPECIAL))


def token_ids(vocabulary: Sequence[str]) -> dict[str, int]:
    """Return the number of each token."""
    return {token: number for number, token in enumerate(vocabulary)}


def to_ids(tokens: Sequence[str], known: Mapping[str, int]) -> np.ndarray:
    """Return the numbers of tokens (N,), int32; those that are not in ``known`` are UNKNOWN."""
    return np.fromiter((known.get(token, UNKNOWN) for token in tokens), np.int32, count=len(tokens))


def encode_prompt(text: str, tokenizer: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the numbers of a text's tokens, all of which must be known.

    Raises:
        ZooError: a token that is not in the vocabulary.
    """
    tokens = tokenize(text, tokenizer)
    ids = to_ids(tokens, token_ids(vocabulary))
    if (ids == UNKNOWN).any():
        unknown = tokens[int((ids == UNKNOWN).argmax())]
        some = " ".join(repr(token) for token in vocabulary[2:12])
        raise ZooError(
            f"prompt: {unknown!r} is not among the {len(vocabulary) - 2} {tokenizer} that it knows ({some} …)"
        )
    return ids
