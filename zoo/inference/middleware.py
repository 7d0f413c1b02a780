"""ASGI middleware of the server: limits on size and time, a request log, and metrics for Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TextIO

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ANSWERED = ("/predict", "/predict/files")  # paths whose predictions are counted


@dataclass(frozen=True)
class Limits:
    """Limits of a request.

    Attributes:
        bytes: maximum size of the body.
        seconds: maximum time from the first byte of the request to the end of the response.
    """

    bytes: int = 16_000_000
    seconds: float = 30.0


class Monitor:
    """Prometheus metrics: requests by path and status, their duration, predictions and their confidence."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        common: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("zoo_requests", "Requests", ["path", "status"], **common)
        self.seconds = Histogram("zoo_request_seconds", "Time until the response was sent", ["path"], **common)
        self.open = Gauge("zoo_requests_open", "Requests in progress", **common)
        self.labels = Counter("zoo_predictions", "Predictions by class", ["label"], **common)
        tenths = [n / 10 for n in range(1, 11)]
        self.confidence = Histogram("zoo_confidence", "Probability of the predicted class", buckets=tenths, **common)
        self.values = Histogram("zoo_value", "Predicted numbers", buckets=[10.0**n for n in range(-3, 7)], **common)

    def see(self, content: bytes) -> int:
        """Count the predictions in the body of a response and return the number of its rows."""
        predictions = json.loads(content).get("answers", [])
        for prediction in predictions:
            label, value = prediction.get("label"), prediction.get("value")
            for one in label if isinstance(label, list) else [label] if label is not None else []:
                self.labels.labels(one).inc()
                if one in prediction.get("probability", {}):
                    self.confidence.observe(prediction["probability"][one])
            if isinstance(value, (int, float)):
                self.values.observe(value)
        return len(predictions)

    def text(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        from prometheus_client import generate_latest

        content: bytes = generate_latest(self.registry)
        return content


class Middleware:
    """ASGI middleware that rejects oversized and slow requests, and turns exceptions into status 500.

    Args:
        app: the wrapped application.
        limits: limits of a request.
        paths: paths to report on their own in metrics; all others count as ``other``.
        log: receives a JSON line per request; None: no log.
    """

    def __init__(self, app: Any, *, limits: Limits, paths: tuple[str, ...], log: TextIO | None = None) -> None:
        self.app, self.limits, self.monitor, self.paths, self.log = app, limits, Monitor(), paths, log

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] == "/metrics" and scope["method"] == "GET":
            await _answer(send, 200, self.monitor.text(), b"text/plain; version=0.0.4; charset=utf-8")
            return
        request = _Request(self, scope, receive, send)
        self.monitor.open.inc()
        try:
            await asyncio.wait_for(self.app(scope, request.receive, request.send), self.limits.seconds)
        except TimeoutError:
            await request.refuse(504, f"the request timed out after {self.limits.seconds:g} seconds")
        except Exception as error:  # internal errors must neither reach the client nor stop the server
            await request.refuse(500, "internal error")
            print(
                f"error: {scope['method']} {scope['path']}: {type(error).__name__}: {error}", file=self.log, flush=True
            )
        finally:
            self.monitor.open.dec()
            request.note()


class _Request:
    """A request in progress: its size so far, and the status and content of its response."""

    def __init__(self, middleware: Middleware, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        self.middleware, self.scope, self._receive, self._send = middleware, scope, receive, send
        self.started, self.size, self.status, self.rows = time.perf_counter(), 0, 0, 0
        self.content = b""

    async def receive(self) -> Message:
        """Return the next message of the request.

        Raises:
            HTTPException: the body exceeds the size limit.
        """
        message = await self._receive()
        self.size += len(message.get("body", b""))
        if self.size > self.middleware.limits.bytes:
            from starlette.exceptions import HTTPException

            raise HTTPException(413, f"the request exceeds {self.middleware.limits.bytes:,} bytes")
        return message

    async def send(self, message: Message) -> None:
        """Forward a message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.status == 200 and self.scope["path"] in ANSWERED:
            self.content += message.get("body", b"")
        await self._send(message)

    async def refuse(self, status: int, message: str) -> None:
        """Respond with an error unless a response has started."""
        if not self.status:
            self.status = status
            with contextlib.suppress(Exception):  # the client may be gone
                await _answer(self._send, status, json.dumps({"detail": message}).encode(), b"application/json")

    def note(self) -> None:
        """Update the metrics and write a line to the log."""
        monitor, seconds = self.middleware.monitor, time.perf_counter() - self.started
        path = self.scope["path"] if self.scope["path"] in self.middleware.paths else "other"
        monitor.requests.labels(path, str(self.status)).inc()
        monitor.seconds.labels(path).observe(seconds)
        with contextlib.suppress(ValueError):
            self.rows = monitor.see(self.content) if self.content else 0
        if self.middleware.log is not None:
            client = (self.scope.get("client") or ["-"])[0]
            row = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "client": client, "method": self.scope["method"]}
            row |= {"path": self.scope["path"], "status": self.status, "ms": round(1000 * seconds, 1)}
            print(json.dumps(row | {"bytes": self.size, "rows": self.rows}), file=self.middleware.log, flush=True)


async def _answer(send: Send, status: int, body: bytes, kind: bytes) -> None:
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
