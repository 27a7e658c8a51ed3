"""Judging over HTTP: one sandbox for all trainers of a machine, or of several.

``POST /v1/judge`` takes a request of :mod:`trimtab.codeeval.request_json` and answers with a ruling; ``GET /health``
and ``GET /metrics`` say how it goes. Decisions: a request is taken only where there is room for it, and else told when
to come again, so that memory does not grow with what clients send; what is malformed is refused with the field's name;
a request whose client has gone is not begun. Without a token only this machine is served, and no page of a browser on
it: a request is JSON by its type, which browsers ask leave for first, and names this machine as its host.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import json
import socket
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from trimtab.codeeval import request_json
from trimtab.codeeval.serve_metrics import ServeMetrics
from trimtab.codeeval.workers import TOO_LATE, Workers
from trimtab.errors import BenchmarkError, MissingExtraError, SandboxError

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route
except ImportError as _error:  # pragma: no cover - the extra is there in development
    raise MissingExtraError(str(_error.name), extra="serve") from _error

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.requests import Request as HttpRequest

    from trimtab.codeeval.problem import Problem
    from trimtab.codeeval.ruling import Ruling, RulingRequest

_LARGE: Final = 1 << 14  # bytes of a request that is read in a thread of its own
_MIB: Final = 1 << 20
_HERE: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """What a server takes.

    Attributes:
        token: What clients must show; empty asks for none and serves this machine alone.
        queue: Requests that may wait beside those that run.
        wait_s: Seconds that one may wait for a worker.
        body_mib: Size of one.
        body_s: Seconds in which it must have arrived.
        drain_s: Seconds for what is under way when the server is told to stop.
    """

    token: str = ""
    queue: int = 1024
    wait_s: float = 60.0
    body_mib: float = 8.0
    body_s: float = 30.0
    drain_s: float = 30.0


class RefusedError(Exception):
    """A request that is not judged: its status and what is said."""

    def __init__(self, status: int, text: str, retry_s: int = 0) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_s = status, text, retry_s


@dataclass(slots=True)
class _Load:
    """Requests under way, and seconds that one took of late."""

    pending: int = 0
    usual_s: float = 0.01
    draining: bool = False
    tasks: set[asyncio.Future[Any]] = field(default_factory=set)


class JudgeServer:
    """The application.

    Args:
        workers: Where programs run; started and ended with the application.
        settings: What it takes.
        known: Problems that a task id may name.
    """

    def __init__(self, workers: Workers, settings: ServeSettings, known: Mapping[str, Problem]) -> None:
        self._workers, self._settings, self._known = workers, settings, known
        self._load = _Load()
        self._metrics = ServeMetrics(lambda: self._load.pending, workers)

    def application(self) -> Starlette:
        """Return what an ASGI server runs."""
        routes = [
            Route("/v1/judge", self._judge, methods=["POST"]),
            Route("/health", self._health),
            Route("/metrics", self._report),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(self._workers.start)
        yield
        self._load.draining = True
        await asyncio.to_thread(self._workers.close)

    async def _judge(self, http: HttpRequest) -> Response:
        started = time.perf_counter()
        try:
            self._admit(http)
            self._load.pending += 1
            try:
                ruled = await self._ruling(http)
            finally:
                self._load.pending -= 1
        except RefusedError as refused:
            self._metrics.refused(refused.status)
            headers = {"Retry-After": str(refused.retry_s)} if refused.retry_s else {}
            return JSONResponse({"error": refused.text}, refused.status, headers)
        took = time.perf_counter() - started
        self._load.usual_s += 0.02 * (ruled.cpu_s - self._load.usual_s)
        self._metrics.answered(ruled, took)
        return Response(json.dumps(request_json.ruling_json(ruled)), media_type="application/json")

    def _admit(self, http: HttpRequest) -> None:
        """Raise RefusedError for a request that is not let in, before its body is read."""
        self._authorize(http)
        if http.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, "a request has the content type application/json")
        if self._load.draining:
            raise RefusedError(503, "this server is about to end", 5)
        if self._load.pending >= self._settings.queue + self._workers.settings.workers:
            raise RefusedError(503, f"{self._load.pending} requests are waiting already", self._retry_s())
        length = http.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._settings.body_mib * _MIB:
            raise RefusedError(413, f"a request may have {self._settings.body_mib:g} MiB, this one has {length} bytes")

    def _authorize(self, http: HttpRequest) -> None:
        if self._settings.token:
            kind, _, shown = http.headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer" or not hmac.compare_digest(shown.encode(), self._settings.token.encode()):
                raise RefusedError(401, "a request shows the server's token: Authorization: Bearer TOKEN")
        elif _name(http.headers.get("host", "")) not in _HERE:
            raise RefusedError(403, "a server without a token serves its own machine by its own name alone")

    def _retry_s(self) -> int:
        """Return seconds until about half of what waits is done."""
        waiting = self._load.pending * self._load.usual_s / self._workers.settings.workers
        return max(1, min(30, round(waiting / 2)))

    async def _ruling(self, http: HttpRequest) -> Ruling:
        body = await self._body(http)
        request = await asyncio.to_thread(self._read, body) if len(body) > _LARGE else self._read(body)
        try:
            future = self._workers.submit(request, time.monotonic() + self._settings.wait_s)
        except (SandboxError, RuntimeError) as error:
            raise RefusedError(503, f"no program can be run: {error}", 5) from None
        return await self._unless_gone(http, future)

    async def _body(self, http: HttpRequest) -> bytes:
        body, most = bytearray(), int(self._settings.body_mib * _MIB)
        try:
            async with asyncio.timeout(self._settings.body_s):
                async for part in http.stream():
                    body += part
                    if len(body) > most:
                        raise RefusedError(413, f"a request may have {self._settings.body_mib:g} MiB")
        except TimeoutError:
            raise RefusedError(408, f"a request arrives within {self._settings.body_s:g} s") from None
        return bytes(body)

    def _read(self, body: bytes) -> RulingRequest:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, f"a request is JSON: {error}") from None
        try:
            return request_json.read_request(message, self._known, self._workers.settings.limits)
        except BenchmarkError as error:
            raise RefusedError(422, str(error)) from None

    async def _unless_gone(self, http: HttpRequest, future: concurrent.futures.Future[Ruling]) -> Ruling:
        """Wait for a ruling; one that nobody waits for any more is not begun."""
        ruled = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(http.receive())  # after the body, only that the client has gone
        try:
            await asyncio.wait((ruled, gone), return_when=asyncio.FIRST_COMPLETED)
            if not ruled.done() and future.cancel():
                raise RefusedError(499, "the client has gone")
            answer = await ruled
        except asyncio.CancelledError:
            future.cancel()
            raise RefusedError(503, "this server is about to end", 5) from None
        finally:
            gone.cancel()
        if answer.reason == TOO_LATE:
            raise RefusedError(503, f"{TOO_LATE}: {self._settings.wait_s:g} s", self._retry_s())
        return answer

    async def _health(self, _: HttpRequest) -> Response:
        load, settings = self._load, self._workers.settings
        record = {
            "status": "ending" if load.draining else "ok",
            "tier": self._workers.attestation["tier"],
            "workers": settings.workers,
            "pending": load.pending,
            "room": max(0, self._settings.queue + settings.workers - load.pending),
        }
        return JSONResponse(record, 503 if load.draining else 200)

    async def _report(self, http: HttpRequest) -> Response:
        try:
            self._authorize(http)
        except RefusedError as refused:
            return JSONResponse({"error": refused.text}, refused.status)
        return Response(self._metrics.text(), media_type=self._metrics.content_type)


def _name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def listen(host: str, port: int, token: str) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SandboxError: The address cannot be had, or is another machine's to reach and there is no token.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        if not token and not ipaddress.ip_address(str(address[0])).is_loopback:
            raise SandboxError(
                f"{host} can be reached by other machines: a server that runs their programs needs a token",
                hint="put a long random one into TRIMTAB_SERVE_TOKEN, or leave --host out",
            )
        listening = _bound(family, address)
    except OSError as error:
        raise SandboxError(
            f"cannot listen on {host}:{port}: {error}", hint="name another --port; 0 takes a free one"
        ) from None
    listening.listen(2048)
    return listening


def _bound(family: int, address: Any) -> socket.socket:  # noqa: ANN401 - its form is the family's
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def serve(server: JudgeServer, listening: socket.socket, drain_s: float, ready: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; what is under way then is answered first."""
    config = uvicorn.Config(
        server.application(),
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(drain_s)),
    )

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

    Announced(config).run([listening])
