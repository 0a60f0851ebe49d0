# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Speak with the HTTP API of a PowerDNS server, every failure explained with its remedy.

Only the standard library: the server is the operator's own, so there is nothing to page and no rate to keep. No proxy
of the environment is used and no redirect followed, so the API key goes to the named address and nowhere else.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from ...model.providers import PowerDns as Settings
from ..errors import AuthError, InvalidRecord, ProviderError, Refused, TransportError, ZoneNotFound

TIMEOUT = 10.0
_SHOWN = 300


class Http:
    """The API of one server. Safe to use from several threads: each request has a connection of its own."""

    def __init__(self, settings: Settings, timeout: float = TIMEOUT) -> None:
        self.name, self.url, self._settings, self._timeout = settings.name, settings.url, settings, timeout
        self.variable = f"postseal_dns.providers.{settings.name}"
        self._parts = urlsplit(settings.url)

    def get(self, path: str, zone: str = "") -> Any:
        """Return what the API has at ``path`` below its server; ``zone`` is for messages."""
        status, text = self._send("GET", path, None, zone)
        self._check(status, text, zone)
        try:
            return json.loads(text)
        except ValueError:
            raise TransportError(self.name, zone, f"{self.url} does not answer in JSON", self._url_hint()) from None

    def patch(self, path: str, body: Mapping[str, Any], zone: str) -> None:
        """Send one change, once. An answer that does not tell whether it was made raises with ``maybe_applied``."""
        status, text = self._send("PATCH", path, json.dumps(body), zone)
        if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{self.url} answers the change with {status}: {_short(text)}"
            raise TransportError(self.name, zone, message, "The server's log may say why", maybe_applied=True)
        self._check(status, text, zone)

    def _send(self, method: str, path: str, body: str | None, zone: str) -> tuple[int, str]:
        target = f"{self._parts.path}/api/v1/servers/{quote(self._settings.server_id, safe='')}{path}"
        headers = {"X-API-Key": self._key(zone), "Accept": "application/json", "Content-Type": "application/json"}
        with self._explained(zone):
            connection = self._connection(zone)
            connection.connect()
        try:
            with self._explained(zone, maybe_applied=method != "GET"):
                connection.request(method, target, body, headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode("utf-8", "replace")
        finally:
            connection.close()

    def _connection(self, zone: str) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._parts.scheme != "https":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            context = ssl.create_default_context(cafile=self._settings.ca)
        except OSError as error:
            message = f"the CA bundle {self._settings.ca} cannot be used: {error.strerror or error}"
            raise ProviderError(self.name, zone, message, f"Correct {self.variable}.ca") from None
        return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=context)

    def _key(self, zone: str) -> str:
        key = self._settings.api_key.reveal()
        if not (key.isascii() and key.isprintable()):
            # http.client would refuse it too, and show it.
            raise AuthError(self.name, zone, "the API key has characters no key has", self._key_hint())
        return key

    def _check(self, status: int, text: str, zone: str) -> None:
        if status in (http.HTTPStatus.OK, http.HTTPStatus.NO_CONTENT):
            return
        said = _short(text)
        if status == http.HTTPStatus.UNAUTHORIZED:
            raise AuthError(self.name, zone, f"{self.url} does not accept the API key", self._key_hint())
        if status == http.HTTPStatus.FORBIDDEN:
            hint = "Allow the controller's address there: webserver-allow-from, or the rules of the proxy in front"
            raise Refused(self.name, zone, f"{self.url} does not let us in ({said})", hint)
        if status == http.HTTPStatus.NOT_FOUND and zone:
            raise ZoneNotFound(self.name, zone, f"{self.url} has it no longer ({said})", "Run dns.yml again")
        if status == http.HTTPStatus.NOT_FOUND:
            hint = f"Correct {self.variable}.url or .server_id; most servers call themselves localhost"
            raise ProviderError(self.name, zone, f"{self.url} knows no server {self._settings.server_id}", hint)
        if status == http.HTTPStatus.UNPROCESSABLE_ENTITY:
            raise InvalidRecord(self.name, zone, f"{self.url} refuses it: {said}", "Nothing of it was written")
        raise ProviderError(self.name, zone, f"{self.url} answers {status}: {said}", self._url_hint())

    def _key_hint(self) -> str:
        return f"Correct {self.variable}.api_key: it is api-key in the server's pdns.conf"

    def _url_hint(self) -> str:
        return f"Check {self.variable}.url: it is the address of the API without /api/v1"

    @contextmanager
    def _explained(self, zone: str, *, maybe_applied: bool = False) -> Iterator[None]:
        try:
            yield
        except ssl.SSLCertVerificationError as error:
            message = f"the certificate of {self.url} does not hold: {error.verify_message}"
            hint = f"Name the CA that signed it in {self.variable}.ca, or the host as the certificate does in .url"
            raise TransportError(self.name, zone, message, hint) from None
        except (OSError, http.client.HTTPException) as error:
            cause = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
            hint = f"Check {self.variable}.url, and that the port there is open to us (webserver-address, api=yes)"
            message = f"cannot talk to {self.url}: {cause}"
            raise TransportError(self.name, zone, message, hint, maybe_applied=maybe_applied) from None


def _short(text: str) -> str:
    """Return what the API says is wrong, on one line."""
    try:
        body = json.loads(text)
        said = str(body["error"]) if isinstance(body, dict) and "error" in body else text
    except ValueError:
        said = text
    said = " ".join(said.split())
    return said if len(said) <= _SHOWN else said[: _SHOWN - 3] + "..."
