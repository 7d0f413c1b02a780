"""Reading texts: equal tokens in training and prediction, scripts without spaces, missing texts, lengths."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.data import load
from zoo.data.inputs import encode, from_json, pieces
from zoo.data.spec import DataSpec
from zoo.data.text.tokenizer import clean, infer_tokenizer
from zoo.exceptions import ZooError
from zoo.registry import create

LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
TEXTS = st.text(LETTERS | st.sampled_from("ab \"',;\t|\r\n影\u00a0é"), min_size=1, max_size=30)


@st.composite
def tables(draw):
    """Return texts, and how a file of them is written."""
    texts = draw(st.lists(TEXTS.map(lambda text: "w" + text.replace("\r", "\r\n") + "w"), min_size=20, max_size=24))
    delimiter = draw(st.sampled_from(",;\t|"))
    quoting = draw(st.sampled_from((csv.QUOTE_ALL, csv.QUOTE_MINIMAL)))
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-16")))
    columns = draw(st.permutations(("text", "label", "number")))
    tokens = draw(st.sampled_from(("words", "characters", None)))
    ending = draw(st.sampled_from(("\n", "\r\n")))
    forms = draw(st.sets(st.integers(0, 8), min_size=3, max_size=3))
    return texts, delimiter, quoting, encoding, list(columns), tokens, ending, forms


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables())
def test_encode_texts_equals_training_tokens(tmp_path_factory, table):
    texts, delimiter, quoting, encoding, columns, tokens, ending, forms = table
    path = tmp_path_factory.getbasetemp() / "texts.csv"
    rows = [{"text": text, "label": ("yes", "no")[n % 2], "number": n} for n, text in enumerate(texts)]
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter, quoting=quoting, lineterminator=ending)
        writer.writeheader()
        writer.writerows(rows)
    options = {
        "path": str(path),
        "text_column": "text",
        "target": "label",
        "tokenizer": tokens,
        "min_freq": 1,
        "folds": 2,
    }
    data = load("text", **options, test=str(path))
    spec = DataSpec.of(data.spec.to_dict())
    x, lengths = data.test["x"], data.test["lengths"]
    assert len(x) == len(texts)
    raws = [texts, tuple(texts), pd.Series(texts, index=range(5, 5 + len(texts))), np.array(texts, dtype=object)]
    raws += [rows, pd.DataFrame(rows), [path], str(path), from_json(spec, texts)]
    for form in forms:
        batch = encode(spec, raws[form])
        assert torch.equal(batch["x"], x)
        assert torch.equal(batch["lengths"], lengths)
    parts = list(pieces(spec, [str(path)]))
    assert not any(piece.wrong for piece in parts)
    assert [text for piece in parts for text in piece.raw] == [clean(text) for text in texts]
    known = {tuple(row.tolist()) for row in torch.nn.functional.pad(x, (0, 64))[:, :64]}
    train = torch.nn.functional.pad(data.train["x"], (0, 64))[:, :64]
    assert {tuple(row.tolist()) for row in train} <= known


def reviews(path: Path, rows: int = 40, delimiter: str = ",") -> str:
    lines = [f"it was {('fine', 'awful')[n % 2]} number {n}{delimiter}{('yes', 'no')[n % 2]}" for n in range(rows)]
    path.write_text("\n".join([f"review{delimiter}liked", *lines]) + "\n")
    return str(path)


@pytest.fixture
def spec(tmp_path) -> DataSpec:
    return load("text", path=reviews(tmp_path / "reviews.csv"), min_freq=1).spec


def read(spec: DataSpec, place: Path | str) -> list[str]:
    parts = list(pieces(spec, [str(place)]))
    assert not [piece.wrong for piece in parts if piece.wrong]
    return [text for piece in parts for text in piece.raw]


def test_text_column_of_new_tables_is_trainings(spec, tmp_path):
    new = tmp_path / "new.csv"
    new.write_text('liked,id,review\nyes,1,"a film, they say"\nno,2,bad\n')
    assert read(spec, new) == ["a film, they say", "bad"]
    new.with_suffix(".txt").write_text("liked;review\nyes;good\n")
    assert read(spec, new.with_suffix(".txt")) == ["good"]
    new.write_text("liked,comment\nyes,good\nno,bad\n")
    (piece,) = pieces(spec, [str(new)])
    assert piece.wrong == f"{new}: the text column 'review' is missing; columns are liked, comment"


def test_text_keeps_quotes_that_are_characters(tmp_path):
    texts = ['he said "yes', 'a 5" disk', '"quite" so', "no marks"] * 10
    path = tmp_path / "sms"
    path.write_text("".join(f"{('ham', 'spam')[n % 2]}\t{text} {n}\n" for n, text in enumerate(texts)))
    data = load("text", path=str(path), tokenizer="characters", test=str(path), min_freq=1)
    assert len(data.test["x"]) == 40
    assert read(data.spec, path) == [f"{text} {n}" for n, text in enumerate(texts)]
    assert torch.equal(encode(data.spec, path)["x"], data.test["x"])
    new = tmp_path / "new.tsv"
    new.write_text('ham\t"all of it" is text\nspam\t"and this"\n')
    assert read(data.spec, new) == ['"all of it" is text', '"and this"']


def test_text_quoted_over_several_lines(tmp_path):
    path = tmp_path / "t.csv"
    texts = [f"well, {n}\nthe second line" for n in range(40)]
    path.write_text("text,label\n" + "".join(f'"{text}",{("a", "b")[n % 2]}\n' for n, text in enumerate(texts)))
    data = load("text", path=str(path))
    assert data.spec.classes == ("a", "b")
    assert read(data.spec, path) == texts


def test_text_tab_delimiter_beside_commas(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("".join(f"{('a', 'b')[n % 2]}\tfine, number {n}\n" for n in range(40)))
    assert load("text", path=str(path)).spec.classes == ("a", "b")


def test_text_classes_may_be_named_none(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"word {n},{('None', 'mild', 'NA')[n % 3]}\n" for n in range(60)))
    assert load("text", path=str(path)).spec.classes == ("NA", "None", "mild")


def test_pieces_of_a_text_file_are_its_lines(spec, tmp_path):
    lines = tmp_path / "new.txt"
    lines.write_bytes("\ufeffa review, they say\r\n\r\n  fine\r\n".encode())
    assert read(spec, lines) == ["a review, they say", "fine"]


def test_pieces_of_a_folder_are_its_text_files(tmp_path):
    for row in range(20):
        for label in ("ham", "spam"):
            file = tmp_path / "mails" / label / f"{row}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{label}\nnumber {row}\n")
    data = load("text", path=str(tmp_path / "mails"), tokenizer="characters", test=str(tmp_path / "mails"), min_freq=1)
    parts = list(pieces(data.spec, [str(tmp_path / "mails")]))
    batch = encode(data.spec, [piece.raw[0] for piece in parts])
    assert torch.equal(batch["x"], data.test["x"])


def test_encode_names_the_row_of_a_missing_text(spec, tmp_path):
    texts = ["fine", None, "awful"]
    frame = pd.DataFrame({"review": texts}, index=[7, 8, 9])
    for raw in (texts, [{"review": text} for text in texts], np.array(texts, dtype=object), ["fine", float("nan")]):
        with pytest.raises(ZooError, match="text 2 is .*, not a text"):
            encode(spec, raw)
    for raw in (frame, frame["review"], frame["review"].astype("string")):
        with pytest.raises(ZooError, match=r"text 2 \(index 8\) is"):
            encode(spec, raw)
    with pytest.raises(ZooError, match="the model reads the column 'review'; the columns are a, b"):
        encode(spec, pd.DataFrame({"a": ["x"], "b": ["y"]}))
    for raw in ([{"review": "fine"}, {"liked": "yes"}], pd.DataFrame({"liked": ["yes"]}), {"liked": "yes"}):
        with pytest.raises(ZooError, match="the model reads the column 'review'; the columns are liked"):
            encode(spec, raw)
    with pytest.raises(ZooError, match="text 1 .index 0. is 1, not a text"):
        encode(spec, pd.DataFrame({"review": [1]}))
    with pytest.raises(ZooError, match="token ids must be integers"):
        encode(spec, np.array([1.5, 2.0]))
    with pytest.raises(ZooError, match="the input has no texts"):
        encode(spec, [])
    with pytest.raises(ZooError, match="text 1 has invalid token ids"):
        encode(spec, [[2, 10**6]])
    new = tmp_path / "new.csv"
    new.write_text("review,liked\nfine,yes\n,no\nbad,no\n")
    parts = list(pieces(spec, [str(new)]))
    assert [text for piece in parts if not piece.wrong for text in piece.raw] == ["fine", "bad"]
    assert [piece.wrong for piece in parts if piece.wrong] == [f"{new}, line 3: the text (review) is missing"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("影片很好看", "characters"),
        ("とても良い映画", "characters"),
        ("หนังดีมาก", "characters"),
        ("a good film", "words"),
        ("좋은 영화", "words"),
        ("фильм 好", "words"),
        ("123", "words"),
    ],
)
def test_infer_tokenizer_characters_for_scripts_without_spaces(text, tokens):
    assert infer_tokenizer([text]) == tokens


def chinese(path: Path, rows: int = 60) -> str:
    random = np.random.default_rng(0)
    texts = ["".join(random.permutation(list("影今的部很电在" + "好坏"[n % 2]))) for n in range(rows)]
    path.write_text("\n".join(["text,label", *(f"{text},{'pn'[n % 2]}" for n, text in enumerate(texts))]) + "\n")
    return str(path)


def test_chinese_texts_use_characters_and_note_unknown_words(tmp_path, capsys):
    path = chinese(tmp_path / "c.csv")
    data = load("text", path=path)
    assert data.spec.tokenizer == "characters"
    assert not (data.test["x"] == 1).any()
    assert "note: " + path + ": most letters belong to a script without spaces" in capsys.readouterr().err
    words = load("text", path=path, tokenizer="words")
    assert (
        "100% of the words in test texts are not in the training data; data.tokenizer=characters"
        in capsys.readouterr().err
    )
    create("lstm", spec=words.spec).predict(["好电影", "坏电影"])
    assert capsys.readouterr().err == "warning: 2 of 2 words are unknown to the model\n"
    create("lstm", spec=data.spec).predict(["好电影"])
    assert not capsys.readouterr().err


def test_max_length_is_the_longest_training_text(tmp_path):
    """Test texts are longer than any training text, which a table of positions has no place for."""
    path, test = reviews(tmp_path / "train.csv"), tmp_path / "test.csv"
    test.write_text("review,liked\n" + "fine " * 40 + ",yes\nawful,no\n")
    data = load("text", path=path, test=str(test))
    assert data.test["x"].shape[1] == data.train["x"].shape[1] == data.spec.input_shape[0] == 5
    assert encode(data.spec, ["fine " * 40])["lengths"].tolist() == [5]
    options = {"data.path": path, "data.test": str(test), "data.batch_size": 8, "trainer.max_epochs": 1}
    run = zoo.train("transformer", "text", model_kwargs={"positional_encoding": "learned"}, **options, report=False)
    assert len(run.model.predict(["fine " * 40, "awful"])["label"]) == 2


def test_language_model_reads_texts_beyond_its_block_size(tmp_path):
    path = tmp_path / "prose.txt"
    path.write_text("the cat sat on the mat. " * 60)
    options = {"data.path": str(path), "data.block_size": 8, "data.batch_size": 8, "trainer.max_epochs": 1}
    run = zoo.train(
        "transformer", "text_file", model_kwargs={"positional_encoding": "learned"}, **options, report=False
    )
    assert torch.isfinite(run.model.predict("the cat sat on the mat.")["probability"]).all()
    with pytest.raises(ZooError, match="a text has 600 characters; must have at most 512"):
        run.model.predict("a" * 600)
