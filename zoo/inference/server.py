"""An HTTP server for a trained model, built on LitServe and ``zoo.inference.middleware``.

* ``POST /predict`` accepts JSON;
* ``POST /predict/files`` accepts uploads of images or wav files;
* ``GET /health`` reports readiness;
* ``GET /metrics`` returns metrics for Prometheus;
* ``GET /docs`` documents requests and responses.
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
    import python_multipart  # noqa: F401  (parses uploads)
    from fastapi import File, UploadFile
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from litserve.loops import LitLoop
    from litserve.server import RegularRequestHandler
    from litserve.utils import LitAPIStatus, LoopResponseType
    from pydantic import BaseModel, ConfigDict, Field, create_model
except ImportError:
    raise ZooError(f"serve: packages of the extra 'serve' are not installed. Run: {install('serve')}") from None

MAX_ROWS = 1000  # rows per request
MAX_ERRORS = 10  # validation errors per response
PATHS = ("/predict", "/predict/files", "/health", "/info", "/docs", "/openapi.json", "/metrics")
IDLE = 1.0  # seconds after which an idle worker checks whether to exit
READING = 0.02  # seconds to receive requests before the next batch is computed


class PredictionRequest(BaseModel):
    """The body of a request; ``x`` holds the rows."""

    model_config = ConfigDict(extra="forbid")
    x: Any

    def __reduce__(self) -> Any:
        """Pickle as plain rows, because the worker process lacks the dynamically created class."""
        return Rows, (self.x,)


class Rows(list[Any]):
    """The rows of a request."""


def request_model(spec: DataSpec) -> type[PredictionRequest]:
    """Return the pydantic model of requests for data described by ``spec``."""
    modality = registry.get_modality(spec.modality)
    about, row = modality.request_row(spec)
    example = modality.request_example(spec)
    rows = Annotated[list[row], Field(min_length=1, max_length=MAX_ROWS, description=about, examples=[[example]])]  # type: ignore[valid-type]
    config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"x": [example]}]})
    name = f"{spec.modality.capitalize()}Rows"
    model: type[PredictionRequest] = create_model(name, __base__=PredictionRequest, x=(rows, ...))
    model.model_config = config
    model.model_rebuild(force=True)
    return model


class PredictionAPI(litserve.LitAPI):
    """The LitServe API: decodes requests and computes predictions in a worker process with a ``Batcher``.

    Args:
        place: the model: a run's folder, a checkpoint or pretrained weights by name.
        batch: maximum number of rows per batch.
        wait: seconds to wait for further requests.
    """

    def __init__(self, place: str, *, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait, loop=Loop())
        self.place = place

    def setup(self, device: str) -> None:
        """Load the model in the worker process."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server stops the worker after the accepted requests
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
        self.model = open_model(self.place)[0].to(device)

    def decode_request(self, request: Any) -> Any:
        """Return the request unchanged; ``serve`` sets its annotation, which validates and documents requests."""
        return request

    def predict(self, x: Any, **kwargs: Any) -> Any:
        """Return one prediction per row of a batch."""
        return predictions_of(self.model.spec, self.model.answered(x))

    def read(self, rows: Sequence[Any], deadline: float) -> dict[str, Any]:
        """Return the rows of a request as a batch.

        Raises:
            ZooError: the model cannot read the rows.
            TimeoutError: the deadline has passed.
        """
        return encode(self.model.spec, from_json(self.model.spec, Timed(rows, deadline)))


class Timed(list[Any]):
    """Rows that can be read only until a deadline."""

    def __init__(self, rows: Sequence[Any], deadline: float) -> None:
        super().__init__(rows)
        self.deadline = deadline

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows.

        Raises:
            TimeoutError: the deadline has passed.
        """
        for row in super().__iter__():
            if time.monotonic() > self.deadline:
                raise TimeoutError
            yield row


class Loop(LitLoop):
    """The loop of the worker process; it alternates between receiving requests and computing batches."""

    def __call__(
        self, lit_api: Any, device: str, worker_id: int, request_queue: Any, transport: Any, *others: Any, **more: Any
    ) -> None:
        """Process requests until the server stops the worker."""
        batcher = Batcher(lit_api.predict, rows=lit_api.max_batch_size)
        ended = False
        while not ended or batcher.waiting:
            for item in self._received(request_queue, lit_api, busy=bool(batcher.waiting) or ended):
                consumer, uid, submitted, request = item
                if uid is None:  # the server sends no further requests
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
        """Yield received requests; an idle worker waits for the first one and briefly for more.

        A busy worker limits the time for receiving, so that slow requests do not delay waiting ones.
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
    """Return the HTTP response for predictions or a failure."""
    if isinstance(outcome, Failure):
        return JSONResponse({"detail": outcome.detail}, status_code=outcome.status)
    try:
        return JSONResponse({"answers": outcome})
    except ValueError:  # JSON has no NaN
        row = next(number for number, prediction in enumerate(outcome) if not _finite(prediction))
        return JSONResponse({"detail": f"x[{row}]: numbers too large; the prediction is not finite"}, status_code=422)


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
    """Serve a model over HTTP until SIGTERM or SIGINT; the server completes accepted requests before it stops.

    Args:
        place: the model: a run's folder, a checkpoint or pretrained weights by name.
        host: address to bind to.
        port: port to bind to.
        batch: maximum number of rows per batch.
        wait: seconds to wait for further requests before a batch is computed.
        limits: limits of a request; a request that exceeds ``limits.seconds`` is not computed further.
        log: receives a JSON line per request; None: no log.

    Raises:
        ZooError: no such model, or its task does not predict rows.
    """
    spec, limits = open_model(str(place))[0].spec, limits or Limits()
    if registry.get_task(spec.task).output_schema(spec) is None:
        raise ZooError(f"serve: does not support {spec.task} of {spec.modality} data, which has no rows to predict")
    api = PredictionAPI(str(place), batch=batch, wait=wait)
    PredictionAPI.decode_request.__annotations__["request"] = request_model(spec)
    described = {"data": spec.name, "task": spec.task, "classes": list(spec.classes), "columns": list(spec.columns)}
    server = litserve.LitServer(api, accelerator="auto", timeout=limits.seconds, model_metadata=described)
    if spec.spatial:
        _accept_files(server, api)
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
    """Add the schema of the task's predictions to the OpenAPI document of an app."""
    row = registry.get_task(spec.task).output_schema(spec)
    content = {"type": "object", "properties": {"answers": {"type": "array", "items": row}}, "required": ["answers"]}
    document = app.openapi()
    for path in ("/predict", "/predict/files"):
        if path in document["paths"]:
            response = document["paths"][path]["post"]["responses"]["200"]
            response["content"] = {"application/json": {"schema": content}}


def _ends(number: int, frame: Any) -> None:
    if multiprocessing.parent_process() is None:
        logging.getLogger("litserve").setLevel(logging.CRITICAL)  # its threads fail after its queues are closed
        raise KeyboardInterrupt  # makes the server wait for its workers
    raise SystemExit(0)  # a worker that has finished


async def _malformed(request: Any, error: Any) -> Any:
    """Respond with the validation errors and their locations, without the input, which may be large or invalid JSON."""
    errors = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()[:MAX_ERRORS]]
    return JSONResponse({"detail": errors}, status_code=422)


def _accept_files(server: Any, api: PredictionAPI) -> None:
    """Add the route for uploads, which handles files like their base64 content in JSON."""
    handler = RegularRequestHandler(api, server)

    async def files(files: Annotated[list[UploadFile], File(max_length=MAX_ROWS)]) -> Any:
        contents = [base64.b64encode(await file.read()).decode() for file in files]
        return await handler.handle_request(Rows(contents), Rows)

    server.app.add_api_route("/predict/files", files, methods=["POST"])
