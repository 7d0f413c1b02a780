"""Tokenization of texts into characters or words, and token ids from a vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from zoo.data.spec import UNKNOWN
from zoo.exceptions import ZooError

TOKENIZERS = ("characters", "words")
SPECIAL = ("", "\ufffd")  # how padding and unknown tokens are written
# A word with inner apostrophes, a line end, or a single punctuation mark
WORD = re.compile(r"\n|\w+(?:['’]\w+)*|[^\w\s]")
# Letters of scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, Japanese, Chinese
UNSPACED = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
CLOSING = set(".,;:!?)]}%\n")  # punctuation without a space before it


def clean(text: str) -> str:
    """Strip a labeled text and normalize its line endings to \\n."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def infer_tokenizer(texts: Iterable[str]) -> str:
    """Return characters if most letters belong to scripts without spaces, otherwise words."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += len(UNSPACED.findall(text))
    return "characters" if unspaced > letters / 2 else "words"


def tokenize(text: str, tokenizer: str) -> Sequence[str]:
    """Split a text into tokens. Words are lowercase."""
    return text if tokenizer == "characters" else WORD.findall(text.lower())


def detokenize(tokens: Iterable[str], tokenizer: str) -> str:
    """Join tokens into a text."""
    if tokenizer == "characters":
        return "".join(tokens)
    out = ""
    for token in tokens:
        out += token if not out or out.endswith(("\n", "(", "[")) or token in CLOSING else f" {token}"
    return out


def build_vocabulary(tokens: Iterable[str], *, max_size: int | None = None, min_freq: int = 1) -> tuple[str, ...]:
    """Return the padding and unknown tokens, then the ``max_size`` most frequent tokens.

    Tokens with fewer than ``min_freq`` occurrences are left out.
    """
    counted = sorted(Counter(tokens).items(), key=lambda item: (-item[1], item[0]))
    return (*SPECIAL, *(token for token, count in counted[:max_size] if count >= min_freq and token not in SPECIAL))


def token_ids(vocabulary: Sequence[str]) -> dict[str, int]:
    """Return the id of each token."""
    return {token: number for number, token in enumerate(vocabulary)}


def to_ids(tokens: Sequence[str], known: Mapping[str, int]) -> np.ndarray:
    """Return token ids (N,), int32. Tokens that are not in ``known`` become UNKNOWN."""
    return np.fromiter((known.get(token, UNKNOWN) for token in tokens), np.int32, count=len(tokens))


def encode_prompt(text: str, tokenizer: str, vocabulary: Sequence[str]) -> np.ndarray:
    """Return the token ids of a prompt without unknown tokens.

    Raises:
        ZooError: if a token is not in the vocabulary.
    """
    tokens = tokenize(text, tokenizer)
    ids = to_ids(tokens, token_ids(vocabulary))
    if (ids == UNKNOWN).any():
        unknown = tokens[int((ids == UNKNOWN).argmax())]
        some = " ".join(repr(token) for token in vocabulary[2:12])
        raise ZooError(
            f"prompt: {unknown!r} is not one of the {len(vocabulary) - 2} {tokenizer} in the vocabulary ({some} …)"
        )
    return ids
