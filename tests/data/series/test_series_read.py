"""Reading a series: one time format per column, calendar steps, and new data by the format of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.data import load
from zoo.data.inputs import encode, from_json, pieces
from zoo.data.series.calendar import grid_of, seasonal_period_of
from zoo.data.series.times import chosen, readings
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError

OPTIONS = {"context_length": 8, "prediction_length": 2}
DAYS = ("%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%b-%Y", "%Y%m%d", "%Y/%m/%d", "%A, %d %B %Y")
CLOCKS = (
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M %p",
    "%Y-%m-%dT%H:%M:%S",
    "%Y%m%dT%H%M",
    "offsets",
    "s",
    "ms",
)
FREQS = (
    "5min",
    "30min",
    "h",
    "3h",
    "D",
    "B",
    "W-SUN",
    "14D",
    "MS",
    "ME",
    "BME",
    "BMS",
    "SME",
    "QS",
    "QE",
    "BQE",
    "YS",
    "YE",
)
FREQS += ("WOM-3FRI", "2ME", "C")
CALENDARS = ("ME", "BME", "BMS", "QE", "BQE", "YE", "B", "W-WED", "SME", "2h", "30min", "2ME", "WOM-3FRI", "C")


def calendar(freq: str, start: str, rows: int) -> pd.DatetimeIndex:
    """Return times; C are the hours from nine to five on weekdays."""
    if freq != "C":
        return pd.date_range(start, periods=rows, freq=freq)
    hours = pd.date_range(start, periods=rows * 10, freq="h").normalize() + pd.to_timedelta(
        np.arange(rows * 10) % 24, "h"
    )
    hours = hours[(hours.hour >= 9) & (hours.hour < 17) & (hours.dayofweek < 5)].unique()
    return hours[:rows]


def format_times(times: pd.DatetimeIndex, form: str) -> list[str]:
    """Return times as a file has them."""
    if form == "offsets":
        return [time.isoformat() for time in times.tz_localize("UTC").tz_convert("Europe/Berlin")]
    if form in ("s", "ms"):
        return [str(int(time.timestamp() * (1000 if form == "ms" else 1))) for time in times]
    return list(times.strftime(form))


@st.composite
def files(draw):
    freq = draw(st.sampled_from(FREQS))
    clock = freq in ("5min", "30min", "h", "3h", "C")
    form = draw(st.sampled_from(CLOCKS if clock else DAYS))
    rows = draw(st.integers(160, 200) if freq == "C" else st.integers(60, 90))
    day = draw(st.integers(13, 28))  # which rules out that it is a month
    start = f"{draw(st.integers(1980, 2005))}-{draw(st.integers(1, 12)):02}-{day}"
    times = calendar(freq, start, rows + 3)
    gaps = draw(st.lists(st.integers(3, rows - 3), max_size=3, unique=True))
    holes = draw(st.lists(st.tuples(st.integers(1, rows - 2), st.integers(0, 1)), max_size=3))
    seed = draw(st.integers(0, 99))
    values = np.random.default_rng(seed).normal(size=(rows, 2)).round(draw(st.integers(2, 9)))
    frame = pd.DataFrame({"when": format_times(times[:rows], form), "a": values[:, 0], "b": values[:, 1]})
    for row, column in holes:
        frame.iloc[row, 1 + column] = np.nan
    frame = frame.drop(index=gaps)
    fill = draw(st.sampled_from(("linear", "last"))) if gaps or holes else draw(st.sampled_from((None, "linear")))
    order = draw(st.permutations(("when", "a", "b")))
    sep, decimal = draw(st.sampled_from((",.", ";.", ";,", "\t.", "\t,", "|.")))
    shape = {
        "sep": sep,
        "decimal": decimal,
        "fill": fill,
        "backwards": draw(st.booleans()),
        "other": draw(st.integers(0, 3)),
    }
    shape |= {"bom": draw(st.booleans()), "end": draw(st.sampled_from(("\n", "\r\n"))), "form": form, "freq": freq}
    return frame[list(order)], times, rows, shape


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_encode_series_equals_training_window(tmp_path_factory, file):
    frame, times, rows, shape = file
    path = tmp_path_factory.getbasetemp() / "series.csv"
    table = frame[::-1] if shape["backwards"] else frame
    encoding = "utf-8-sig" if shape["bom"] else "utf-8"
    marks = {"sep": shape["sep"], "decimal": shape["decimal"], "lineterminator": shape["end"]}
    table.to_csv(path, index=False, encoding=encoding, **marks)
    data = load("series", path=str(path), columns=["a", "b"], fill_method=shape["fill"], **OPTIONS)
    spec = DataSpec.of(data.spec.to_dict())
    window = data.test["y"].base[-8:]
    if not frame[["a", "b"]].isna().any().any() and len(frame) == rows:
        assert torch.equal(window, torch.from_numpy(frame[["a", "b"]].to_numpy()[-8:]).float())
    (piece,) = pieces(spec, [str(path)])
    assert piece.wrong is None
    assert torch.equal(encode(spec, piece.raw)["x"][0], window)
    dated = frame.drop(columns="when").set_index(times[frame.index])
    others = [[path], table, dated, from_json(spec, [piece.raw.tolist()])]
    assert torch.equal(encode(spec, others[shape["other"]])["x"][0], window)
    following = pd.to_datetime(list(piece.times), utc=True)
    assert list(following.tz_localize(None)) == list(times[rows : rows + 2])


def columns_of(cells: list[str]) -> pd.Series:
    return pd.Series(cells, dtype=object)


@pytest.mark.parametrize(
    ("cells", "first", "second"),
    [
        (["13.01.2000", "1.2.2000"], "2000-01-13", "2000-02-01"),
        (["01/13/2000", "02/01/2000"], "2000-01-13", "2000-02-01"),
        (["1.2.2020 13:00", "13.2.2020 14:00"], "2020-02-01 13:00", "2020-02-13 14:00"),
        (["1/13/2020 12:00:00 AM", "1/13/2020 1:00:00 p.m."], "2020-01-13", "2020-01-13 13:00"),
        (["2024-01-01 23:00", "2024-01-01 24:00"], "2024-01-01 23:00", "2024-01-02"),
        (["2024-01-01T00:00:00,5", "2024-01-01 00:00:01.25"], "2024-01-01 00:00:00.5", "2024-01-01 00:00:01.25"),
        (["2020-Q1", "2020-Q4"], "2020-01-01", "2020-10-01"),
        (["Q2 2020", "3Q20"], "2020-04-01", "2020-07-01"),
        (["2020-W01", "2020-W53"], "2019-12-30", "2020-12-28"),
        (["2020-W01-3", "2020W02-7"], "2020-01-01", "2020-01-12"),
        (["2020 H1", "2020-H2"], "2020-01-01", "2020-07-01"),
        (["2020M01", "2020M12"], "2020-01-01", "2020-12-01"),
        (["Jan-95", "Feb-95"], "1995-01-01", "1995-02-01"),
        (["1960 Jan", "1960 February"], "1960-01-01", "1960-02-01"),
        (["January 5th, 2024", "Jan 6, 2024"], "2024-01-05", "2024-01-06"),
        (["Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"], "2024-01-01", "2024-01-02"),
        (["01 März 2024", "01 Dez 2024"], "2024-03-01", "2024-12-01"),
        (["Mon Jan  1 00:00:00 2024", "Tue Jan  2 13:00:00 2024"], "2024-01-01", "2024-01-02 13:00"),
        (["13:30 13/01/2024", "14:00 13/01/2024"], "2024-01-13 13:30", "2024-01-13 14:00"),
        (["KW 01/2020", "KW 02/2020"], "2019-12-30", "2020-01-06"),
        (["20201231.0", "20210101.0"], "2020-12-31", "2021-01-01"),
        (["99-12-31", "00-01-01"], "1999-12-31", "2000-01-01"),
        (["1949", "1950"], "1949-01-01", "1950-01-01"),
        (["202012", "202101"], "2020-12-01", "2021-01-01"),
        (["20201231", "20210101"], "2020-12-31", "2021-01-01"),
        (["1577836800", "1577840400"], "2020-01-01", "2020-01-01 01:00"),
        (["1577836800.5", "1577836801.5"], "2020-01-01 00:00:00.5", "2020-01-01 00:00:01.5"),
        (["1577836800000", "1577836800250"], "2020-01-01", "2020-01-01 00:00:00.25"),
        (["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"], "2024-03-31 00:00", "2024-03-31 01:00"),
        (["2024-03-31 01:00Z", "2024-03-31 03:00 UTC"], "2024-03-31 01:00", "2024-03-31 03:00"),
        (["31/02/2020", "13/02/2020"], None, "2020-02-13"),
        (["25:00", "late"], None, None),
    ],
)
def test_time_column_has_one_format(cells, first, second):
    ways = readings(columns_of(cells))
    values = chosen(ways)[0].values if ways else np.full(2, np.datetime64("NaT"))
    expected = [
        np.datetime64("NaT") if text is None else np.datetime64(pd.Timestamp(text), "us") for text in (first, second)
    ]
    assert [str(value) for value in values.astype("datetime64[us]")] == [str(value) for value in expected]


@pytest.mark.parametrize(
    ("freq", "season"),
    list(zip(CALENDARS, (12, 12, 12, 4, 4, 1, 5, 52, 24, 12, 48, 6, 12, 8), strict=True)),
)
def test_calendar_steps_and_seasonal_period(freq, season):
    times = calendar(freq, "1999-11-26", 220)
    grid = grid_of(times[:200].to_numpy().astype("datetime64[us]"))
    assert grid.missing == 0
    assert seasonal_period_of(grid.calendar.step) == season
    assert list(pd.DatetimeIndex(grid.following(20))) == list(times[200:])
    fewer = np.delete(times[:200].to_numpy().astype("datetime64[us]"), [50, 51, 130])
    assert grid_of(fewer).missing == 3
    assert grid_of(fewer, grid.calendar.step).calendar.step == grid.calendar.step


def save(path: Path, times, **columns) -> str:
    rows = len(times)
    columns = columns or {"v": np.arange(rows) % 7 + np.arange(rows) / 10}
    pd.DataFrame({"date": list(times), **columns}).to_csv(path, index=False)
    return str(path)


def test_dayfirst_inferred_from_even_steps(tmp_path, capsys):
    months = pd.date_range("2000-01-01", periods=60, freq="MS")
    for form, first, other in (("%d/%m/%Y", "day", "false"), ("%m/%d/%Y", "month", "true")):
        data = load("series", path=save(tmp_path / "s.csv", months.strftime(form)), **OPTIONS)
        assert data.spec.seasonal_period == 12
        assert (
            f"is read with the {first} first, which gives regular steps (data.dayfirst={other}"
            in capsys.readouterr().err
        )
    with pytest.raises(ZooError, match="steps after .* are irregular"):
        load("series", path=str(tmp_path / "s.csv"), dayfirst=True, fill_method="linear", **OPTIONS)


def test_dayfirst_ambiguous_order_warns(tmp_path, capsys):
    hours = pd.date_range("2020-05-06", periods=60, freq="5min").strftime("%d/%m/%Y %H:%M")
    path = save(tmp_path / "s.csv", hours)
    (piece,) = pieces(load("series", path=path, **OPTIONS).spec, [path])
    assert "set data.dayfirst=true or false" in capsys.readouterr().err
    assert piece.times[0].startswith("2020-06-05")
    (piece,) = pieces(load("series", path=path, dayfirst=True, **OPTIONS).spec, [path])
    assert piece.times[0] == "2020-05-06 05:00:00"
    assert "warning" not in capsys.readouterr().err


def test_time_format_of_a_short_file_is_trainings(tmp_path):
    days = pd.date_range("2020-01-01", periods=80)
    spec = load("series", path=save(tmp_path / "s.csv", days.strftime("%d/%m/%Y")), **OPTIONS).spec
    new = pd.date_range("2021-02-01", periods=8)
    (piece,) = pieces(spec, [save(tmp_path / "new.csv", new.strftime("%d/%m/%Y"))])
    assert piece.times == ["2021-02-09", "2021-02-10"]
    (piece,) = pieces(spec, [save(tmp_path / "new.csv", new.strftime("%Y-%m-%d"))])
    assert piece.times == ["2021-02-09", "2021-02-10"]


def test_utc_offsets_across_daylight_saving_time(tmp_path):
    hours = pd.date_range("2024-03-20", periods=400, freq="h", tz="Europe/Berlin")
    path = save(tmp_path / "s.csv", [time.isoformat() for time in hours])
    data = load("series", path=path, **OPTIONS)
    assert data.spec.seasonal_period == 24
    (piece,) = pieces(data.spec, [path])
    assert piece.times[0] == "2024-04-05 17:00:00+02:00"
    days = pd.date_range("2024-03-01", periods=90, freq="D", tz="Europe/Berlin")
    path = save(tmp_path / "s.csv", [time.isoformat() for time in days])
    data = load("series", path=path, **OPTIONS)
    assert data.spec.seasonal_period == 7
    assert next(iter(pieces(data.spec, [path]))).times == ["2024-05-30", "2024-05-31"]


def test_frame_with_time_zone_aware_index(tmp_path):
    hours = pd.date_range("2024-03-20", periods=400, freq="h", tz="Europe/Berlin")
    spec = load("series", path=save(tmp_path / "s.csv", [time.isoformat() for time in hours]), **OPTIONS).spec
    frame = pd.DataFrame({"v": np.arange(400.0)}, index=hours)
    assert encode(spec, frame)["x"][0, :, 0].tolist() == list(range(392, 400))
    assert encode(spec, frame["v"])["x"][0, :, 0].tolist() == list(range(392, 400))
    with pytest.raises(ZooError, match="row 200, column 'index': the steps after .* are irregular"):
        encode(spec, frame.drop(index=hours[200]))


def test_time_column_repeated_hour_suggests_daylight_saving(tmp_path):
    hours = pd.date_range("2024-10-20", periods=400, freq="h", tz="Europe/Berlin").tz_localize(None)
    with pytest.raises(ZooError, match="2024-10-27 02:00:00 occurs twice.*if clocks were set back"):
        load("series", path=save(tmp_path / "s.csv", hours), **OPTIONS)


def test_series_column_beyond_float32_resolution_is_rejected(tmp_path):
    path = save(tmp_path / "s.csv", pd.date_range("2024-01-01", periods=90), v=1e9 + np.arange(90) % 7)
    with pytest.raises(ZooError, match="column 'v': varies by 2 around .*, too little for float32"):
        load("series", path=path, **OPTIONS)


def test_fill_method_applies_to_new_data(tmp_path):
    days = pd.date_range("2020-01-01", periods=100).delete([40, 41])
    path = save(tmp_path / "s.csv", days)
    spec = load("series", path=path, fill_method="last", **OPTIONS).spec
    assert next(iter(pieces(spec, [path]))).wrong is None
    new = pd.DataFrame({"date": days[:60], "v": np.arange(60.0)})
    new.loc[58, "v"] = np.nan
    assert encode(spec, new)["x"][0, -2:, 0].tolist() == [57, 59]
    assert encode(spec, new[["v"]])["x"][0, -2:, 0].tolist() == [57, 59]
    assert encode(spec, new[["v"]].to_numpy()[-8:])["x"][0, -2:, 0].tolist() == [57, 59]


def test_encode_names_gaps_without_fill_method(tmp_path):
    days = pd.date_range("2020-01-01", periods=100)
    spec = load("series", path=save(tmp_path / "s.csv", days), **OPTIONS).spec
    new = pd.DataFrame({"date": days[:60].astype(str), "v": np.arange(60.0)})
    new.loc[57, "v"] = np.nan
    new.loc[3, "v"] = np.nan  # long before what the model reads
    for raw in (new, new.to_dict("list"), new.to_dict("records"), new.set_index(pd.Index(range(900, 960)))):
        with pytest.raises(ZooError, match="data, row 58, column 'v': is empty"):
            encode(spec, raw)
    with pytest.raises(ZooError, match=r"x\[0\], step 6, column 'v': is empty"):
        encode(spec, new[["v"]].to_numpy()[-8:])
    with pytest.raises(ZooError, match="row 1, column 'v': 'broken' is text in a numeric column"):
        encode(spec, pd.DataFrame({"date": new.date[:20], "v": ["broken", *np.arange(19.0)]}))
    with pytest.raises(ZooError, match="column 'v': is infinite"):
        encode(spec, np.full((8, 1), np.inf))
    with pytest.raises(ZooError, match="row 20, column 'date': the steps after 2020-01-20 are irregular"):
        encode(spec, new.fillna(0.0).drop(index=range(20, 24)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[:0], "has no rows"),
        (lambda f: f[:5], "has 5 rows; must be .8, 1., the last 8 steps of v"),
        (lambda f: f.rename(columns={"v": "w"}), "the columns v are missing"),
        (lambda f: pd.concat([f, f[["v"]]], axis=1), "two columns are named 'v'"),
        (lambda f: f.sample(frac=1, random_state=0), "is earlier than the row above; sort the rows"),
        (lambda f: pd.concat([f, f[-1:]]), "occurs twice; keep one row for each"),
        (lambda f: f.assign(v=f.v.map("{:.1f}".format).str.replace(".", ",")), "'0,0' is text in a numeric column"),
        (lambda f: [[None]] * 8, "x.0., step 1, column 'v': is empty"),
        (lambda f: [["x"]] * 8, "is not a numeric array"),
        (lambda f: f["v"].to_numpy(), "must be .8, 1., the last 8 steps of v"),
        (lambda f: "nowhere.csv", "nowhere.csv: cannot be read"),
    ],
)
def test_encode_rejects_unfit_series_in_one_line(tmp_path, change, message):
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=100), "v": np.arange(100.0)})
    frame.to_csv(tmp_path / "s.csv", index=False)
    spec = load("series", path=str(tmp_path / "s.csv"), **OPTIONS).spec
    with pytest.raises(ZooError, match=message) as caught:
        encode(spec, change(frame))
    assert "\n" not in str(caught.value)


def test_encode_rejects_another_frequency(tmp_path):
    spec = load(
        "series", path=save(tmp_path / "s.csv", pd.date_range("2020-01-01", periods=100, freq="h")), **OPTIONS
    ).spec
    days = save(tmp_path / "days.csv", pd.date_range("2020-01-01", periods=100))
    (piece,) = pieces(spec, [days])
    assert "has a step of 1 day; the model was trained on steps of 1 hour" in piece.wrong


def test_series_rejects_long_format(tmp_path):
    days = pd.date_range("2020-01-01", periods=50).astype(str)
    for groups in ("ABC", "123"):
        stacked = {"date": [*days] * 3, "shop": np.repeat(list(groups), 50), "v": range(150)}
        frame = pd.DataFrame(stacked)
        for rows in (frame, frame.sort_values("date", kind="stable")):
            rows.to_csv(tmp_path / "s.csv", index=False)
            with pytest.raises(
                ZooError, match="occurs once for each 'shop' .*several series.*a separate file or column"
            ):
                load("series", path=str(tmp_path / "s.csv"), **OPTIONS)


@pytest.mark.parametrize("clock", [{"Time": "%H:%M:%S"}, {"hour": "%H"}, {"Time": "%I:%M %p"}])
def test_time_column_from_date_and_time_of_day(tmp_path, capsys, clock):
    ((name, form),) = clock.items()
    hours = pd.date_range("2020-01-28", periods=100, freq="h")
    path = save(tmp_path / "s.csv", hours.strftime("%d/%m/%Y"), **{name: hours.strftime(form), "v": np.arange(100.0)})
    data = load("series", path=path, **OPTIONS)
    assert data.spec.columns == ("v",)
    assert data.spec.seasonal_period == 24
    assert f"data.time_column=[date,{name}]" in capsys.readouterr().err
    assert next(iter(pieces(data.spec, [path]))).times == ["2020-02-01 04:00:00", "2020-02-01 05:00:00"]
    assert load("series", path=path, time_column=["date", name], **OPTIONS).spec == data.spec


def test_time_column_from_year_and_month(tmp_path):
    months = pd.date_range("1990-01-01", periods=60, freq="MS")
    for form in ("%m", "%B"):
        frame = pd.DataFrame({"year": months.year, "month": months.strftime(form), "v": np.arange(60.0)})
        frame.to_csv(tmp_path / "s.csv", index=False)
        data = load("series", path=str(tmp_path / "s.csv"), **OPTIONS)
        assert (data.spec.columns, data.spec.seasonal_period) == (("v",), 12)


def test_series_rejects_empty_last_rows(tmp_path):
    days = pd.date_range("2020-01-01", periods=100)
    columns = {"v": np.arange(100.0), "promo": np.arange(100) % 3}
    spec = load("series", path=save(tmp_path / "s.csv", days, **columns), **OPTIONS).spec
    path = save(tmp_path / "s.csv", days, v=np.where(np.arange(100) < 94, columns["v"], np.nan), promo=columns["promo"])
    message = "line 96, column 'v': is empty from here to the end .6 rows.; if they are the future, remove them"
    with pytest.raises(ZooError, match=message):
        load("series", path=path, **OPTIONS)
    (piece,) = pieces(spec, [path])
    assert "line 96, column 'v': is empty from here to the end" in piece.wrong


def test_fill_method_rejects_mostly_missing_series(tmp_path):
    days = pd.date_range("2020-01-01", periods=400)[[*range(20), *range(380, 400)]]
    with pytest.raises(ZooError, match="the steps after 2020-01-20 are irregular: 361 days instead of 1 day"):
        load("series", path=save(tmp_path / "s.csv", days), fill_method="linear", **OPTIONS)


def test_series_column_names_may_be_numbers(tmp_path):
    path = save(tmp_path / "s.csv", pd.date_range("2020-01-01", periods=60), **{"1": np.arange(60.0), "2": np.ones(60)})
    assert load("series", path=path, **OPTIONS).spec.columns == ("1", "2")


def test_series_numbers_in_local_formats(tmp_path):
    days = pd.date_range("2020-01-01", periods=60).strftime("%d.%m.%Y")
    prices = [f"1.{n:03},{n % 10}" for n in range(60)]
    lines = [
        "Tag;Preis;Menge",
        *(f"{day};{price};{n}.500" for n, (day, price) in enumerate(zip(days, prices, strict=True), 1)),
    ]
    path = tmp_path / "s.csv"
    path.write_text("\n".join(lines) + "\n")
    data = load("series", path=str(path), **OPTIONS)
    assert data.test["y"].base[-1].tolist() == pytest.approx([1059.9, 60_500])
    path.write_text("\n".join([lines[0], *lines[-8:]]).replace("1.059,9", "n.a.") + "\n")
    (piece,) = pieces(data.spec, [str(path)])
    assert "line 9, column 'Preis': is empty from here to the end (1 rows)" in piece.wrong
    path.write_text("\n".join([lines[0], *lines[-8:]]) + "\n")
    (piece,) = pieces(data.spec, [str(path)])
    assert torch.equal(encode(data.spec, piece.raw)["x"][0], data.test["y"].base[-8:])


def test_missing_markers_apply_to_new_data(tmp_path):
    days = pd.date_range("2020-01-01", periods=60)
    path = save(tmp_path / "s.csv", days, v=np.where(np.arange(60) % 20 == 19, -999, np.arange(60)))
    data = load("series", path=path, missing=[-999], fill_method="last", **OPTIONS)
    assert data.test["y"].base[-1].item() == 58
    (piece,) = pieces(data.spec, [path])
    assert torch.equal(encode(data.spec, piece.raw)["x"][0], data.test["y"].base[-8:])
    assert encode(data.spec, pd.read_csv(path))["x"][0, -1].item() == 58


def test_series_unnamed_index_column_is_dropped(tmp_path, capsys):
    frame = pd.DataFrame({"date": pd.date_range("2020-01-01", periods=60), "v": np.arange(60.0)})
    frame.to_csv(tmp_path / "s.csv")
    assert load("series", path=str(tmp_path / "s.csv"), **OPTIONS).spec.columns == ("v",)
    assert "left out column_1, an unnamed index column" in capsys.readouterr().err


def test_time_column_of_numbers_by_name_or_magnitude(tmp_path):
    frame = pd.DataFrame({"v": np.arange(60.0), "year": range(1900, 1960)})
    frame.to_csv(tmp_path / "s.csv", index=False)
    data = load("series", path=str(tmp_path / "s.csv"), **OPTIONS)
    assert data.spec.columns == ("v",)
    assert next(iter(pieces(data.spec, [str(tmp_path / "s.csv")]))).times == ["1960", "1961"]
    frame.rename(columns={"year": "k"}).assign(k=np.arange(60) / 10).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(ZooError, match="no column has times"):
        load("series", path=str(tmp_path / "s.csv"), **OPTIONS)
    data = load("series", path=str(tmp_path / "s.csv"), time_column="k", **OPTIONS)
    assert next(iter(pieces(data.spec, [str(tmp_path / "s.csv")]))).times == ["6", "6.1"]
