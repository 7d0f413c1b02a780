"""The layout of a CSV: quotes, header, unnamed columns, delimiter."""

from __future__ import annotations

import csv
import io

import pytest

import zoo
from zoo.data import load
from zoo.data.inputs import pieces
from zoo.data.table.csv_file import read_csv, stream_csv
from zoo.data.table.spec import Dialect

MESSAGES = [
    *('ham\t"Hello" he said, and left', 'spam\tFree "entry" now!!', 'ham\t"not closed', "spam\tcall now; win, win"),
    *('ham\tsix" nails | a box', 'ham\t"quoted as a whole"', 'spam\t"', 'ham\tends with "'),
]


def lines(messages, count=40):
    return "\n".join(messages[n % len(messages)] for n in range(count)) + "\n"


def stream_tables(path, known=(), **options):
    with path.open("rb") as file:
        return list(stream_csv(file, str(path), Dialect(**options), rows=7, known=known))


def write_csv(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    return path


def test_read_csv_keeps_quotes_that_are_ordinary_characters(tmp_path):
    path = write_csv(tmp_path, lines(MESSAGES))
    table = read_csv(path)
    assert (table.delimiter, table.quoting, table.header) == ("\t", "none", False)
    texts = [message.split("\t")[1] for message in MESSAGES]
    assert table.cells["column_2"].tolist()[:8] == texts
    pieces_of = stream_tables(path)
    assert [text for one in pieces_of for text in one.cells["column_2"]] == table.cells["column_2"].tolist()
    texts_of = load("text", path=str(path), min_freq=1)
    assert sum(texts_of.sizes) == 40


def test_csv_quoting_applies_to_new_files(tmp_path):
    rows = "".join(f"{n / 3:.2f},{['pine', 'oak'][n % 2]},{'uv'[n % 2]}\n" for n in range(40)).replace(
        "pine", '5" pine'
    )
    spec = load("csv", path=str(write_csv(tmp_path, "a,kind,y\n" + rows)), target="y", quoting="none").spec
    assert spec.reading.quoting == "none"
    assert spec.categories[1] == ('5" pine', "oak")
    (piece,) = pieces(spec, [str(write_csv(tmp_path, 'a,kind\n1,"oak"\n'))])
    assert piece.raw["kind"].tolist() == ['"oak"']


@pytest.mark.parametrize(
    ("text", "quoting"),
    [
        ('a,b\n"x, y",1\n"c\nd",2\n"say ""no""",3\n', "minimal"),
        ('a,b\nsix" nails,1\nplain,2\n', "minimal"),
        ("a,b\nx,1\ny,2\n", None),
        ('a,b\n"x ""1"", z",1\n"y",2\n', "minimal"),
    ],
)
def test_read_csv_strips_quotes_around_cells(tmp_path, text, quoting):
    table = read_csv(write_csv(tmp_path, text))
    assert table.quoting == quoting
    assert table.cells.values.tolist() == list(csv.reader(io.StringIO(text)))[1:]


def test_read_csv_names_the_line_of_an_unbalanced_quote(tmp_path):
    path = write_csv(tmp_path, "a,b\nx,1\n" + '"y, z,2\n' + "x,3\n" * 5)
    with pytest.raises(zoo.ZooError, match=r"line 3: .*pass data\.quoting=none if quotes are ordinary characters"):
        read_csv(path)
    with pytest.raises(zoo.ZooError, match=r"unknown data\.quoting 'non': did you mean 'none'"):
        read_csv(path, Dialect(quoting="non"))
    with pytest.raises(zoo.ZooError, match=r"line 3: has 3 fields; other lines have 2"):
        read_csv(path, Dialect(quoting="none"))


@pytest.mark.parametrize(
    ("text", "names", "nameless"),
    [
        (",a,b\n0,1,x\n1,2,y\n", ["column_1", "a", "b"], ("column_1",)),  # pandas writes an index so
        ("a,b\n0,1,x\n1,2,y\n", ["column_1", "a", "b"], ("column_1",)),  # and R so
        ("Unnamed: 0,a,b\n0,1,x\n1,2,y\n", ["column_1", "a", "b"], ("column_1",)),
        ("a,b,\n1,x,\n2,y,\n", ["a", "b", "column_3"], ("column_3",)),
        ("a,b\n1,x,\n2,y,\n", ["a", "b", "column_3"], ("column_3",)),
        ("0,1,2\n1.5,2,x\n2.5,2,y\n", ["0", "1", "2"], ()),  # an array's columns
        ("city,2019,2020,2021\nUlm,5,5,6\nBonn,7,8,9\n", ["city", "2019", "2020", "2021"], ()),
        ("kind,wood\nkind,5\nother,7\n", ["kind", "wood"], ()),  # numbers below a text
        ("kind,wood\nkind,oak\nother,yew\n", ["column_1", "column_2"], ()),
        ("1,x,5\n2,y,6\n", ["column_1", "column_2", "column_3"], ()),
        ("a,NA\n1,2\n", ["column_1", "column_2"], ()),
        (",red,5\n3,blue,6\n", ["column_1", "column_2", "column_3"], ()),
    ],
)
def test_read_csv_detects_a_header(tmp_path, text, names, nameless):
    table = read_csv(write_csv(tmp_path, text))
    assert (table.cells.columns.tolist(), table.nameless) == (names, nameless)
    (piece,) = stream_tables(tmp_path / "a.csv")
    assert piece.cells.columns.tolist() == names
    assert piece.cells.equals(table.cells)


def test_csv_drops_an_unnamed_index_with_a_note(tmp_path, capsys):
    rows = "".join(f"{n},{n / 7:.2f},{'uv'[n % 2]}\n" for n in range(40))
    spec = load("csv", path=str(write_csv(tmp_path, ",a,y\n" + rows)), target="y").spec
    assert spec.columns == ("a",)
    assert "left out column_1, an unnamed index column" in capsys.readouterr().err
    by_place = load("csv", path=str(tmp_path / "a.csv"), target=-1, drop_columns=["column_1"])
    assert by_place.spec == spec


def test_csv_keeps_an_unnamed_categorical_column(tmp_path):
    rows = "".join(f"{['oak', 'yew'][n % 3 > 0]},{n / 7:.2f},{'uv'[n % 2]}\n" for n in range(40))
    assert load("csv", path=str(write_csv(tmp_path, ",a,y\n" + rows)), target="y").spec.columns == ("column_1", "a")
    texts = "".join(f"{n},{'a good film' if n % 2 else 'a bad film'},{'uv'[n % 2]}\n" for n in range(40))
    spec = load("text", path=str(write_csv(tmp_path, ",review,liked\n" + texts)), min_freq=1).spec
    assert (spec.reading.text_column, spec.reading.target) == ("review", "liked")


def test_multilabel_targets_may_be_written_as_floats(tmp_path):
    rows = "".join(f"{n / 7:.2f},{n % 2}.0,{n % 3 % 2}\n" for n in range(40))
    data = load("csv", path=str(write_csv(tmp_path, "a,up,down\n" + rows)), target=["up", "down"])
    assert int(data.train["y"][:, 0].sum()) == data.spec.class_counts[0] > 0


def test_read_csv_semicolons_with_decimal_commas(tmp_path):
    table = read_csv(write_csv(tmp_path, "1,5;2,5;3,5\n2,5;3,5;4,5\n"))
    assert (table.delimiter, len(table.cells.columns)) == (";", 3)


def test_pieces_of_a_csv_in_another_layout(tmp_path):
    rows = "".join(f"{n / 7:.2f};{'xy'[n % 3 > 0]};{'uv'[n % 2]}\n" for n in range(40))
    spec = load("csv", path=str(write_csv(tmp_path, "a;kind;y\n" + rows)), target="y").spec
    for text in ("a;kind\n1;x\n", "kind,a\nx,1\n", "kind\ta\tz\nx\t1\t1,5\n", "a|kind\n1|x\n"):
        (piece,) = pieces(spec, [str(write_csv(tmp_path, text))])
        assert (piece.raw["a"].tolist(), piece.raw["kind"].tolist()) == (["1"], ["x"])
    bare = load("csv", path=str(write_csv(tmp_path, rows)), target=1, task="regression").spec
    assert (bare.columns, bare.reading.header) == (("column_2", "column_3"), False)
    for text in ("0,5;x;u\n", "x;u\n"):  # with the target, and without
        (piece,) = pieces(bare, [str(write_csv(tmp_path, text))])
        assert piece.raw[["column_2", "column_3"]].values.tolist() == [["x", "u"]]
