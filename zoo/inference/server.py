"""A trained model behind HTTP: LitServe batches requests, ``zoo.inference.middleware`` stands before it.

``POST /predict`` takes JSON, ``POST /predict/files`` uploads of images or wav files; ``GET /health`` says whether it is
ready, ``GET /metrics`` has figures for Prometheus, ``GET /docs`` shows what is taken and answered.
"""

from __future__ import annotations

import base64
import logging
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from queue import Empty
from typing import Annotated, Any, TextIO

import torch

from zoo import registry
from zoo.data.inputs import encode, from_json
from zoo.data.spec import DataSpec
from zoo.exceptions import ZooError, install
from zoo.inference.batching import Batcher, Failure, failure
from zoo.inference.loading import open_model, predictions_of
from zoo.inference.middleware import Limits, Middleware

try:
    import litserve
    import prometheus_client  # noqa: F401
    import python_multipart  # noqa: F401  (with which uploads are read)
    from fastapi import File, UploadFile
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from litserve.loops import LitLoop
    from litserve.server import RegularRequestHandler
    from litserve.utils import LitAPIStatus, LoopResponseType
    from pydantic import BaseModel, ConfigDict, Field, create_model
except ImportError:
    raise ZooError(f"serve: what it is made of is not installed; {install('serve')}") from None

MOST = 1000  # rows of a request
MAX_ERRORS = 10  # of what is wrong with a request
PATHS = ("/predict", "/predict/files", "/health", "/info", "/docs", "/openapi.json", "/metrics")
IDLE = 1.0  # seconds after which a process without work looks whether it is still needed
READING = 0.02  # seconds that requests are read for before the next piece is computed


class Question(BaseModel):
    """A request: ``x`` has the rows."""

    model_config = ConfigDict(extra="forbid")
    x: Any

    def __reduce__(self) -> Any:
        """Travel to the process that answers as plain values, which lacks a class that is made here."""
        return Rows, (self.x,)


class Rows(list[Any]):
    """The rows of a request."""


def question(spec: DataSpec) -> type[Question]:
    """Return the class of requests to a model of such data."""
    modality = registry.get_modality(spec.modality)
    about, row = modality.request_row(spec)
    example = modality.request_example(spec)
    rows = Annotated[list[row], Field(min_length=1, max_length=MOST, description=about, examples=[[example]])]  # type: ignore[valid-type]
    config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"x": [example]}]})
    model: type[Question] = create_model(f"{spec.modality.capitalize()}Rows", __base__=Question, x=(rows, ...))
    model.model_config = config
    model.model_rebuild(force=True)
    return model


class Answers(litserve.LitAPI):
    """LitServe's side: what a request is, and the process that answers, which reads and computes by a ``Batcher``."""

    def __init__(self, place: str, *, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait, loop=Loop())
        self.place = place

    def setup(self, device: str) -> None:
        """Load the model in the process that answers."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it, once what was accepted is answered
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
        self.model = open_model(self.place)[0].to(device)

    def decode_request(self, request: Any) -> Any:
        """Return a request as it is; the annotation, set by ``serve``, is what the server checks and describes."""
        return request

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Return the answers to a batch, row by row."""
        return predictions_of(self.model.spec, self.model.answered(x))

    def read(self, rows: Sequence[Any], deadline: float) -> dict[str, Any]:
        """Return a request's rows as a batch.

        Raises:
            ZooError: rows that the model cannot read.
            TimeoutError: it takes longer than until ``deadline``.
        """
        return encode(self.model.spec, from_json(self.model.spec, Timed(rows, deadline)))


class Timed(list[Any]):
    """Rows that are read until a deadline."""

    def __init__(self, rows: Sequence[Any], deadline: float) -> None:
        super().__init__(rows)
        self.deadline = deadline

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows; raises TimeoutError after the deadline."""
        for row in super().__iter__():
            if time.monotonic() > self.deadline:
                raise TimeoutError
            yield row


class Loop(LitLoop):
    """The work of the process that answers: requests are read as they come, and their pieces computed in between."""

    def __call__(
        self, lit_api: Any, device: str, worker_id: int, request_queue: Any, transport: Any, *others: Any, **more: Any
    ) -> None:
        """Answer requests until the server ends the process."""
        batcher = Batcher(lit_api.predict, rows=lit_api.max_batch_size)
        ended = False
        while not ended or batcher.waiting:
            for item in self._received(request_queue, lit_api, busy=bool(batcher.waiting) or ended):
                consumer, uid, submitted, request = item
                if uid is None:  # how the server says that there will be no more
                    ended = True
                    continue
                deadline = submitted + lit_api.request_timeout
                try:
                    batcher.add((consumer, uid), lit_api.read(request, deadline), deadline)
                except Exception as error:
                    self._send(transport, consumer, uid, failure(error))
            for (consumer, uid), outcome in batcher.step():
                self._send(transport, consumer, uid, outcome)

    @staticmethod
    def _received(queue: Any, lit_api: Any, *, busy: bool) -> Iterator[Any]:
        """Yield what has come; where nothing else is to be done, wait for it, and a moment for others.

        What takes long to read does not keep what waits from being computed.
        """
        until = time.monotonic() + (READING if busy else IDLE)
        for number in range(lit_api.max_batch_size):
            try:
                left = until - time.monotonic()
                if number and left <= 0:
                    return
                yield queue.get_nowait() if busy else queue.get(timeout=max(left, 0.0))
            except Empty:
                return
            until = min(until, time.monotonic() + lit_api.batch_timeout) if not busy else until

    def _send(self, transport: Any, consumer: int, uid: str, outcome: list[dict[str, Any]] | Failure) -> None:
        if isinstance(outcome, Failure) and outcome.cause:
            print(f"error: {outcome.cause}", file=sys.stderr, flush=True)
        self.put_response(transport, consumer, uid, response(outcome), LitAPIStatus.OK, LoopResponseType.REGULAR)


def response(outcome: list[dict[str, Any]] | Failure) -> Any:
    """Return what is sent: answers, or why there are none."""
    if isinstance(outcome, Failure):
        return JSONResponse({"detail": outcome.detail}, status_code=outcome.status)
    try:
        return JSONResponse({"answers": outcome})
    except ValueError:  # JSON has no NaN
        row = next(number for number, answer in enumerate(outcome) if not _finite(answer))
        return JSONResponse({"detail": f"x[{row}]: has numbers so large that the answer is none"}, status_code=422)


def _finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def serve(
    place: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    batch: int = 64,
    wait: float = 0.002,
    limits: Limits | None = None,
    log: TextIO | None = sys.stderr,
) -> None:
    """Serve a model until the process is asked to stop, by SIGTERM or SIGINT; then what was accepted is answered first.

    Requests that come within ``wait`` seconds are computed together, up to ``batch`` rows of them. One that is not
    answered after ``limits.seconds`` takes no more of the model's time.

    Raises:
        ZooError: no such model, or one of a task that is not asked by rows.
    """
    spec, limits = open_model(str(place))[0].spec, limits or Limits()
    if registry.get_task(spec.task).output_schema(spec) is None:
        raise ZooError(f"serve: answers questions about rows; {spec.task} of {spec.modality} data has none")
    api = Answers(str(place), batch=batch, wait=wait)
    Answers.decode_request.__annotations__["request"] = question(spec)
    described = {"data": spec.name, "task": spec.task, "classes": list(spec.classes), "columns": list(spec.columns)}
    server = litserve.LitServer(api, accelerator="auto", timeout=limits.seconds, model_metadata=described)
    if spec.spatial:
        _take_files(server, api)
    describe_predictions(server.app, spec)
    server.app.add_exception_handler(RequestValidationError, _malformed)
    server.uvicorn_graceful_timeout = limits.seconds
    server.app.add_middleware(Middleware, limits=limits, paths=PATHS, log=log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ends)
    server.run(
        host=host, port=port, num_api_servers=1, generate_client_file=False, log_level="warning", pretty_logs=False
    )


def describe_predictions(app: Any, spec: DataSpec) -> None:
    """Put the schema of the task's predictions into an app's OpenAPI document."""
    row = registry.get_task(spec.task).output_schema(spec)
    content = {"type": "object", "properties": {"answers": {"type": "array", "items": row}}, "required": ["answers"]}
    document = app.openapi()
    for path in ("/predict", "/predict/files"):
        if path in document["paths"]:
            response = document["paths"][path]["post"]["responses"]["200"]
            response["content"] = {"application/json": {"schema": content}}


def _ends(number: int, frame: Any) -> None:
    if multiprocessing.parent_process() is None:
        logging.getLogger("litserve").setLevel(logging.CRITICAL)  # its threads fail once its queues are gone
        raise KeyboardInterrupt  # upon which the server lets its processes finish
    raise SystemExit(0)  # one of them, which has


async def _malformed(request: Any, error: Any) -> Any:
    """Answer what is wrong and where, without what was sent: that may be large, or no JSON itself."""
    errors = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()[:MAX_ERRORS]]
    return JSONResponse({"detail": errors}, status_code=422)


def _take_files(server: Any, api: Answers) -> None:
    """Have uploads answered as their content in base64 would be."""
    handler = RegularRequestHandler(api, server)

    async def files(files: Annotated[list[UploadFile], File(max_length=MOST)]) -> Any:
        contents = [base64.b64encode(await file.read()).decode() for file in files]
        return await handler.handle_request(Rows(contents), Rows)

    server.app.add_api_route("/predict/files", files, methods=["POST"])
