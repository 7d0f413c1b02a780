"""Frames and arrays in memory are read like a file of the same rows."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch

import zoo
from zoo.data import load
from zoo.data.arrays import from_arrays
from zoo.data.inputs import encode

ROWS = 60
A = np.random.default_rng(0).normal(size=ROWS).round(3)
Y = np.where(np.arange(ROWS) % 2, "yes", "no")


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"a": A, **columns, "y": Y})


@pytest.mark.parametrize(
    ("column", "levels", "flagged"),
    [
        (pd.array([1, 2, None] * 20, dtype="Int64"), (), True),
        (pd.array([1.5, 2, None] * 20, dtype="Float64"), (), True),
        (pd.array([True, False, None] * 20, dtype="boolean"), (), True),
        (pd.array(["u", "v", None] * 20, dtype="string"), ("", "u", "v"), False),
        (np.array(["u", "v", pd.NA] * 20, dtype=object), ("", "u", "v"), False),
        (np.array([1, 2, pd.NA] * 20, dtype=object), (), True),
        (pd.Categorical(["u", "v", None] * 20), ("", "u", "v"), False),
        (pd.Categorical([1, 2, None] * 20), (), True),
        (np.array([True, False, None] * 20, dtype=object), (), True),
        ([Decimal("1.5"), Decimal("2.5")] * 30, (), False),
        (["1,5", "2,5"] * 30, (), False),
        ([None] * 60, (), True),
    ],
)
def test_frame_dtypes_alike_in_training_and_prediction(column, levels, flagged):
    rows = frame(b=column)
    data = from_arrays(rows, target="y")
    assert (data.spec.categories[1], data.spec.missing_indicators) == (levels, ("b",) if flagged else ())
    x = torch.cat([split["x"] for split in (data.train, data.val, data.test)])
    again = encode(data.spec, rows.drop(columns="y").set_index(pd.Index(range(ROWS, 0, -1))))["x"]
    assert sorted(map(tuple, again.tolist())) == sorted(map(tuple, x.tolist()))


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pd.timedelta_range("1h", periods=ROWS), "values of type Timedelta"),
        (pd.period_range("2000", periods=ROWS, freq="M"), "values of type Period"),
        (pd.interval_range(0, ROWS), "values of type Interval"),
        ([[1, 2]] * ROWS, "values of type list"),
        ([{"a": 1}] * ROWS, "values of type dict"),
        (A + 1j, "values of type complex"),
        (pd.date_range("2000", periods=ROWS), "has dates"),
        ([datetime.date(2000, 1, 1 + n % 28) for n in range(ROWS)], "has dates"),
    ],
)
def test_frame_rejects_columns_of_other_types(column, words):
    with pytest.raises(zoo.ZooError, match=f"data: column 'b' {words}|data: column 'b' has {words}") as error:
        from_arrays(frame(b=column), target="y")
    assert "drop the column 'b'" in str(error.value)


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        (np.arange(ROWS) % 2 * 1.0, "classification", ("0", "1")),
        (np.arange(ROWS) % 3, "classification", ("0", "1", "2")),
        (np.arange(ROWS) % 2 == 0, "classification", ("False", "True")),
        (np.arange(ROWS) * 1.0, "regression", ()),
        (np.arange(ROWS) % 2 * 0.5, "regression", ()),
    ],
)
def test_target_of_few_integers_is_classes(tmp_path, values, task, classes):
    rows = frame().assign(y=values)
    rows.to_csv(tmp_path / "a.csv", index=False)
    for data in (
        from_arrays((rows[["a"]].to_numpy(), values)),
        from_arrays((rows[["a"]], values)),
        from_arrays((rows[["a"]], pd.Series(values))),
        from_arrays(rows, target="y"),
        load("csv", path=str(tmp_path / "a.csv"), target="y"),
    ):
        assert (data.spec.task, data.spec.classes) == (task, classes)


def test_frame_column_names_may_be_numbers():
    rows = frame().rename(columns={"a": 0, "y": 1})
    data = from_arrays(rows, target=1)
    assert data.spec.columns == ("0",)
    assert encode(data.spec, rows)["x"][:, 0].tolist() == pytest.approx(A.tolist())


@pytest.mark.parametrize(
    ("data", "target", "words"),
    [
        ((frame()[["a"]], frame()["y"].sample(frac=1, random_state=0)), None, "the indices of X and y differ"),
        ((frame()[["a"]], frame()[["y", "a"]]), None, "y has 2 columns"),
        ((frame(), frame()["y"]), None, "X already has a column 'y'"),
        ((frame()[["a"]], Y[:-1]), None, "X has 60 rows and y has 59"),
        ((A[:, None], np.where(Y == "yes", Y, None)), None, "y contains NaN, infinity or None"),
        (pd.concat([frame(), frame()[["a"]]], axis=1), "y", "two columns are named 'a'"),
        (pd.concat({"p": frame()}, axis=1), "y", "2 levels of names"),
        (frame().iloc[:0], "y", "data: has no rows"),
        (frame().assign(y=None), "y", "line 1, column 'y': the target is missing"),
        ((1e39 * (A[:, None] + 1), Y), None, "is too large for float32"),
    ],
)
def test_from_arrays_rejects_unfit_frames_in_one_line(data, target, words):
    with pytest.raises(zoo.ZooError, match=words) as error:
        from_arrays(data, target=target)
    assert "\n" not in str(error.value)


def test_from_arrays_aligns_a_series_by_its_index():
    rows = frame().set_index(pd.Index(range(ROWS, 0, -1)))
    data = from_arrays((rows[["a"]], rows["y"]))
    assert torch.equal(data.train["y"], from_arrays(frame(), target="y").train["y"])
