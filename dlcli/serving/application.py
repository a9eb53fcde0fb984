"""The application behind the server: its addresses, and how what goes wrong becomes an answer."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from dlcli import __version__
from dlcli.data.memory import cores
from dlcli.errors import DataError
from dlcli.files import to_json
from dlcli.serving.batching import Batches
from dlcli.serving.content import parse
from dlcli.serving.describing import metadata
from dlcli.serving.intake import Taken
from dlcli.serving.page import page
from dlcli.serving.refusals import Held, Limits, RefusedError, header_too_large, refused, told, too_large
from dlcli.serving.served import Served

Told = Callable[[str], object]
_SMALL = 32 * 2**10  # bytes of JSON that are read faster than they are handed to another thread
_LOOKED_SECONDS = 1.0  # between two looks whether the one who asked is still there
_ROWS = {"type": "object", "required": ["rows"], "properties": {"rows": {"type": "array", "items": {}}}}
_FORM = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
}
_BYTES = {"type": "string", "format": "binary"}
_ERROR = {
    "description": "what is wrong, and what to do",
    "content": {
        "application/json": {
            "schema": {
                "type": "object", "required": ["error"],
                "properties": {"error": {"type": "string"}, "hint": {"type": "string"}, "id": {"type": "string"}},
            }
        }
    },
}  # fmt: skip
_STATUSES = (400, 408, 413, 415, 422, 431, 503)


class Application:
    """A FastAPI application for one model; `app` is what a server runs.

    Args:
        served: the model.
        limits: of requests.
        log: is told of each fault of dlcli's own.
    """

    def __init__(self, served: Served, limits: Limits, log: Told) -> None:
        self._served = served
        self._limits = limits
        self._log = log
        self._held = Held(limits.held)
        self._batches: Batches[Taken] = Batches(served.answers, together=served.together, waiting=limits.waiting)
        self._threads = ThreadPoolExecutor(cores(), "dlcli-requests")
        self._metadata = metadata(served, limits)
        self.app: ASGIApp = _Guard(self._fastapi(), limits)

    def close(self) -> None:
        """End the threads, once no request is left."""
        self._batches.close()
        self._threads.shutdown()

    def _fastapi(self) -> FastAPI:
        name = str(self._metadata["name"])
        # FastAPI's own pages on the API load scripts from elsewhere.
        app = FastAPI(
            title=f"dlcli: {name}", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False
        )
        html, policy = page(name)

        async def show_page() -> Response:
            """A page on which a person tries the model."""
            return Response(html, media_type="text/html", headers={"Content-Security-Policy": policy})

        async def health() -> Response:
            """Whether the model answers."""
            return _json({"status": "ok"})

        async def show_metadata() -> Response:
            """What the model takes and gives, its scores, and what it was made with."""
            return _json(self._metadata)

        predict = _documented(self._metadata["takes"]["example"])
        app.add_api_route("/", show_page, methods=["GET", "HEAD"], include_in_schema=False)
        app.add_api_route("/health", health, methods=["GET"])
        app.add_api_route("/health", health, methods=["HEAD"], include_in_schema=False)
        app.add_api_route("/metadata", show_metadata, methods=["GET"])
        app.add_api_route("/predict", self._predict, methods=["POST"], openapi_extra=predict, summary="Predict")
        handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
            RefusedError: _tell, HTTPException: _tell_of_address, Exception: self._tell_of_fault,
        }  # fmt: skip
        for kind, handler in handlers.items():
            app.add_exception_handler(kind, handler)
        return app

    async def _predict(self, request: Request) -> Response:
        """Answers, a row an example, as `dlcli predict` gives them, with the probability of each class."""
        body = bytearray()
        try:
            await self._collect(request, body)
            taken = await self._taken(bytes(body), dict(request.headers))
            answers = await self._answered(request, taken)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except DataError as error:
            raise refused(error) from error
        finally:
            self._held.give_back(len(body))
        return _json({"predictions": answers})

    async def _answered(self, request: Request, taken: Taken) -> Any:
        """The answer, if somebody waits for it: one who goes does not hold up the others."""
        answer = self._batches.ask(taken)
        while not (await asyncio.wait((answer,), timeout=_LOOKED_SECONDS))[0]:
            if await request.is_disconnected():
                answer.cancel()
                raise ClientDisconnect
        return answer.result()

    async def _collect(self, request: Request, body: bytearray) -> None:
        """Read all of a request's body. Raises RefusedError as soon as it is too large."""
        async for part in request.stream():
            if len(body) + len(part) > self._limits.body:
                raise too_large(self._limits.body)
            self._held.take(len(part))
            body += part

    async def _taken(self, body: bytes, headers: dict[str, str]) -> Taken:
        def take() -> Taken:
            return self._served.intake.take(parse(body, headers, self._limits))

        if len(body) <= _SMALL and headers.get("content-type") == "application/json":
            return take()
        return await asyncio.get_running_loop().run_in_executor(self._threads, take)

    async def _tell_of_fault(self, request: Request, error: Any) -> Response:
        number = uuid4().hex[:8]
        lines = "".join(traceback.format_exception(error)).rstrip()
        self._log(f"fault {number} at {request.method} {request.url.path}:\n{lines}")
        return _json({**told("This is a fault of dlcli's own.", f"It is in the log as {number}."), "id": number}, 500)


class _Guard:
    """What is outside of the application: bodies that say they are too large are not begun, and faults end here."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        error = self._refused(scope) if scope["type"] == "http" else None
        if error is not None:
            await (await _tell(Request(scope), error))(scope, receive, send)
            return
        with suppress(Exception):  # Starlette (1.10) raises it again when the fault was told and logged
            await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> RefusedError | None:
        # One that comes in a single piece uvicorn (0.54) takes, however large, and 10,000 fields keep it for seconds.
        if sum(len(name) + len(value) for name, value in scope["headers"]) > self._limits.header:
            return header_too_large(self._limits.header)
        return too_large(self._limits.body) if _length(scope) > self._limits.body else None


def _length(scope: Scope) -> int:
    found = dict(scope["headers"]).get(b"content-length", b"0")
    return int(found) if found.isdigit() else 0


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    # Names that were sent may have half a character, which is none in UTF-8.
    body = to_json(content).encode("utf-8", "replace")
    return Response(body, status, headers, "application/json")


async def _tell(request: Request, error: Any) -> Response:
    return _json(told(error.message, error.hint), error.status, error.headers)


async def _tell_of_address(request: Request, error: Any) -> Response:
    known = "There are /, /health, /metadata, /openapi.json, and POST /predict."
    shown = request.url.path[:100]
    message = f"There is no {shown}." if error.status_code == 404 else f"{request.method} {shown}: {error.detail}."
    return _json(told(message, known), error.status_code, dict(error.headers or {}))


def _documented(example: Any) -> dict[str, Any]:
    content = {
        "application/json": {"schema": _ROWS, "example": example},
        "multipart/form-data": {"schema": _FORM},
        "image/*": {"schema": _BYTES}, "text/csv": {"schema": _BYTES}, "text/plain": {"schema": _BYTES},
    }  # fmt: skip
    return {
        "requestBody": {"required": True, "content": content},
        "responses": {str(status): _ERROR for status in _STATUSES},
    }
