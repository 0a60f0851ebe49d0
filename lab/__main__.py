# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""script/lab: the command line."""

from __future__ import annotations

import argparse
import sys

from . import commands
from .run import LabError


def main() -> int:
    """Read the command line, do it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="script/lab", description="Real hosts on one machine, and a small internet.")
    sub = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sub.add_parser("up", help="bring the lab up, or repair it")
    down = sub.add_parser("down", help="take it down and leave nothing behind but the cache")
    down.add_argument("--cache", action="store_true", help="remove the cached trees and packages too")
    sub.add_parser("status", help="hosts, addresses, services and whether they work")
    for name, text in (
        ("ssh", "open a shell on a host, or run a command there"),
        ("reset", "put one host back to its first state"),
        ("cut", "pull one host's plug: every process gone at once, its disk kept; `up` boots it again"),
        ("logs", "the journal of a host; options of journalctl may follow"),
    ):
        command = sub.add_parser(name, help=text)
        command.add_argument("host", metavar="NAME")
        if name in ("ssh", "logs"):
            command.add_argument("rest", nargs=argparse.REMAINDER, metavar="...")
    arguments = parser.parse_args()
    try:
        return commands.run(arguments)
    except (LabError, OSError) as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted; `script/lab up` repairs what is half done", file=sys.stderr)
        return 130


sys.exit(main())
