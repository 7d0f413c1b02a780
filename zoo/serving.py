"""A trained model behind HTTP: LitServe batches requests, ``zoo.guarding`` stands before it.

``POST /predict`` takes JSON, ``POST /predict/files`` uploads of images or wav files; ``GET /health`` says whether it is
ready, ``GET /metrics`` has figures for Prometheus, ``GET /docs`` shows what is taken and answered.
"""

from __future__ import annotations

import base64
import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

from zoo.answers import answers_of
from zoo.errors import ZooError
from zoo.guarding import Guard, Limits

try:
    import litserve
    import prometheus_client  # noqa: F401
    import python_multipart  # noqa: F401  (with which uploads are read)
    from fastapi import File, UploadFile
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from litserve.server import RegularRequestHandler
    from pydantic import BaseModel, ConfigDict, Field, FiniteFloat
except ImportError:
    raise ZooError('serve: what it is made of is not installed; pip install "zoo[serve]"') from None

MOST = 1000  # rows of a request
SHOWN = 10  # of what is wrong with one
LONGEST = 100_000  # steps of a sequence, characters of a text
PATHS = ("/predict", "/predict/files", "/health", "/info", "/docs", "/openapi.json", "/metrics")
Step = Annotated[list[FiniteFloat], Field(min_length=1, max_length=10_000)]
Steps = Annotated[list[Step], Field(min_length=1, max_length=LONGEST)]
Cell = str | FiniteFloat | bool | None


class Question(BaseModel):
    """What is asked: ``x`` has the rows."""

    model_config = ConfigDict(extra="forbid")


class Images(Question):
    """Image files, such as PNG or JPEG, in base64."""

    x: Annotated[list[str], Field(min_length=1, max_length=MOST)]


class Texts(Question):
    """Texts."""

    x: Annotated[list[Annotated[str, Field(min_length=1, max_length=LONGEST)]], Field(min_length=1, max_length=MOST)]


class Rows(Question):
    """Rows of a table, by the names of its columns; null where a number is missing."""

    x: Annotated[list[dict[str, Cell]], Field(min_length=1, max_length=MOST)]


class Sequences(Question):
    """Sequences of steps of numbers; of a time series its last steps, in the order of its columns."""

    x: Annotated[list[Steps], Field(min_length=1, max_length=MOST)]


QUESTIONS: dict[str, type[Question]] = {"image": Images, "text": Texts, "table": Rows}
QUESTIONS |= {"sequence": Sequences, "series": Sequences}


class Wrong:
    """Why a question cannot be answered; it harms no other question of its batch."""

    def __init__(self, said: str) -> None:
        self.said = said


class Answers(litserve.LitAPI):
    """LitServe's side: questions are read one by one and answered together."""

    def __init__(self, place: str, *, batch: int, wait: float) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=wait)
        self.place = place

    def setup(self, device: str) -> None:
        """Load the model in the process that answers."""
        import torch

        from zoo.uses import opened

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends it, once what was accepted is answered
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # requests are read by other processes
        self.model = opened(self.place)[0].to(device)

    def decode_request(self, request: Any) -> Any:
        """Return a question as a batch, or why it is none."""
        from zoo.inputs import encode, from_json

        try:
            return encode(self.model.spec, from_json(self.model.spec, request.x))
        except ZooError as error:
            return Wrong(str(error))

    def batch(self, inputs: list[Any]) -> list[Any]:
        """Leave questions apart until all are read."""
        return inputs

    def predict(self, inputs: list[Any]) -> list[Any]:
        """Return the answers to questions, in their order."""
        asked = [one for one in inputs if not isinstance(one, Wrong)]
        sizes = [len(one["x"]) for one in asked]
        answered = iter(self._parts(joined(asked), sizes) if asked else [])
        return [one if isinstance(one, Wrong) else next(answered) for one in inputs]

    def _parts(self, batch: dict[str, Any], sizes: Sequence[int]) -> list[list[dict[str, Any]]]:
        answers = answers_of(self.model.spec, self.model.answered(batch))
        found, first = [], 0
        for size in sizes:
            found.append(answers[first : first + size])
            first += size
        return found

    def unbatch(self, output: list[Any]) -> list[Any]:
        """Leave them as they are."""
        return output

    def encode_response(self, output: Any) -> Any:
        """Return what is sent."""
        if isinstance(output, Wrong):
            return JSONResponse({"detail": output.said}, status_code=422)
        try:
            return JSONResponse({"answers": output})
        except ValueError:  # JSON has no NaN
            return JSONResponse({"detail": "x: has numbers so large that the answer is none"}, status_code=422)


def joined(batches: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return batches as one, the shorter ones padded."""
    import torch

    longest = max(batch["x"].shape[1] for batch in batches)
    parts = []
    for batch in batches:
        x = batch["x"]
        if x.shape[1] < longest:
            x = torch.cat([x, x.new_zeros(x.shape[0], longest - x.shape[1], *x.shape[2:])], 1)
        parts.append(x)
    found = {"x": torch.cat(parts)}
    return found | ({"lengths": torch.cat([b["lengths"] for b in batches])} if "lengths" in batches[0] else {})


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

    Requests that come within ``wait`` seconds are answered together, up to ``batch`` of them.

    Raises:
        ZooError: no such model, or one of a task that is not asked by rows.
    """
    from zoo.uses import opened

    spec, limits = opened(str(place))[0].spec, limits or Limits()
    if spec.kind not in QUESTIONS or spec.task in ("language_modeling", "generation"):
        raise ZooError(f"serve: answers questions about rows; {spec.task} of {spec.kind} data has none")
    api, question = Answers(str(place), batch=batch, wait=wait), QUESTIONS[spec.kind]
    Answers.decode_request.__annotations__["request"] = question  # by which it checks, and shows, what is asked
    described = {"data": spec.name, "task": spec.task, "classes": list(spec.classes), "columns": list(spec.columns)}
    server = litserve.LitServer(api, accelerator="auto", timeout=limits.seconds, model_metadata=described)
    if spec.kind == "image":
        _take_files(server, api)
    server.app.add_exception_handler(RequestValidationError, _malformed)
    server.uvicorn_graceful_timeout = limits.seconds
    server.app.add_middleware(Guard, limits=limits, paths=PATHS, log=log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _ends)
    server.run(
        host=host, port=port, num_api_servers=1, generate_client_file=False, log_level="warning", pretty_logs=False
    )


def _ends(number: int, frame: Any) -> None:
    if multiprocessing.parent_process() is None:
        logging.getLogger("litserve").setLevel(logging.CRITICAL)  # its threads fail once its queues are gone
        raise KeyboardInterrupt  # upon which the server lets its processes finish
    raise SystemExit(0)  # one of them, which has


async def _malformed(request: Any, error: Any) -> Any:
    """Answer what is wrong and where, without what was sent: that may be large, or no JSON itself."""
    said = [{key: one[key] for key in ("type", "loc", "msg")} for one in error.errors()[:SHOWN]]
    return JSONResponse({"detail": said}, status_code=422)


def _take_files(server: Any, api: Answers) -> None:
    """Have uploads answered as their content in base64 would be."""
    handler = RegularRequestHandler(api, server)

    async def files(files: Annotated[list[UploadFile], File(max_length=MOST)]) -> Any:
        contents = [base64.b64encode(await file.read()).decode() for file in files]
        return await handler.handle_request(Images(x=contents), Images)

    server.app.add_api_route("/predict/files", files, methods=["POST"])
