# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filter for what Postfix logs about deliveries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plugin_utils.replies import explain_deliveries

DOCUMENTATION = r"""
name: explain_deliveries
short_description: What became of a message, in plain words
description:
  - Finds the attempts to deliver in lines of Postfix's log, and says what the other server answered and means.
author: The Postseal maintainers
options:
  _input:
    description: Lines of the log as one text.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Tell what became of the message
  ansible.builtin.debug:
    msg: "{{ log.stdout | postseal.mail.explain_deliveries }}"
"""

RETURN = r"""
_value:
  description: One sentence for each attempt.
  type: list
  elements: str
"""


class FilterModule:
    """Filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"explain_deliveries": explain_deliveries}
