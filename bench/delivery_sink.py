# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A smarthost that takes all mail over TLS and forgets it. Runs on the mail host itself, standard library only.

usage: delivery_sink.py ADDRESS PORT CERTIFICATE KEY; each line on its standard input is answered by
``{"sessions", "messages"}``, counted since the last one.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

REPLIES = {
    b"MAIL": b"250 2.1.0 OK\r\n",
    b"RCPT": b"250 2.1.5 OK\r\n",
    b"RSET": b"250 2.0.0 OK\r\n",
    b"NOOP": b"250 2.0.0 OK\r\n",
    b"AUTH": b"235 2.7.0 OK\r\n",
}
counted = {"sessions": 0, "messages": 0}


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    """Hold one session."""
    counted["sessions"] += 1
    secret = False
    writer.write(b"220 sink.bench.test ESMTP\r\n")
    while line := await reader.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            offer = b"AUTH PLAIN" if secret else b"STARTTLS"
            writer.write(b"250-sink.bench.test\r\n250-PIPELINING\r\n250 " + offer + b"\r\n")
        elif verb == b"STAR":
            writer.write(b"220 2.0.0 go on\r\n")
            await writer.drain()
            await writer.start_tls(context)
            secret = True
        elif verb == b"DATA" and secret:
            writer.write(b"354 go on\r\n")
            await reader.readuntil(b"\r\n.\r\n")
            counted["messages"] += 1
            writer.write(b"250 2.0.0 forgotten\r\n")
        elif verb == b"QUIT":
            writer.write(b"221 2.0.0 bye\r\n")
            break
        else:
            writer.write(REPLIES[verb] if secret and verb in REPLIES else b"530 5.7.0 STARTTLS first\r\n")
    writer.close()


async def serve(address: str, port: str, certificate: str, key: str) -> None:
    """Listen until standard input ends."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer, context)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    await asyncio.start_server(session, address, int(port), backlog=1024)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(counted), flush=True)
        counted.update(sessions=0, messages=0)


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
