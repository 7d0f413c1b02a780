"""``zoo serve``: predictions equal the model's; limits, metrics, a clean shutdown."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import zoo
from zoo.__main__ import main
from zoo.data import load
from zoo.data.inputs import from_json
from zoo.data.sequence.spec import SequenceSpec
from zoo.data.series.spec import SeriesSpec
from zoo.data.table.spec import TableSpec
from zoo.data.text.spec import TextSpec
from zoo.inference.batching import joined
from zoo.inference.loading import predictions_of
from zoo.inference.server import request_model

LARGEST = 200_000  # bytes of a request to the server below


def start_server(place, folder, *words):
    """Start a server and return its process and a client, once it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "zoo", "serve", place, f"port={port}", f"log={folder}/log.jsonl", *words]
    process = subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
    for _ in range(300):
        try:
            if client.get("/health").status_code == 200:
                return process, client
        except httpx.HTTPError:
            pass
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.2)
    raise AssertionError("the server did not begin")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """The server that goes on, if there is one: the last test ends it."""
    known = {"folder": tmp_path_factory.mktemp("server")}
    yield known
    if "process" in known:
        known["client"].close()
        known["process"].send_signal(signal.SIGINT)
        known["process"].wait(60)


@pytest.fixture
def server(servers):
    if "process" not in servers:
        words = [f"max_mb={LARGEST / 1e6}", "seconds=20"]
        servers["process"], servers["client"] = start_server("evaluator/digits", servers["folder"], *words)
    return servers["client"], servers["folder"]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def images():
    return load("digits").test["x"][:40, 0].numpy()


def text(raw):
    return base64.b64encode(raw).decode()


def test_server_predictions_equal_the_models(server, images):
    client, _ = server
    want = zoo.load("evaluator/digits").predict(images)
    rows = client.post("/predict", json={"x": [text(png(image)) for image in images]}).json()["answers"]
    assert [row["label"] for row in rows] == want["label"]
    probability = np.array([[row["probability"][name] for name in "0123456789"] for row in rows])
    assert np.allclose(probability, want["probability"].numpy(), atol=1e-5)
    files = [("files", (f"{n}.png", png(image))) for n, image in enumerate(images[:3])]
    assert [row["label"] for row in client.post("/predict/files", files=files).json()["answers"]] == want["label"][:3]


MALFORMED = {
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "nothing": b"",
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no field": b"{}",
    "another field": b'{"x": ["aa"], "y": 1}',
    "no rows": b'{"x": []}',
    "a row of null": b'{"x": [null]}',
    "a row of numbers": b'{"x": [[1, 2]]}',
    "no base64": b'{"x": ["&&&&"]}',
    "no image": json.dumps({"x": [text(b"hello")]}).encode(),
    "half an image": json.dumps({"x": [text(png(np.zeros((64, 64), np.uint8))[:60])]}).encode(),
    "too many rows": json.dumps({"x": [""] * 1001}).encode(),
    "deep": b'{"x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "a huge number": b'{"x": 1' + b"0" * 5000 + b"}",
    "not a number": b'{"x": [NaN]}',
    "half a surrogate": b'{"x": ["\\ud800"]}',
    "too large": b'{"x": ["' + b"a" * LARGEST + b'"]}',
}


def test_server_rejects_malformed_requests_alone(server, images):
    client, _ = server
    right = json.dumps({"x": [text(png(images[0]))]}).encode()

    def ask(content):
        return client.post("/predict", content=content, headers={"content-type": "application/json"})

    (want,) = ask(right).json()["answers"]
    contents = [content for wrong in MALFORMED.values() for content in (wrong, right, right)]
    with ThreadPoolExecutor(16) as many:
        answers = list(many.map(ask, contents))
    for content, answer in zip(contents, answers, strict=True):
        if content is right:
            (row,) = answer.json()["answers"]
            assert answer.status_code == 200
            assert row["probability"] == pytest.approx(want["probability"], abs=1e-5)  # batches round otherwise
    for (name, _), answer in zip(MALFORMED.items(), answers[::3], strict=True):
        assert answer.status_code in ((413,) if name == "too large" else (400, 422)), name
        assert "detail" in answer.json(), name
    for way in ("get", "put", "delete", "patch"):
        assert getattr(client, way)("/predict").status_code == 405
    assert client.post("/predict", content=right, headers={"content-type": "text/plain"}).status_code == 422
    assert client.post("/predict/files", content=b"no form").status_code == 422
    assert client.post("/nowhere", content=right).status_code == 404


def test_server_counts_and_logs_requests(server, images):
    client, folder = server
    answer = client.post("/predict", json={"x": [text(png(images[0]))] * 3}).json()["answers"][0]
    figures = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert float(figures[f'zoo_predictions_total{{label="{answer["label"]}"}}']) >= 3
    assert float(figures["zoo_confidence_count"]) >= 3
    assert float(figures['zoo_request_seconds_count{path="/predict"}']) >= 1
    assert not any('status="5' in name for name in figures)
    last = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    (row,) = [row for row in last if row["path"] == "/predict"][-1:]
    assert (row["status"], row["rows"], row["client"]) == (200, 3, "127.0.0.1")


def test_server_answers_fuzzed_requests_without_errors(server):
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, given, settings

    client, _ = server
    schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
    for path in ("/predict", "/predict/files"):
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=schema[path]["POST"].as_strategy(generation_mode=mode))
            def send(case):
                assert case.call(base_url=str(client.base_url)).status_code < 500

            send()


def test_server_answers_accepted_requests_before_it_ends(server, servers, images):
    client, _ = server
    content = json.dumps({"x": [text(png(image)) for image in images] * 15}).encode()  # takes a while
    headers = {"content-type": "application/json"}
    with ThreadPoolExecutor(8) as many:
        responses = [many.submit(client.post, "/predict", content=content, headers=headers) for _ in range(8)]
        while "zoo_requests_open 8.0" not in client.get("/metrics").text and not all(a.done() for a in responses):
            time.sleep(0.01)
        process = servers.pop("process")
        process.terminate()
        assert [one.result().status_code for one in responses] == [200] * 8
    client.close()
    assert "Traceback" not in process.communicate(timeout=60)[0]
    assert process.returncode == 0


# --- without a server ---


def test_from_json_reads_as_predict():
    table = TableSpec(
        "t", "regression", (2,), columns=("a", "town"), categories=((), ("Ulm",)), impute_values=(1.0, 0.0)
    )
    frame = from_json(table, request_model(table).model_validate({"x": [{"a": 2, "town": "Ulm"}, {"a": None}]}).x)
    assert list(frame.columns) == ["a", "town"]
    assert pd.isna(frame["a"][1])
    plain = TableSpec("p", "regression", (2,))
    assert from_json(plain, [{"column_2": 1.0, "column_1": 2.0}]).tolist() == [[2.0, 1.0]]
    for wrong in ([{"column_1": 1.0}], [{"column_1": "a", "column_2": 1.0}], [{"column_1": None, "column_2": 1.0}]):
        with pytest.raises(zoo.ZooError):
            from_json(plain, wrong)
    past = SeriesSpec("s", "forecasting", (3, 1), columns=("load",), target_shape=(2, 1), targets=(0,))
    assert from_json(past, [[[1.0], [2.0], [3.0]]]).shape == (1, 3, 1)
    assert from_json(TextSpec("x", "classification", (4,), classes=("a", "b")), ["wide sea"]) == ["wide sea"]


def test_response_rejects_non_finite_predictions():
    from zoo.inference.server import response

    model = zoo.load("fnn/wine")
    answers = predictions_of(model.spec, model.predict(np.full((1, 13), 1e38)))
    assert not all(np.isfinite(one) for one in answers[0]["probability"].values())
    sent = response([{"value": 1.0}, *answers])
    assert sent.status_code == 422
    assert "x[1]: numbers too large" in json.loads(sent.body)["detail"]


def test_joined_answers_requests_of_different_lengths():
    run = zoo.create("gru", spec=SequenceSpec("q", "classification", (6, 2), classes=("a", "b"))).eval()
    from zoo.data.inputs import encode

    short, long = np.random.default_rng(0).normal(size=(2, 6, 2)).astype(np.float32)
    both = joined([encode(run.spec, [short[:3]]), encode(run.spec, [long])])
    rows = predictions_of(run.spec, run.answered(both))
    for row, alone in zip(rows, (run.predict([short[:3]]), run.predict([long])), strict=True):
        assert row["probability"]["a"] == pytest.approx(float(alone["probability"][0, 0]), abs=1e-5)


class Sent:
    """What the process that answers sends, by request."""

    def __init__(self):
        self.statuses, self.bodies = {}, {}

    def send(self, item, consumer_id):
        uid, (sent, *_) = item
        self.statuses[uid], self.bodies[uid] = sent.status_code, json.loads(sent.body)


def run_loop(model, requests, *, seconds=30.0, age=0.0):
    """Have the process's own loop answer requests that wait in its queue; return what it sent."""
    import queue

    from zoo.inference.server import Loop, PredictionAPI

    api, waiting, sent = PredictionAPI("a model", batch=8, wait=0.0), queue.Queue(), Sent()
    api.model, api.request_timeout = model, seconds
    for uid, rows in requests.items():
        waiting.put((0, uid, time.monotonic() - age, rows))
    waiting.put((None, None, None, None))
    Loop()(api, "cpu", 0, waiting, sent, {}, None)
    return sent


def test_loop_rejects_a_bad_request_alone():
    step = [0.5, 0.5]
    spec = SequenceSpec("q", "classification", (6, 2), classes=("a", "b"))
    requests = {
        "right": [[step] * 2],
        "too long": [[step] * 60],
        "too wide": [[[1.0] * 3]],
        "one bad row of two": [[step], [[1e39, 0.0]]],
        "empty": [[]],
        "nothing": [],
        "many": [[step] * (n % 6 + 1) for n in range(50)],
    }
    model = zoo.create("transformer", spec=spec)
    sent = run_loop(model, requests)
    refused = {"too long", "too wide", "one bad row of two", "empty", "nothing"}
    assert {uid for uid, status in sent.statuses.items() if status == 422} == refused
    assert {uid for uid, status in sent.statuses.items() if status == 200} == set(requests) - refused
    for uid in ("right", "many"):
        want = model.predict([np.array(one, np.float32) for one in requests[uid]])["probability"][:, 0].tolist()
        assert [row["probability"]["a"] for row in sent.bodies[uid]["answers"]] == pytest.approx(want, abs=1e-5)


def test_loop_drops_late_requests():
    model = zoo.load("fnn/wine")
    row = dict.fromkeys(model.spec.columns, 1.0)
    sent = run_loop(model, {"late": [row] * 10}, seconds=5.0, age=6.0)
    assert sent.statuses == {"late": 504}


def test_serve_prints_errors_to_an_open_stderr(capsys):
    assert main(["serve", "ppo/cartpole"]) == 2
    assert "serve: does not support control of environment data" in capsys.readouterr().err
    assert not sys.stderr.closed
