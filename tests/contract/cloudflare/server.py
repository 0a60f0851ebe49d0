# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The store behind HTTP on loopback, with tokens, limits and whatever can go wrong on the way.

Rules cite DOCS (developers.cloudflare.com) as in :mod:`.store`.
"""

from __future__ import annotations

import json
import math
import re
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .rules import ApiError, Fields
from .store import Store, Zone

BASE = "/client/v4"
# DOCS/fundamentals/api/reference/limits: requests in so many seconds.
QUOTA, WINDOW = 1200, 300


@dataclass(frozen=True)
class Token:
    """What a token may do. ``zones``: ids, ``None`` for all. ``listing``: it has Zone Read."""

    zones: frozenset[str] | None = None
    listing: bool = True
    writing: bool = True


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        path = re.sub(r"[0-9a-f]{32}", "ID", self.path)
        return f"{self.method} {path}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: Fields
    headers: Mapping[str, str] = field(default_factory=dict)


class HangUp(Exception):
    """Close the connection without an answer."""


Fault = Callable[[Callable[[], Answer]], Answer]
"""What goes wrong with a request: gets the way to carry it out, returns what is answered, or hangs up."""


def lost_before(_: Callable[[], Answer]) -> Answer:
    raise HangUp


def lost_after(carry_out: Callable[[], Answer]) -> Answer:
    carry_out()
    raise HangUp


def failing(status: int = 500, code: int = 10001, message: str = "internal error", **headers: str) -> Fault:
    """Return a fault that refuses without carrying anything out."""
    answer = Answer(
        status, refusal([(code, message, "")]), {name.replace("_", "-"): value for name, value in headers.items()}
    )
    return lambda _: answer


def failing_after(carry_out: Callable[[], Answer]) -> Answer:
    """A gateway gives up on a request that is carried out all the same."""
    carry_out()
    return Answer(504, {})


def truncated(carry_out: Callable[[], Answer]) -> Answer:
    """Leave out half of a listing, and still tell how many there are."""
    answer = carry_out()
    rows = answer.body["result"]
    return Answer(answer.status, {**answer.body, "result": rows[: len(rows) // 2]})


def emptied(carry_out: Callable[[], Answer]) -> Answer:
    """Answer a listing with nothing at all, consistently."""
    answer = carry_out()
    info = {**answer.body["result_info"], "count": 0, "total_count": 0, "total_pages": 0}
    return Answer(answer.status, {**answer.body, "result": [], "result_info": info})


def shortened(carry_out: Callable[[], Answer]) -> Answer:
    """Leave out half of a listing, and lie about how many there are."""
    answer = carry_out()
    rows = answer.body["result"][::2]
    info = {**answer.body["result_info"], "count": len(rows), "total_count": len(rows)}
    return Answer(answer.status, {**answer.body, "result": rows, "result_info": info})


def garbled(carry_out: Callable[[], Answer]) -> Answer:
    carry_out()
    return Answer(200, {"nothing": "of use"})


def refusal(errors: Sequence[tuple[int, str, str]]) -> Fields:
    """DOCS/api: the envelope. ``source.pointer`` is in the schema; what it holds for batches is told nowhere."""
    told = [
        {"code": code, "message": message, **({"source": {"pointer": pointer}} if pointer else {})}
        for code, message, pointer in errors
    ]
    return {"success": False, "errors": told, "messages": [], "result": None}


class FakeCloudflare:
    """A server on loopback; ``url`` is what clients take for the API's.

    ``check`` gets the body of every batch. ``delay`` is how far away the server is, in seconds there and back.
    """

    def __init__(self, store: Store, *, quota: int = QUOTA, window: float = WINDOW, pages: int = 5_000_000) -> None:
        self.store, self.quota, self.window, self.pages = store, quota, window, pages
        self.tokens: dict[str, Token] = {}
        self.requests: list[Request] = []
        self.faults: dict[int, Fault] = {}
        self.check: Callable[[Any], None] = lambda _: None
        self.delay = 0.0
        self._lock = Lock()
        self._spent: dict[str, deque[float]] = {}
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.fake = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{BASE}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeCloudflare:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fail(self, index: int, fault: Fault) -> None:
        """Let ``fault`` happen to the request that comes after ``index`` others from now on."""
        self.faults[len(self.requests) + index] = fault

    def handle(self, request: Request, authorization: str) -> Answer:
        """Carry out one request."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            headers, blocked = self._count(authorization)
        if blocked:
            return blocked
        fault = self.faults.pop(number, None)

        def carry_out() -> Answer:
            try:
                token = self._authenticated(authorization)
                return Answer(200, self._route(request, token))
            except ApiError as error:
                return Answer(error.status, refusal([(error.code, error.message, error.pointer)]))

        answer = fault(carry_out) if fault else carry_out()
        return Answer(answer.status, answer.body, {**headers, **answer.headers})

    def _count(self, authorization: str) -> tuple[dict[str, str], Answer | None]:
        """DOCS/fundamentals/api/reference/limits: what is left, on every answer; over it 429 and Retry-After."""
        now = time.monotonic()
        spent = self._spent.setdefault(authorization, deque())
        while spent and spent[0] <= now - self.window:
            spent.popleft()
        reset = math.ceil(spent[0] + self.window - now) if spent else math.ceil(self.window)
        policy = {"Ratelimit-Policy": f'"default";q={self.quota};w={math.ceil(self.window)}'}
        if len(spent) >= self.quota:
            told = {**policy, "Ratelimit": f'"default";r=0;t={reset}', "Retry-After": str(reset)}
            return told, Answer(
                429, refusal([(971, "Please wait and consider throttling your request speed", "")]), told
            )
        spent.append(now)
        return {**policy, "Ratelimit": f'"default";r={self.quota - len(spent)};t={reset}'}, None

    def _authenticated(self, authorization: str) -> Token:
        scheme, _, value = authorization.partition(" ")
        if scheme != "Bearer" or not value:
            raise ApiError(6003, "Invalid request headers")  # octodns/octodns-cloudflare#121: HTTP 400
        if value not in self.tokens:
            raise ApiError(9109, "Invalid access token", 403)
        return self.tokens[value]

    def _zone(self, token: Token, zone_id: str, *, write: bool = False) -> Zone:
        zone = self.store.zone(zone_id)
        if (token.zones is not None and zone_id not in token.zones) or (write and not token.writing):
            raise ApiError(10000, "Authentication error", 403)  # octodns/octodns-cloudflare#108
        return zone

    def _route(self, request: Request, token: Token) -> Fields:
        parts = request.path.removeprefix(BASE).strip("/").split("/")
        if request.method == "GET":
            return self._read(request, token, parts)
        zone = self._zone(token, parts[1], write=True)
        what = (request.method, "batch" if parts[3:] == ["batch"] else "records" if len(parts) == 3 else "record")
        if what == ("POST", "batch"):
            self.check(request.body)
            return _success(self.store.batch(zone.id, request.body))
        names = {("POST", "records"): "posts", ("PATCH", "record"): "patches", ("PUT", "record"): "puts"}
        names["DELETE", "record"] = "deletes"
        if what not in names:
            raise ApiError(7001, f"Method {request.method} not available for that URI.", 405)
        item = {**(request.body or {}), **({"id": parts[3]} if len(parts) > 3 else {})}
        return _success(self.store.one(zone.id, names[what], item))

    def _read(self, request: Request, token: Token, parts: Sequence[str]) -> Fields:
        if parts == ["zones"]:
            # A token without Zone Read sees no zone in the listing: traefik/traefik#5965.
            seen = [zone for zone in self.store.zones.values() if token.zones is None or zone.id in token.zones]
            rows = [zone.shown() for zone in seen] if token.listing else []
            return self._page(request, rows, default=20, largest=50)  # DOCS/api/resources/zones/methods/list
        zone = self._zone(token, parts[1])
        if parts[2:] == ["dns_records"]:
            # DOCS/api/resources/dns/subresources/records/methods/list: 100 by default, at most 5,000,000.
            rows = [dict(entry) for entry in zone.records.values()]
            return self._page(request, rows, default=100, largest=self.pages, clamp=True)
        if parts[2:] == ["dnssec"]:
            return _success({"status": zone.dnssec})
        if parts[2:] == ["pagerules"]:
            return _success([])  # octoDNS asks for them
        raise ApiError(7000, "No route for that URI", 404)

    def _page(self, request: Request, rows: list[Fields], *, default: int, largest: int, clamp: bool = False) -> Fields:
        size, page = int(request.query.get("per_page", default)), int(request.query.get("page", 1))
        if size > largest and not clamp:
            raise ApiError(1006, f"per_page must be at most {largest}")
        size = min(size, largest)
        shown = rows[(page - 1) * size : page * size]
        info = {
            "page": page,
            "per_page": size,
            "count": len(shown),
            "total_count": len(rows),
            "total_pages": max(math.ceil(len(rows) / size), 1),
        }
        return {**_success(shown), "result_info": info}


def _success(result: Any) -> Fields:
    return {"success": True, "errors": [], "messages": [], "result": result}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeCloudflare


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        # Headers and body go out in two writes; without this each answer waits for the client's delayed ACK.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _serve(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        request = Request(self.command, url.path, query, body)
        time.sleep(self.server.fake.delay)
        try:
            answer = self.server.fake.handle(request, self.headers.get("Authorization", ""))
        except HangUp:
            self.close_connection = True
            return
        text = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {**answer.headers, "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815  # named by http.server

    def log_message(self, *_: object) -> None:
        """Say nothing: requests are kept."""
