"""``model.predict`` of arbitrary objects: a prediction, or a ZooError of one line."""

import collections
import datetime
import decimal
import pathlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import zoo
from zoo.data.image.spec import ImageSpec
from zoo.data.inputs import encode
from zoo.data.sequence.spec import SequenceSpec
from zoo.data.series.spec import SeriesSpec
from zoo.data.table.spec import TableSpec
from zoo.data.text.spec import TextSpec

CLASSES = {"task": "classification", "classes": ("a", "b")}
FORECAST = {"task": "forecasting", "columns": ("u", "v"), "target_shape": (2, 1), "targets": (0,)}
TEXTS = {"vocabulary": ("", "\ufffd", "a", "film"), "tokenizer": "words"}
PEOPLE = {
    "columns": ("age", "town"),
    "categories": ((), ("", "Ulm")),
    "impute_values": (1.0, 0.0),
    "missing_indicators": ("age",),
}
SPECS = {
    "image": ImageSpec("i", input_shape=(3, 4, 5), **CLASSES),
    "gray image": ImageSpec("g", input_shape=(1, 4, 5), **CLASSES),
    "table": TableSpec("t", input_shape=(3,), mean=(0.0,) * 3, std=(1.0,) * 3, **PEOPLE, **CLASSES),
    "numbers": TableSpec("n", input_shape=(3,), **CLASSES),
    "text": TextSpec("x", input_shape=(6,), **TEXTS, **CLASSES),
    "sequence": SequenceSpec("q", input_shape=(12, 2), **CLASSES),
    "series": SeriesSpec("s", input_shape=(4, 2), **FORECAST),
}
NETWORKS = {"image": "cnn", "table": "fnn", "text": "gru", "sequence": "transformer", "series": "gru"}


class Hostile:
    """An object whose every protocol fails."""

    def _fail(self, *others, **more):
        raise RuntimeError("no\nsuch thing")

    __array__ = __len__ = __iter__ = __getitem__ = __float__ = __eq__ = __bool__ = __str__ = _fail
    __hash__ = None


def endless():
    """Return a list that holds itself."""
    rows = [1.0]
    rows.append(rows)
    return rows


JUNK = [
    *(None, True, 3, 3.5, 10**400, -1e39, 1j, float("nan"), "", "a film", "no/such/file.csv", "a\0b", "\ud800"),
    *(b"bytes", bytearray(b"x"), memoryview(b"abc"), {}, {"age": 1}, {1: 2}, set(), {1.0}, [], (), [[]], [None]),
    *([[1, 2], [3]], [1, "a"], ["a", None], [{}], [{"age": 1}, 3], [{"age": 1, "town": "Ulm"}], endless(), range(3)),
    *(object(), Hostile(), [Hostile()], lambda: 3, int, NotImplemented, ..., iter([1.0]), (n for n in range(3))),
    *(datetime.datetime(2020, 1, 1), decimal.Decimal("1.5"), pathlib.Path("nowhere"), pathlib.Path("/")),
    *(collections.Counter("ab"), collections.deque([1.0]), slice(3), Exception("x")),
    *(np.float64(3), np.array(None), np.array([1, "a"], object), np.array("a"), np.zeros(3, "M8[s]"), np.zeros((0, 3))),
    *(
        np.zeros(3, [("a", int)]),
        np.ma.masked_array([1.0, 2, 3], [0, 1, 0]),
        np.full((1, 3), 1e39),
        np.array([[1j] * 3]),
    ),
    *(torch.tensor(3.0), torch.zeros(0), torch.zeros(3).to_sparse(), torch.zeros(1, 3, dtype=torch.complex64)),
    *(torch.full((1, 3), torch.nan), torch.zeros(1, 3, requires_grad=True), torch.zeros(1, 3, device="meta")),
    *(torch.full((6,), 10**6), torch.tensor([-1, 2]), torch.zeros(12, 2).bfloat16(), torch.ones(12, 2).bool()),
    *(pd.DataFrame(), pd.DataFrame({"age": []}), pd.DataFrame({"age": ["x"], "town": [3]}), pd.Series([], dtype=float)),
    *(pd.DataFrame([[1, 2]], columns=["age", "age"]), pd.NA, pd.NaT, pd.Timestamp("2020"), pd.Categorical(["a"])),
    *(
        pd.DataFrame({("age", 1): [1], ("town", 2): ["a"]}),
        pd.Index([1, 2]),
        pd.DataFrame({"age": [[1]], "town": [{}]}),
    ),
]


def check_prediction(spec, model, raw):
    """Predict, and return whether there was an answer."""
    try:
        batch = encode(spec, raw)
    except zoo.ZooError as error:
        message = str(error)
        batch = None
    if batch is None:
        assert len(message.splitlines()) == 1
        return False
    assert len(batch["x"])
    assert bool(batch["x"].isfinite().all())
    answer = model.answered(batch)
    assert len(answer["value" if spec.task == "forecasting" else "label"]) == len(batch["x"])
    return True


@pytest.fixture(scope="module")
def models():
    torch.manual_seed(0)
    return {name: zoo.create(NETWORKS[spec.modality], spec=spec).eval() for name, spec in SPECS.items()}


@pytest.mark.parametrize("name", SPECS)
def test_predict_junk_objects_answers_or_raises(name, models):
    for raw in JUNK:
        check_prediction(SPECS[name], models[name], raw)


def nested():
    """Draw numbers, texts and the like, in lists and dictionaries."""
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
    names = st.sampled_from(["age", "town", "u", "v", "x"]) | st.text(max_size=3) | st.integers()
    return st.recursive(leaf, lambda s: st.lists(s, max_size=4) | st.dictionaries(names, s, max_size=3), max_leaves=12)


def shaped(spec):
    """Draw arrays of numbers of about the shape that is read, of any type and with any values."""
    shapes = [spec.input_shape, (2, *spec.input_shape), spec.input_shape[::-1], (*spec.input_shape[1:], 3), (7,), ()]
    types = st.sampled_from(["u1", "i1", "i8", "u8", "f2", "f4", "f8", "?", "c8", "U2", "O", "M8[s]"])
    return st.tuples(types, st.sampled_from(shapes)).flatmap(lambda pair: arrays.arrays(np.dtype(pair[0]), pair[1]))


@pytest.mark.parametrize("name", SPECS)
def test_predict_random_objects_answers_or_raises(name, models):
    spec = SPECS[name]

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(nested() | shaped(spec) | shaped(spec).map(np.ndarray.tolist) | shaped(spec).map(lambda x: [x, x]))
    def predict(raw):
        check_prediction(spec, models[name], raw)

    predict()


@pytest.mark.parametrize("name", SPECS)
def test_predict_accepts_training_input(name, models):
    spec, random = SPECS[name], np.random.default_rng(0)
    right = {
        "image": [random.integers(0, 255, (2, 3, 4, 5)).astype(np.uint8), random.random((4, 5, 3))],
        "gray image": [random.integers(0, 255, (2, 4, 5)).astype(np.uint8), random.random((1, 4, 5))],
        "table": [pd.DataFrame({"town": ["Ulm", "new"], "age": [3.5, None]}), {"age": 3, "town": "Ulm"}],
        "numbers": [random.normal(size=(5, 3)), [1, 2, 3], torch.ones(3)],
        "text": ["a film", ["a", "new film"], pd.Series(["a"], index=[7]), np.array(["a", "b"], object)],
        "sequence": [random.normal(size=(3, 2)), [random.normal(size=(1, 2)), random.normal(size=(12, 2))]],
        "series": [random.normal(size=(4, 2)), pd.DataFrame({"v": range(9), "u": range(9)}, index=range(5, 14))],
    }[name]
    for raw in right:
        assert check_prediction(spec, models[name], raw), raw
