# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Judge values of Postfix parameters that only the daemon that uses them would: numbers and times.

``postfix check`` reads few parameters. A queue manager with a bad time ends at once while smtpd goes on accepting mail
that nobody then delivers. Postfix has no list of types, but its defaults show them. Standard library, Python 3.9.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"-?\d+")
TIME = re.compile(r"\d+[smhdw]?")
TIME_DEFAULT = re.compile(r"\d+[smhdw]")
# Its default looks like a number and is a version (postconf(5)).
TEXTUAL = frozenset({"compatibility_level"})


def read_settings(text: str) -> dict[str, str]:
    """Return name -> value from the output of ``postconf -n``, ``-d`` or ``-P`` (where names are service/type/name)."""
    lines = (line.partition("=") for line in text.splitlines() if "=" in line and not line[0].isspace())
    return {name.strip(): value.strip() for name, _, value in lines}


def wrong_values(settings: dict[str, str], defaults: dict[str, str]) -> list[str]:
    """Return a sentence for each of ``settings`` that is no number, or no time, where its default is one.

    Values that still hold a macro cannot be judged and pass.
    """
    found = []
    for name, value in sorted(settings.items()):
        parameter = name.rpartition("/")[2]
        default = defaults.get(parameter, "")
        if parameter in TEXTUAL or "$" in value:
            continue
        if NUMBER.fullmatch(default) and not NUMBER.fullmatch(value):
            found.append(f"{name} = {value}: must be a whole number, like {default}")
        elif TIME_DEFAULT.fullmatch(default) and not TIME.fullmatch(value):
            found.append(f"{name} = {value}: must be a time, like {default}")
    return found
