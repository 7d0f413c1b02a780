"""Reading tables: column formats, and new rows encoded exactly as in training."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import zoo
from zoo.data import load
from zoo.data.inputs import encode, from_json, pieces, unknown_categories
from zoo.data.table.read import unknown_notes

# --- the same numbers from a file, a frame and dictionaries ---

ROWS = 40
NUMBERS = (  # decimal mark, thousands separator, what stands before and after
    *((".", "", "", ""), (",", "", "", ""), (".", ",", "", ""), (",", ".", "", ""), (".", " ", "", " €")),
    *((".", ",", "$", ""), (".", "", "", "%"), (",", "", "", " %"), (".", "'", "CHF ", ""), (".", "_", "", "")),
)


@dataclass(frozen=True)
class Form:
    """How a table is written."""

    delimiter: str
    quoting: int
    encoding: str
    header: bool
    index: bool
    numbers: tuple[str, str, str, str]
    missing: str
    codes: str  # of whole categories: 1 or 1.0
    order: list[int]
    size: float
    seed: int


def written_number(value: float, form: Form) -> str:
    decimal, thousands, before, after = form.numbers
    text = f"{abs(value):,.3f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
    return f"{'-' if value < 0 else ''}{before}{text}{after}"


def columns(form: Form) -> dict[str, list[str]]:
    rng = np.random.default_rng(form.seed)
    size = rng.normal(0, form.size, ROWS)
    size[0] = form.size * 1.2345 + 0.5  # a number that is no whole one is always there
    numbers = [written_number(value, form) for value in size]
    gaps = [written_number(value, form) for value in rng.normal(0, form.size, ROWS)]
    for row in range(3, ROWS, 7):
        gaps[row] = form.missing
    codes = [f"{code}.0" if form.codes == "1.0" else str(code) for code in rng.integers(1, 5, ROWS)]
    kinds = list(rng.choice(['oak, "old"', "pine; tall", "None", "ye|w", "äsh"], ROWS))
    return {
        "size": numbers,
        "gap": gaps,
        "code": codes,
        "kind": kinds,
        "plain": [f"{value:.4f}" for value in rng.normal(size=ROWS)] if form.numbers[0] == "." else numbers[::-1],
        "y": ["yes" if row % 2 else "no" for row in range(ROWS)],
    }


def write(path: Path, cells: dict[str, list[str]], form: Form, *, order: list[str]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=form.delimiter, quoting=form.quoting, lineterminator="\n")  # type: ignore[arg-type]
    if form.header:
        writer.writerow([""] * form.index + order)
    for row in range(ROWS):
        writer.writerow([str(row)] * (form.index and form.header) + [cells[name][row] for name in order])
    path.write_bytes(text.getvalue().encode(form.encoding))
    return path


forms = st.builds(
    Form,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    header=st.booleans(),
    index=st.booleans(),
    numbers=st.sampled_from(NUMBERS),
    missing=st.sampled_from(["", "-", "NA", "n/a", "?", "null", "-999"]),
    codes=st.sampled_from(["1", "1.0"]),
    order=st.permutations(range(6)),
    size=st.sampled_from([0.5, 3e3, 4e6]),
    seed=st.integers(0, 10**6),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(form=forms)
def test_encode_table_equals_training_rows(tmp_path, form):
    cells = columns(form)
    names = list(cells)
    path = write(tmp_path / "a.csv", cells, form, order=names)
    code = "code" if form.header else "column_3"
    options = {"target": "y" if form.header else "column_6", "categorical_columns": [code], "missing": [-999]}
    data = load("csv", path=str(path), **options)
    spec = data.spec
    x = torch.cat([split["x"] for split in (data.train, data.val, data.test)])
    assert len(spec.columns) == 5
    assert set(spec.categories[2]) <= set("1234")
    assert spec.categories[0] == spec.categories[1] == spec.categories[4] == ()
    order = [names[n] for n in form.order] if form.header else names
    new = write(tmp_path / "b.csv", cells, form, order=order)
    (piece,) = pieces(spec, [str(new)])
    assert piece.wrong is None, piece.wrong
    rows = encode(spec, piece.raw)["x"]
    assert sorted(map(tuple, rows.tolist())) == sorted(map(tuple, x.tolist()))
    frame = pd.DataFrame({name: cells[key] for name, key in zip(spec.columns, names, strict=False)})
    shuffled = frame.iloc[::-1]
    numbered = frame.assign(**{code: pd.to_numeric(frame[code]).astype(float)})
    dictionaries = frame.to_dict("records")
    for raw in (frame, numbered, dictionaries, from_json(spec, dictionaries), str(new), frame.to_numpy()):
        assert torch.equal(encode(spec, raw)["x"], rows)
    assert torch.equal(encode(spec, shuffled)["x"], rows.flip(0))
    assert torch.equal(encode(spec, frame.iloc[5])["x"], rows[5:6])
    assert torch.equal(encode(spec, dictionaries[7])["x"], rows[7:8])


# --- numbers, column by column ---


def table(tmp_path, content: str, /, **options):
    path = tmp_path / "a.csv"
    path.write_text(content)
    return load("csv", path=str(path), **{"target": "y", **options})


def rows_of(name: str, values: list[str], delimiter: str = ",") -> str:
    lines = [f"{name}{delimiter}y"]
    lines += [f'"{value}"{delimiter}{"uv"[n % 2]}' for n, value in enumerate(values)]
    return "\n".join(lines) + "\n"


def first_column(data) -> list[float]:
    return sorted(torch.cat([split["x"] for split in (data.train, data.val, data.test)])[:, 0].tolist())


@pytest.mark.parametrize(
    ("texts", "numbers", "words"),
    [
        (["0,5", "1,25"], [0.5, 1.25], "decimal mark ','"),
        (["1,033.5", "12.25"], [1033.5, 12.25], "thousands separator ','"),
        (["1.033,5", "12,25"], [1033.5, 12.25], "decimal mark ','"),
        (["1,033", "12,500"], [1033.0, 12500.0], "thousands separator ','"),
        (["1033", "1,5"], [1033.0, 1.5], "decimal mark ','"),
        (["1 033,5", "12,25"], [1033.5, 12.25], "decimal mark ','"),
        (["1\u202f033,5", "12,25"], [1033.5, 12.25], "decimal mark ','"),
        (["12,34,567", "1,00,000"], [1234567.0, 100000.0], "thousands separator ','"),
        (["$1,033", "-$20"], [1033.0, -20.0], "$ in a"),
        (["5 €", "7,5 €"], [5.0, 7.5], "€ in a"),
        (["12%", "7.5 %"], [12.0, 7.5], "% in a"),
        (["(1,033)", "20"], [-1033.0, 20.0], "thousands separator ','"),
        (["\u22125.5", "2.5"], [-5.5, 2.5], "from 1 column of numbers"),
        (["1e3", "2.5"], [1000.0, 2.5], "from 1 column of numbers"),
    ],
)
def test_numbers_in_local_formats_are_reported(tmp_path, capsys, texts, numbers, words):
    data = table(tmp_path, rows_of("a", texts * 15))
    assert first_column(data) == pytest.approx(sorted(numbers * 15))
    assert words in capsys.readouterr().out


def test_decimal_mark_of_an_ambiguous_column_follows_the_file(tmp_path, capsys):
    both = "a;b;y\n" + "\n".join(f"1,{n:03d};0,{n};{'uv'[n % 2]}" for n in range(100, 140))
    assert first_column(table(tmp_path, both))[0] == pytest.approx(1.1)
    points = "a;b;y\n" + "\n".join(f"1.{n:03d};0,{n};{'uv'[n % 2]}" for n in range(100, 140))
    assert first_column(table(tmp_path, points))[0] == 1100
    capsys.readouterr()
    alone = rows_of("a", [f"1,{n:03d}" for n in range(100, 140)])
    assert first_column(table(tmp_path, alone))[0] == 1100
    assert "note: " in (note := capsys.readouterr().err)
    assert "pass data.decimal=','" in note
    assert first_column(table(tmp_path, alone, decimal=","))[0] == pytest.approx(1.1)
    assert first_column(table(tmp_path, alone, thousands=","))[0] == 1100
    few = rows_of("a", ["0,5", "1,25"] * 20)
    assert first_column(table(tmp_path, few, thousands="."))[0] == 0.5


def test_missing_markers_are_reported_and_units_warn(tmp_path, capsys):
    data = table(tmp_path, rows_of("a", ["-", "1.5", "2.5"] * 14))
    assert data.spec.missing_indicators == ("a",)
    assert "missing: 14 of a (as '-')" in capsys.readouterr().out
    for texts in (["7.5 °C", "8 °C"], ["<4", "n.d.", "5", "6.5"]):
        assert table(tmp_path, rows_of("a", texts * 12)).spec.categories[0]
        assert "warning: " in (warning := capsys.readouterr().err)
        assert "most cells start with a number" in warning
    data = table(tmp_path, rows_of("a", ["-999", "1.5", "2.5"] * 14), missing=[-999])
    assert data.spec.missing_indicators == ("a",)


def test_numeric_column_with_a_word_is_rejected(tmp_path):
    text = rows_of("a", ["xx" if n % 5 < 2 else f"{n / 7:.3f}" for n in range(60)])
    with pytest.raises(zoo.ZooError, match=r"has numbers and 'xx' \(24 rows\).*data\.missing=\[xx\]"):
        table(tmp_path, text)
    assert table(tmp_path, text, missing=["xx"]).spec.missing_indicators == ("a",)
    with pytest.raises(zoo.ZooError, match="remove the units"):
        table(tmp_path, rows_of("a", [f"{'$€'[n % 2]}{n / 7:.2f}" for n in range(60)]))


def test_codes_with_leading_zeros_are_categories(tmp_path, capsys):
    text = rows_of("a", ["01001", "02134", "90210"] * 14)
    spec = table(tmp_path, text).spec
    assert spec.categories[0] == ("01001", "02134", "90210")
    assert encode(spec, pd.read_csv(tmp_path / "a.csv"))["x"].flatten().tolist() == [1, 2, 3] * 14  # without the zeros
    assert "pass data.numeric_columns=[a]" in capsys.readouterr().err
    assert table(tmp_path, text, numeric_columns=["a"]).spec.categories == ((),)


def test_number_format_of_training_applies_to_prediction(tmp_path):
    spec = table(tmp_path, rows_of("a", ["1.033,5", "12,25"] * 20, ";")).spec
    assert encode(spec, {"a": "2.000,5"})["x"].tolist() == [[2000.5]]
    assert encode(spec, {"a": 2000.5})["x"].tolist() == [[2000.5]]
    with pytest.raises(zoo.ZooError, match=r"row 1, column 'a': '2000\.5' is text in a numeric column \(decimal ','"):
        encode(spec, {"a": "2000.5"})


# --- categories and classes ---


def test_integer_categories_equal_in_every_dtype(tmp_path):
    codes = ["1234567.0", "1234568.0", ""]
    spec = table(tmp_path, rows_of("a", codes * 14), categorical_columns=["a"]).spec
    assert spec.categories == (("", "1234567", "1234568"),)
    for raw in (
        pd.DataFrame({"a": [1234567.0, 1234568.0, np.nan]}),
        pd.DataFrame({"a": pd.array([1234567, 1234568, None], dtype="Int64")}),
        pd.DataFrame({"a": pd.array(["1234567", "1234568.0", None], dtype="string")}),
        pd.DataFrame({"a": pd.Categorical([1234567, 1234568, None])}),
    ):
        assert encode(spec, raw)["x"].flatten().tolist() == [2, 3, 1]
    versions = table(tmp_path, rows_of("a", ["1.0", "1", "beta"] * 14)).spec
    assert versions.categories == (("1", "1.0", "beta"),)  # texts, not numbers


@pytest.mark.parametrize("word", ["None", "NA", "null", "N/A"])
def test_missing_words_may_be_classes(tmp_path, capsys, word):
    text = "a,y\n" + "".join(f"{n},{one}\n" for n in range(20) for one in (word, "mild"))
    assert table(tmp_path, text).spec.classes == tuple(sorted([word, "mild"]))
    assert f"pass data.missing=[{word}]" in capsys.readouterr().err
    with pytest.raises(zoo.ZooError, match="line 2, column 'y': the target is missing"):
        table(tmp_path, text, missing=[word])
    numbers = "a,y\n" + "".join(f"{n},{one}\n" for n in range(20) for one in (word, "0", "1"))
    with pytest.raises(zoo.ZooError, match="line 2, column 'y': the target is missing"):
        table(tmp_path, numbers)
    assert table(tmp_path, rows_of("a", [word, "mild"] * 20)).spec.categories == (tuple(sorted([word, "mild"])),)


def test_unknown_categories_are_counted(tmp_path, capsys):
    spec = table(tmp_path, rows_of("wood", ["pine", "yew"] * 20)).spec
    new = pd.DataFrame({"wood": ["oak", "pine", "oak", "ash", None]}, index=[7, 7, 7, 7, 7])
    counts = unknown_categories(spec, new, encode(spec, new))
    assert counts["wood"] == {"oak": 2, "ash": 1, "(empty)": 1}
    expected = "note: 4 values of 'wood' are unknown to the model: oak (2), ash (1), (empty) (1)"
    assert unknown_notes(counts) == [expected]
    zoo.create("fnn", spec=spec).eval().predict(new)
    assert capsys.readouterr().err.strip() == expected


# --- large numbers ---


def test_large_numbers_keep_float32_resolution(tmp_path):
    rng = np.random.default_rng(0)
    a = rng.normal(size=200).round(3)
    frame = pd.DataFrame({"stamp": 1.7e9 + a, "y": 1e9 + 10 * a})
    frame.to_csv(tmp_path / "a.csv", index=False)
    data = load("csv", path=str(tmp_path / "a.csv"), target="y")
    x, y = (torch.cat([split[key] for split in (data.train, data.val, data.test)]) for key in "xy")
    shift, lift = 1.7e9 - data.spec.reading.offsets[0], 1e9 - data.spec.target_offset
    assert np.allclose(np.sort(x[:, 0].numpy()), np.sort(a + shift), atol=1e-4)
    assert np.allclose(np.sort(y.numpy()), np.sort(10 * a + lift), atol=1e-3)
    (piece,) = pieces(data.spec, [str(tmp_path / "a.csv")])
    for raw in (piece.raw, frame, frame[["stamp"]].to_numpy(), torch.tensor(frame[["stamp"]].to_numpy())):
        assert np.allclose(encode(data.spec, raw)["x"][:, 0].numpy(), a + shift, atol=1e-4)
    from zoo.data.arrays import from_arrays

    arrays = from_arrays((frame[["stamp"]].to_numpy(), frame["y"].to_numpy()))
    assert torch.equal(arrays.train["y"], data.train["y"])
    from zoo.tasks import build_task

    objective = build_task(data.spec)
    output = ((y - data.spec.target_mean) / data.spec.target_std).unsqueeze(1)
    assert float(objective.loss(output, {"y": y})) < 1e-10
    assert np.allclose(np.sort(objective.predictions(output)["value"].numpy()), np.sort(1e9 + 10 * a), atol=1e-3)


def test_values_beyond_float32_are_rejected_with_row_and_column(tmp_path):
    with pytest.raises(zoo.ZooError, match=r"line 5, column 'a': 1e\+39 is too large"):
        table(tmp_path, rows_of("a", ["1", "2", "3", "1e39"] * 10))
    spec = table(tmp_path, rows_of("a", ["1.5", "2", "3"] * 14)).spec
    for value in (float("inf"), 1e39):
        with pytest.raises(zoo.ZooError, match="row 2, column 'a'"):
            encode(spec, {"a": [1.0, value]})
        with pytest.raises(zoo.ZooError, match="row 2, column 'a'"):
            encode(spec, np.array([[1.0], [value]]))
    with pytest.raises(zoo.ZooError, match="row 1, column 'a': is missing"):
        encode(spec, np.array([[np.nan]]))
    with pytest.raises(zoo.ZooError, match="has a standard deviation of .* too small for float32"):
        table(tmp_path, rows_of("a", ["1e-40", "2e-40"] * 20))


# --- unusable columns ---

DATES = (
    *("Jan {d:02d}, 2024", "{d} January 2024", "{d:02d}-Jan-24", "Mon, {d:02d} Jan 2024", "January {d}, 2024 10:30"),
    *("2024/01/{d:02d}", "{d:02d}.01.2024", "2024-01-{d:02d}T10:30:00Z", "2024-Jan-{d:02d}", "{d}. Mai 2024"),
)


@pytest.mark.parametrize("form", DATES)
def test_date_columns_are_rejected_in_common_formats(tmp_path, form):
    with pytest.raises(zoo.ZooError, match=r"column 'a' has dates, such as .*data.drop_columns=\[a\]"):
        table(tmp_path, rows_of("a", [form.format(d=n % 28 + 1) for n in range(40)]))


def test_date_columns_are_more_than_month_names(tmp_path):
    assert table(tmp_path, rows_of("a", ["may", "march", "5 may"] * 14)).spec.categories[0]


def test_identifier_columns_are_rejected_or_warn(tmp_path, capsys):
    with pytest.raises(zoo.ZooError, match="column 'a' has 60 different texts in 60 rows"):
        table(tmp_path, rows_of("a", [f"person {n}" for n in range(60)]))
    table(tmp_path, rows_of("a", [str(3 * n + 7) for n in range(60)]))
    assert "column 'a' increases or decreases with each row" in capsys.readouterr().err
    table(tmp_path, rows_of("a", [str(n * 7 % 61) for n in range(60)]))
    assert not capsys.readouterr().err


# --- raw rows in Python ---


@pytest.fixture
def trees(tmp_path):
    text = "a,kind,y\n" + "".join(f"{n / 7:.3f},{'oak' if n % 3 else 'yew'},{'uv'[n % 2]}\n" for n in range(60))
    return table(tmp_path, text).spec


def test_encode_accepts_every_form_of_rows(trees, tmp_path):
    frame = pd.DataFrame({"kind": ["oak", "yew"], "a": [0.5, 1.5]}, index=["p", "q"])
    expected = [[0.5, 1.0], [1.5, 2.0]]
    frame.to_csv(tmp_path / "new.csv", sep=";")
    nullable = frame.convert_dtypes()
    for raw in (
        *(frame, nullable, frame.to_dict("records"), frame.to_dict("list"), [row for _, row in frame.iterrows()]),
        *(tmp_path / "new.csv", str(tmp_path / "new.csv"), [[0.5, "oak"], [1.5, "yew"]]),
        *(frame[["a", "kind"]].to_numpy(), np.array(expected), torch.tensor(expected), expected),
    ):
        assert encode(trees, raw)["x"].tolist() == expected
    for raw in (frame.iloc[0], frame.to_dict("records")[0], [0.5, 1.0], np.array([0.5, 1.0])):
        assert encode(trees, raw)["x"].tolist() == expected[:1]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (pd.DataFrame({"a": [], "kind": []}), "has no rows"),
        (pd.DataFrame({"a": [1.0]}), "the columns kind are missing"),
        (pd.DataFrame([[1.0, 2.0, "oak"]], columns=["a", "a", "kind"]), "two columns are named 'a'"),
        ({"a": "wide", "kind": "oak"}, "row 1, column 'a': 'wide' is text"),
        ([{"kind": "oak"}], "the columns a are missing"),
        ("nosuch.csv", "nosuch.csv: no such file"),
        (3.5, "must be rows"),
        (np.array([[1.0, 7.0]]), "column 'kind': 7 is not a category code"),
        (np.zeros((2, 3)), r"must be \(batch, 2\)"),
        ([[1.0, "oak", 2]], "must be rows of 2 columns"),
        (np.array([[1 + 2j, 0]]), "of complex numbers"),
        (pd.DataFrame({"a": pd.timedelta_range("1h", periods=1), "kind": ["oak"]}), "row 1, column 'a'"),
    ],
)
def test_encode_rejects_unfit_rows_in_one_line(trees, raw, words):
    with pytest.raises(zoo.ZooError, match=words) as error:
        encode(trees, raw)
    assert "\n" not in str(error.value)


def test_encode_errors_name_file_and_line(trees, tmp_path):
    for text, words in (
        ("a,kind\n", "new.csv: has no rows"),
        ("kind\noak\nyew\n", "new.csv: the columns a are missing; the model reads a, kind"),
        ("a,kind\n1,oak\nwide,oak\n", "new.csv, line 3, column 'a': 'wide' is text"),
    ):
        (tmp_path / "new.csv").write_text(text)
        (piece,) = pieces(trees, [str(tmp_path / "new.csv")])
        if piece.wrong is None:
            with pytest.raises(zoo.ZooError, match=words):
                encode(trees, piece.raw)
        else:
            assert words in piece.wrong


def test_thousands_or_decimal_point_ambiguity_is_noted(tmp_path, capsys):
    text = rows_of("a", [f"1.{n:03d}" for n in range(100, 140)], ";").replace('"', "")
    assert first_column(table(tmp_path, text))[0] == pytest.approx(1.1)
    assert "pass data.decimal=','" in capsys.readouterr().err
    assert first_column(table(tmp_path, text, decimal=","))[0] == 1100


def test_reconstruction_of_large_numbers_in_original_units():
    from zoo.data.arrays import from_arrays

    a = 1.7e9 + np.random.default_rng(0).normal(size=(200, 2)).round(3)
    spec = from_arrays(a, task="reconstruction").spec
    batch = encode(spec, a)
    from zoo.tasks import build_task

    objective = build_task(spec)
    back = objective.predictions(objective.target(batch["x"]))["reconstruction"]
    assert np.allclose(back.numpy(), a, rtol=0, atol=1e-4)
