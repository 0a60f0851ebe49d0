# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Applications that submit mail as fast as they are served. Runs on the mail host itself, standard library only.

What to do is one line of JSON on standard input (bench/submission.py), what came of it one on standard output:
``{"count", "seconds", "client_cpu"}``. With ``messages`` 0 it logs in and leaves, ``logins`` times. An unexpected reply
ends it with an error.
"""

from __future__ import annotations

import base64
import contextlib
import json
import resource
import socket
import ssl
import threading
import time
from typing import Any

# 4 kB as a shop would send it: text with a few links.
BODY = "".join(
    f"{number:02} Thank you for your order, which https://shop.test/orders/{number} shows as it is.\r\n"
    for number in range(46)
)


class Client:
    """One session over a raw socket: smtplib's own work would be measured as well."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", said["port"]), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""
        self.expect(b"220")
        self.say(b"EHLO client.lab.test\r\n", b"250")
        if said["tls"]:
            self.say(b"STARTTLS\r\n", b"220")
            self.socket = said["context"].wrap_socket(self.socket, server_hostname=said["name"])
            self.say(b"EHLO client.lab.test\r\n", b"250")
            token = base64.b64encode(f"\0{said['login']}\0{said['password']}".encode())
            self.say(b"AUTH PLAIN " + token + b"\r\n", b"235")

    def say(self, text: bytes, *codes: bytes) -> None:
        """Send ``text`` and read one reply for each of ``codes``; raises :class:`SystemExit` for another one."""
        self.socket.sendall(text)
        for code in codes:
            self.expect(code)

    def expect(self, code: bytes) -> None:
        """Read one reply, which may have several lines."""
        while True:
            while b"\r\n" not in self.rest:
                more = self.socket.recv(65536)
                if not more:
                    raise RuntimeError("the server hung up")
                self.rest += more
            line, self.rest = self.rest.split(b"\r\n", 1)
            if not line.startswith(code):
                raise RuntimeError(f"wanted {code!r}, got {line!r}")
            if line[3:4] != b"-":
                return

    def send(self, number: int) -> None:
        """Submit one message, pipelined as far as RFC 2920 allows."""
        sender, recipient = self.said["sender"], self.said["recipient"]
        self.say(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode(), b"250", b"250", b"354")
        head = (
            f"From: Shop <{sender}>\r\nTo: {recipient}\r\nSubject: Order {number}\r\n"
            f"Date: {DATE}\r\nMessage-ID: <{number}.{time.monotonic_ns()}@{sender.partition('@')[2]}>\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        )
        self.say(f"{head}{BODY}.\r\n".encode(), b"250")

    def leave(self) -> None:
        """End the session."""
        self.say(b"QUIT\r\n", b"221")
        self.socket.close()


DATE = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime())


def work(said: dict[str, Any], each: int, ready: threading.Barrier, failures: list[str]) -> None:
    """Be one application: ``each`` messages or logins."""
    try:
        client = Client(said) if said["kept"] else None
        ready.wait()
        for number in range(each):
            one = client or Client(said)
            if said["messages"]:
                one.send(number)
            if client is None:
                one.leave()
    except Exception as error:
        failures.append(repr(error))
        ready.abort()


def main(said: dict[str, Any]) -> dict[str, float]:
    """Run all applications at once; return how long they took, and the processor time of this client itself."""
    if said["tls"]:
        said["context"] = ssl.create_default_context(cadata=said["certificate"])
    failures: list[str] = []
    ready = threading.Barrier(said["connections"] + 1)
    each = (said["messages"] or said["logins"]) // said["connections"]
    threads = [threading.Thread(target=work, args=(said, each, ready, failures)) for _ in range(said["connections"])]
    for thread in threads:
        thread.start()
    with contextlib.suppress(threading.BrokenBarrierError):
        # Kept sessions are open before the clock starts.
        ready.wait()
    begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF)
    for thread in threads:
        thread.join()
    taken, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    if failures:
        raise SystemExit("; ".join(sorted(set(failures))))
    cpu = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return {"count": float(each * said["connections"]), "seconds": taken, "client_cpu": cpu}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(input()))))
