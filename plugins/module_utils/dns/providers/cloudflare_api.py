# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The four calls of Cloudflare's API that are needed, through the official library, every failure explained.

The library's own retries are off: it would send a write twice whose outcome is unknown, and it does not wait as long as
the API asks it to. Bodies are JSON in and out, by the library's own way for that: its types follow its version and not
the API, and bringing a batch into them takes longer than sending it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn
from urllib.parse import quote

import cloudflare
import httpx

from ...model.types import Cloudflare as Settings
from ..errors import (
    AuthError,
    ConflictError,
    InvalidRecord,
    ProviderError,
    RateLimited,
    Refused,
    TransportError,
    ZoneNotFound,
)
from ..throttle import shared

PUBLIC_URL = "https://api.cloudflare.com/client/v4"
# 1200 requests in five minutes a user, whatever token they use
# (developers.cloudflare.com/fundamentals/api/reference/limits).
RATE, BURST = 4.0, 200
# Below this many left of the quota, wait until it is full again: as many calls may be on their way.
_FEW_LEFT = 8
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
# For the listing of zones, with which everything begins; whoever reads a zone asks again by himself.
_READS, _PAUSE = 3, 0.5
# The largest page of zones; records come in one page as large as any zone may be.
ZONES_PER_PAGE, RECORDS_PER_PAGE = 50, 5000

# There is no official list of codes; these are what the API is known to say. 10000 is also its answer for a zone that
# was created a moment ago.
_AUTH = frozenset({1000, 6003, 6103, 6111, 9103, 9106, 9107, 9109, 10000})
_TOO_OFTEN = frozenset({971, 10100, 10300})
_NO_SUCH_ZONE = frozenset({1001, 7000, 7003})
# Exists already (81057, 81058), other types at the name (81053, 81054, 81056), is gone (81044).
_STALE = frozenset({81044, 81053, 81054, 81056, 81057, 81058})
_SIZES = frozenset({9015, 83011})
_VALIDATION = range(9000, 9999)
_INVALID = 1004

Answer = dict[str, Any]


class Api:
    """Cloudflare's API with the token of one provider. Safe to use from several threads.

    Raises :class:`~..errors.AuthError` where neither inventory nor environment holds a token.
    """

    def __init__(self, settings: Settings) -> None:
        self.name, self.variable = settings.name, f"postseal_dns.providers.{settings.name}"
        token = settings.api_token.reveal() if settings.api_token else os.environ.get("CLOUDFLARE_API_TOKEN", "")
        if not token:
            hint = (
                f"Set {self.variable}.api_token in the vault, or CLOUDFLARE_API_TOKEN in the controller's environment"
            )
            raise AuthError(self.name, "", "there is no API token", hint)
        self._client = cloudflare.Cloudflare(
            api_token=token, base_url=settings.api_url or PUBLIC_URL, timeout=TIMEOUT, max_retries=0
        )
        # From CLOUDFLARE_EMAIL and the like in the environment; the library would send them in place of the token.
        self._client.api_email = self._client.api_key = self._client.user_service_key = None
        self._throttle = shared(f"cloudflare {token}", RATE, BURST)

    def zones(self) -> list[Answer]:
        """Return every zone that the token may see."""
        for _ in range(_READS - 1):
            try:
                return self._pages("", "/zones", ZONES_PER_PAGE)
            except TransportError:
                time.sleep(_PAUSE)
        return self._pages("", "/zones", ZONES_PER_PAGE)

    def records(self, zone: str, zone_id: str) -> list[Answer]:
        """Return every record of a zone; raises :class:`~..errors.TransportError` if some may be missing."""
        return self._pages(zone, f"/zones/{quote(zone_id)}/dns_records", RECORDS_PER_PAGE)

    def signed(self, zone: str, zone_id: str) -> bool:
        """Tell whether Cloudflare signs the zone with DNSSEC."""
        answer = self._read(zone, f"/zones/{quote(zone_id)}/dnssec", {})
        # pending: signed, and the parent zone has no DS record yet.
        return (answer.get("result") or {}).get("status") in ("active", "pending")

    def batch(self, zone: str, zone_id: str, body: Mapping[str, Sequence[Answer]]) -> Answer:
        """Write once, all or nothing, and return the records as the API says that they are now, by list.

        ``body`` has ``deletes``, ``patches`` and ``posts``, in which order the API carries them out. Never ``puts``:
        these reset what they do not name, a comment for instance.
        """
        path = f"/zones/{quote(zone_id)}/dns_records/batch"
        wanted = {name: list(items) for name, items in body.items() if items}
        send = partial(self._client.post, path, cast_to=httpx.Response, body=wanted)
        return self._throttle.run(lambda: self._once(zone, send, wanted))

    def _pages(self, zone: str, path: str, size: int) -> list[Answer]:
        found: list[Answer] = []
        page = 1
        while True:
            answer = self._read(zone, path, {"page": page, "per_page": size})
            result, info = answer.get("result"), answer.get("result_info")
            if not isinstance(result, list) or not isinstance(info, dict) or "total_count" not in info:
                raise self._incomplete(zone, "it does not say how many entries there are")
            found += result
            if page >= int(info.get("total_pages") or 1):
                break
            page += 1
        ids = {str(entry.get("id")) for entry in found}
        if len(found) != int(info["total_count"]) or len(ids) != len(found):
            raise self._incomplete(zone, f"it has {len(ids)} entries of {info['total_count']}")
        return found

    def _incomplete(self, zone: str, why: str) -> TransportError:
        message = f"the API's listing is not complete: {why}"
        return TransportError(self.name, zone, message, "Run it again; nothing is planned from a part of a zone")

    def _read(self, zone: str, path: str, parameters: Mapping[str, int]) -> Answer:
        options = {"params": dict(parameters)}
        ask = partial(self._client.get, path, cast_to=httpx.Response, options=options)
        return self._throttle.run(lambda: self._once(zone, ask))

    def _once(
        self, zone: str, call: Callable[[], Any], written: Mapping[str, Sequence[Answer]] | None = None
    ) -> Answer:
        """Return the answer to one request. ``written`` is what it writes."""
        maybe = written is not None
        try:
            response = call()
            self._spare(response.headers)
            answer = response.json()
        except cloudflare.APIStatusError as error:
            self._explain(zone, error, written)
        except cloudflare.APIConnectionError as error:
            never_sent = isinstance(error.__cause__, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
            cause = f"no answer within {TIMEOUT.read:.0f} s" if isinstance(error, cloudflare.APITimeoutError) else ""
            cause = cause or str(error.__cause__ or error)
            hint = f"Check that the controller reaches the API at {self._client.base_url.host} (port, proxy, resolver)"
            message = f"cannot talk to the API: {cause}"
            raise TransportError(self.name, zone, message, hint, maybe_applied=maybe and not never_sent) from None
        except (ValueError, httpx.HTTPError) as error:
            raise self._unusable(zone, str(error), maybe) from None
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise self._unusable(zone, "it does not say that it succeeded", maybe)
        return answer

    def _unusable(self, zone: str, why: str, maybe_applied: bool) -> TransportError:
        return TransportError(self.name, zone, f"the API gives no usable answer: {why}", maybe_applied=maybe_applied)

    def _spare(self, headers: Mapping[str, str]) -> None:
        """Wait before the API has to refuse: ``Ratelimit: "default";r=50;t=30`` says what is left, and until when."""
        left = re.search(r"r=(\d+);\s*t=(\d+)", headers.get("ratelimit", ""))
        if left and int(left[1]) < _FEW_LEFT:
            self._throttle.hold(float(left[2]))

    def _explain(
        self, zone: str, error: cloudflare.APIStatusError, written: Mapping[str, Sequence[Answer]] | None
    ) -> NoReturn:
        """Raise what the API's refusal means."""
        status, told = error.status_code, _told(error.body)
        codes = {code for code, _, _ in told}
        said = "; ".join(f"{message} (code {code})" for code, message, _ in told) or f"HTTP status {status}"
        where = "".join(f" ({name})" for name in (_named(pointer, written) for _, _, pointer in told) if name)
        refusal = f"the API says: {said}{where}"
        if status == httpx.codes.TOO_MANY_REQUESTS or codes & _TOO_OFTEN:
            hint = "Other programs and the dashboard count too; wait five minutes"
            raise RateLimited(self.name, zone, refusal, hint, retry_after=_seconds(error.response.headers)) from None
        if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
            maybe = written is not None
            raise TransportError(
                self.name, zone, refusal, "See www.cloudflarestatus.com", maybe_applied=maybe
            ) from None
        if codes & _STALE:
            raise ConflictError(self.name, zone, f"{refusal}: the zone changed while we looked") from None
        if codes & _NO_SUCH_ZONE or (status == httpx.codes.NOT_FOUND and not codes):
            hint = f"Correct {self.variable}.zone_ids, or let the token see the zone (permissions DNS Write, Zone Read)"
            raise ZoneNotFound(self.name, zone, refusal, hint) from None
        if status == httpx.codes.UNAUTHORIZED or codes & _AUTH:
            hint = f"Check {self.variable}.api_token: a valid token with the permissions DNS Write and Zone Read" + (
                f" for {zone}" if zone else ""
            )
            raise AuthError(self.name, zone, refusal, hint) from None
        if status == httpx.codes.FORBIDDEN:
            hint = f"Give the token of {self.variable} the permission DNS Write for the zone"
            raise Refused(self.name, zone, refusal, hint) from None
        if codes & _SIZES or _INVALID in codes or any(code in _VALIDATION for code in codes):
            raise InvalidRecord(self.name, zone, refusal) from None
        raise ProviderError(self.name, zone, refusal) from None


def _told(body: object) -> list[tuple[int, str, str]]:
    """Return code, message and pointer of each error in an answer, the innermost where one is wrapped."""
    errors = body.get("errors") if isinstance(body, dict) else None
    told = []
    for error in errors if isinstance(errors, list) else []:
        for inner in error.get("error_chain") or [error]:
            code = inner.get("code")
            pointer = str((error.get("source") or {}).get("pointer") or "")
            told.append((code if isinstance(code, int) else 0, str(inner.get("message", "")), pointer))
    return told


def _named(pointer: str, written: Mapping[str, Sequence[Answer]] | None) -> str:
    """Return which record of a batch a JSON pointer (RFC 6901) is about, ``/posts/3/content``."""
    match = re.search(r"/(deletes|patches|posts)/(\d+)", pointer)
    if match is None or written is None or int(match[2]) >= len(written.get(match[1], ())):
        return pointer
    item = written[match[1]][int(match[2])]
    return f"{item.get('name', item.get('id', ''))} {item.get('type', '')}".strip()


def _seconds(headers: Mapping[str, str]) -> float:
    """Return what ``Retry-After`` says in seconds (RFC 9110 10.2.3), 0 if it says nothing."""
    try:
        return max(float(headers.get("retry-after", "0")), 0.0)
    except ValueError:
        return 0.0
