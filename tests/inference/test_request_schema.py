"""The server's request schema: requests it allows are answered, others are rejected."""

import json

import pytest
import torch
from fastapi import FastAPI
from pydantic import ValidationError

import zoo
from zoo.data.image.spec import ImageSpec
from zoo.data.inputs import encode, from_json
from zoo.data.sequence.spec import SequenceSpec
from zoo.data.series.spec import SeriesSpec
from zoo.data.table.spec import TableSpec
from zoo.data.text.spec import TextSpec
from zoo.inference.loading import predictions_of

pytest.importorskip("litserve")

from zoo.inference.server import request_model, response
from zoo.registry import get_modality

WORDS = ("", "\ufffd", "a", "film")
PEOPLE = TableSpec(
    "people",
    "regression",
    (3,),
    columns=("age (years)", "town", "model_x"),
    categories=((), ("", "Ulm", "Bonn"), ()),
    impute_values=(1.0, 0.0, 2.0),
    mean=(40.0, 0.0, 1e6),
    std=(20.0, 1.0, 1e-3),
)
CLASSES = {"task": "classification", "classes": ("a", "b")}
FORECAST = {"task": "forecasting", "columns": ("a", "b"), "target_shape": (2, 1), "targets": (0,)}
MODELS = {
    "a table of texts and numbers": ("fnn", PEOPLE),
    "a table without names": ("fnn", TableSpec("t", input_shape=(5,), **CLASSES)),
    "a series": ("gru", SeriesSpec("s", input_shape=(9, 2), **FORECAST)),
    "sequences": ("transformer", SequenceSpec("q", input_shape=(12, 3), **CLASSES)),
    "texts": ("lstm", TextSpec("x", input_shape=(6,), vocabulary=WORDS, tokenizer="words", **CLASSES)),
    "images": ("cnn", ImageSpec("i", input_shape=(3, 10, 8), **CLASSES)),
}


@pytest.fixture(params=list(MODELS))
def model(request):
    name, spec = MODELS[request.param]
    torch.manual_seed(0)
    return zoo.create(name, spec=spec).eval()


def post_request(model, body):
    """Return the status of what a server answers to the text of a request, and its content."""
    try:
        rows = request_model(model.spec).model_validate_json(body).x
    except ValidationError as error:
        return 422, str(error)
    try:
        sent = response(predictions_of(model.spec, model.answered(encode(model.spec, from_json(model.spec, rows)))))
    except zoo.ZooError as error:
        return 422, str(error)
    return sent.status_code, json.loads(sent.body)


def openapi_document(model):
    """Return the OpenAPI document of a server of the model."""
    app = FastAPI()

    def ask(request): ...

    ask.__annotations__["request"] = request_model(model.spec)
    app.post("/predict")(ask)
    return app.openapi()


def test_schema_example_is_documented_and_answered(model):
    document = openapi_document(model)
    (body,) = [s for name, s in document["components"]["schemas"].items() if name.endswith("Rows")]
    assert body["examples"] == [{"x": [get_modality(model.spec.modality).request_example(model.spec)]}]
    status, content = post_request(model, json.dumps(body["examples"][0]))
    assert status == 200
    assert len(content["answers"]) == 1


def test_schema_allowed_requests_are_answered(model):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings

    schema, statuses = schemathesis.openapi.from_dict(openapi_document(model)), []
    drawn = schema["/predict"]["POST"].as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)

    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=drawn)
    def ask(case):
        statuses.append(post_request(model, json.dumps(case.body))[0])

    ask()
    assert set(statuses) <= {200, 422}
    if model.spec.modality != "image":  # of which a schema can say no more than that they are base64
        assert statuses.count(200) > 0.9 * len(statuses)


STEP, PAST = [0.0, 1.0, 2.0], [1.0, 2.0]
REFUSED = {
    "sequences": [[], [[]], [[STEP] * 13], [[STEP, PAST]], [[[0.0, 1.0, "2"]]], [[[0.0, 1.0, True]]], [STEP], ["a"]],
    "a series": [[[PAST] * 8], [[PAST] * 10], [[[1.0]] * 9], [[[1.0, None]] * 9], [[[1.0, 1e39]] * 9]],
    "texts": [[""], [" \n"], [3], [None], ["a" * 100_001]],
    "images": [["no base64"], [""], ["aGVsbG8="], [3]],
    "a table without names": [[{"column_1": 1}], [{f"column_{n}": None for n in range(1, 6)}], [[1, 2, 3, 4, 5]]],
    "a table of texts and numbers": [[{}], [{"town": "Ulm", "model_x": 1}], [{"age (years)": "old", "town": ""}]],
}


def test_schema_rejects_invalid_requests():
    for name, wrong in REFUSED.items():
        model = zoo.create(MODELS[name][0], spec=MODELS[name][1]).eval()
        for rows in wrong:
            status, content = post_request(model, json.dumps({"x": rows}))
            assert status == 422, (name, rows)
            assert content


def test_rows_pickle_as_plain_values():
    import pickle

    request = request_model(PEOPLE).model_validate({"x": [{"age (years)": 3, "town": None, "model_x": 1.5}]})
    rows = pickle.loads(pickle.dumps(request))
    assert rows == [{"age (years)": 3, "town": None, "model_x": 1.5}]
