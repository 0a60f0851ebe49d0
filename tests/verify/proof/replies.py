# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What SMTP reply codes mean, for those who do not read RFC 5321 (4.2.3, 4.3.2) and RFC 4954 6 every day."""

from __future__ import annotations

import re

EXPLAINED = {
    421: "the server closes the connection: it is busy, shutting down, or has had enough of this client",
    432: "the password must be changed before it can be used",
    450: "not now: the mailbox is in use, or a limit is reached; senders try again by themselves",
    451: "not now: something on the server failed; senders try again by themselves",
    452: "not now: too little space, or too many recipients for one message",
    454: "not now: the server cannot do TLS or check passwords at the moment; look at its certificate and at Dovecot",
    500: "the server does not know the command, or the line is too long",
    501: "the server does not understand the parameter of the command, such as an address that is none",
    502: "the server knows the command and does not offer it",
    503: "the command came out of turn, such as AUTH twice or DATA without a recipient",
    504: "the server does not know the parameter, such as an authentication mechanism it does not have",
    530: "authentication, or TLS before it, is required first",
    534: "the mechanism is too weak for this user",
    535: "the login or the password is wrong",
    538: "the mechanism needs TLS first",
    550: "refused: no such mailbox, or a policy of the server is against it",
    551: "the recipient is not here, and the server does not forward",
    552: "the message is larger than the server takes, or the mailbox is full",
    553: "the address may not be used: it is none, or this login has no right to it",
    554: "refused for good: the transaction failed, or a policy of the server is against it",
    555: "the server does not know a parameter of MAIL or RCPT",
    556: "the recipient's domain takes no mail (null MX)",
}
# A code that begins a reply: after "answered", "is" or a colon, and before an enhanced code or a word.
_CODE = re.compile(r"(?:answered|is|:|\() ?([45]\d\d)(?= |$|\))")


def explanations(text: str) -> tuple[str, ...]:
    """Return one line for each reply code that ``text`` quotes."""
    codes = dict.fromkeys(int(code) for code in _CODE.findall(text))
    return tuple(f"{code}: {EXPLAINED[code]}" for code in codes if code in EXPLAINED)
