# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A TLS ClientHello made by hand, to offer what the local TLS library would refuse to offer (RFC 5246 7.4.1.2).

"The handshake failed" proves nothing when one's own library may have been the one to refuse. Here the server's answer
is read from the wire: an alert means refused, a ServerHello means accepted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

TLS_1_1 = 0x0302
TLS_1_2 = 0x0303

# What old clients offered (IANA TLS Cipher Suites): a server that is willing to speak TLS 1.0 or 1.1 finds one here.
LEGACY_SUITES = (
    0xC00A, 0xC014, 0xC009, 0xC013,  # ECDHE with AES-CBC, SHA-1
    0x0039, 0x0033, 0x0035, 0x002F,  # DHE and RSA key exchange with AES-CBC
    0xC008, 0xC012, 0x0016, 0x000A,  # 3DES
    0xC011, 0x0005, 0x0004,  # RC4
)  # fmt: skip
# TLS 1.2 suites that RFC 9325 4.2 and Mozilla's "intermediate" set leave out.
WEAK_SUITES = (
    0x009C, 0x009D, 0x003C, 0x003D, 0x002F, 0x0035, 0xC09C, 0xC09D,  # RSA key exchange
    0x009E, 0x009F, 0xCCAA, 0x0067, 0x006B, 0x0033, 0x0039, 0xC09E, 0xC09F,  # DHE
    0xC023, 0xC024, 0xC027, 0xC028, 0xC009, 0xC00A, 0xC013, 0xC014,  # ECDHE with CBC
    0xC0AC, 0xC0AD, 0xC0AE, 0xC0AF,  # CCM, CCM_8
    0x0034, 0x003A, 0x006C, 0x006D, 0x00A6, 0x00A7, 0xC018, 0xC019,  # anonymous
    0xC008, 0xC012, 0x0016, 0x000A, 0xC007, 0xC011, 0x0005, 0x0004,  # 3DES, RC4
    0x0041, 0x0045, 0x0084, 0x0088, 0x0096, 0x003B, 0x0002, 0x0001,  # Camellia, SEED, NULL
)  # fmt: skip
# TLS 1.2 suites of Mozilla's "intermediate" set; those of TLS 1.3 are all good.
STRONG_SUITES = (0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8)
TLS_1_3_SUITES = (0x1301, 0x1302, 0x1303)
_GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)  # X25519, P-256, P-384, P-521, ffdhe2048 (RFC 8422, RFC 7919)
# Groups of TLS 1.3 beside X25519, P-256, P-384: P-521, X448, ffdhe2048 to 8192, brainpool (RFC 8446 4.2.7, RFC 8734).
ODD_GROUPS = (0x0019, 0x001E, 0x0100, 0x0101, 0x0102, 0x0103, 0x0104, 0x001F, 0x0020, 0x0021)
X25519MLKEM768 = 0x11EC  # draft-ietf-tls-ecdhe-mlkem; IANA TLS Supported Groups
_SIGNATURES = (0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0203, 0x0201)  # RFC 5246 7.4.1.4.1, RFC 8446 4.2.3
SHA_1_SIGNATURES = (0x0203, 0x0201)
EXTENDED_MASTER_SECRET, RENEGOTIATION_INFO, KEY_SHARE = 0x0017, 0xFF01, 0x0033  # RFC 7627, RFC 5746, RFC 8446
ALERTS = {
    40: "handshake_failure",
    47: "illegal_parameter",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    112: "unrecognized_name",
}
REFUSALS = (40, 70, 71)  # RFC 5246 7.2.2: these say that no common version or suite was found


@dataclass(frozen=True)
class Offer:
    """What a ClientHello offers: at most ``version``, and these suites, groups and signature schemes.

    ``only_1_3`` speaks TLS 1.3 alone, without a key share: the server must name the group it wants (RFC 8446 4.1.4).
    """

    version: int
    suites: tuple[int, ...]
    groups: tuple[int, ...] = _GROUPS
    signatures: tuple[int, ...] = _SIGNATURES
    only_1_3: bool = False


LEGACY = Offer(TLS_1_1, LEGACY_SUITES)
WEAK = Offer(TLS_1_2, WEAK_SUITES)
STRONG = Offer(TLS_1_2, STRONG_SUITES)
# In TLS 1.2 the groups would also have to hold the certificate's curve (RFC 8422 5.1.1), and refusals mean nothing.
ODD_CURVES = Offer(TLS_1_2, TLS_1_3_SUITES, groups=ODD_GROUPS, only_1_3=True)
SHA_1 = Offer(TLS_1_2, STRONG_SUITES, signatures=SHA_1_SIGNATURES)
HYBRID = Offer(TLS_1_2, TLS_1_3_SUITES, groups=(X25519MLKEM768,), only_1_3=True)


def client_hello(offer: Offer, name: str) -> bytes:
    """Return one TLS record with a ClientHello that makes ``offer`` to the server ``name`` (SNI)."""
    host = name.encode("idna")
    version, suites = offer.version, offer.suites
    extensions = (
        _extension(0, _vector16(b"\0" + _vector16(host)))  # server_name, RFC 6066 3
        + _extension(10, _vector16(_words(offer.groups)))  # supported_groups
        + _extension(11, b"\x01\x00")  # ec_point_formats: uncompressed
        + (_extension(13, _vector16(_words(offer.signatures))) if version >= TLS_1_2 else b"")
        + _extension(EXTENDED_MASTER_SECRET, b"")
        + (_extension(43, b"\x02\x03\x04") + _extension(KEY_SHARE, _vector16(b"")) if offer.only_1_3 else b"")
    )
    body = (
        struct.pack("!H", version)
        + os.urandom(32)
        + b"\0"  # no session to resume
        + _vector16(_words((*suites, 0x00FF)))  # 0x00FF: RFC 5746 3.3, secure renegotiation
        + (b"\x01\0" if offer.only_1_3 else b"\x02\x01\0")  # compression: DEFLATE (RFC 3749) or none
        + _vector16(extensions)
    )
    handshake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + _vector16(handshake)


@dataclass(frozen=True)
class Answer:
    """A server's first answer: the alert it sent, or the version and suite it chose, and what its hello says besides.

    ``compression`` is the method, 0 for none; ``extensions`` are those of the hello, their content by number.
    """

    alert: int | None = None
    version: int | None = None
    suite: int | None = None
    compression: int = 0
    extensions: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        """Whether the server said that it shares no version or suite with the offer."""
        return self.alert in REFUSALS

    def __str__(self) -> str:
        if self.alert is not None:
            return f"alert {ALERTS.get(self.alert, self.alert)}"
        return f"version {self.version:#06x}, cipher suite {self.suite:#06x}"


def parse(data: bytes) -> Answer | None:
    """Return the answer in ``data``, or ``None`` while it is incomplete; raises :class:`ValueError` if it is no TLS."""
    if len(data) < 5:
        return None
    kind, major, length = data[0], data[1], int.from_bytes(data[3:5], "big")
    if kind not in (0x15, 0x16) or major != 3:
        raise ValueError(f"not a TLS record: {data[:16]!r}")
    if len(data) < 5 + length:
        return None
    record = data[5 : 5 + length]
    if kind == 0x15 and length == 2:
        # A warning (level 1), such as "unrecognized_name", is followed by the real answer.
        return parse(data[5 + length :]) if record[0] == 1 else Answer(alert=record[1])
    if kind == 0x16 and length >= 39 and record[0] == 2:
        session = record[38]
        if length >= 41 + session:
            return Answer(
                version=int.from_bytes(record[4:6], "big"),
                suite=int.from_bytes(record[39 + session : 41 + session], "big"),
                compression=record[41 + session] if length > 41 + session else 0,
                extensions=_extensions(record[42 + session : 4 + int.from_bytes(record[1:4], "big")]),
            )
    raise ValueError(f"neither an alert nor a ServerHello: {data[:16]!r}")


def _extensions(block: bytes) -> dict[int, bytes]:
    """Return the extensions in a block that begins with its length; what is cut off is left out."""
    found: dict[int, bytes] = {}
    position = 2
    while position + 4 <= len(block):
        number, size = struct.unpack_from("!HH", block, position)
        found[number] = block[position + 4 : position + 4 + size]
        position += 4 + size
    return found


def _words(values: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(values)}H", *values)


def _vector16(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


def _extension(number: int, data: bytes) -> bytes:
    return struct.pack("!H", number) + _vector16(data)
