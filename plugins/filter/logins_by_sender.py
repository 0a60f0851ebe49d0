# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filter for the table that binds envelope senders to logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils.model.logins import logins_by_sender

DOCUMENTATION = r"""
name: logins_by_sender
short_description: Who may write as whom, seen from the address
description:
  - Turns the credentials of the model into a table from envelope sender to logins.
  - An address also carries the logins of its whole domain.
author: The Postseal maintainers
options:
  _input:
    description: Credentials of the model.
    type: list
    elements: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the table inside a template of postseal.mail.apply
  ansible.builtin.debug:
    msg: "{{ model.credentials | postseal.mail.logins_by_sender }}"
"""

RETURN = r"""
_value:
  description: Pairs of a sender, an address or C(@domain), and its logins.
  type: list
  elements: list
"""


class FilterModule:
    """Filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"logins_by_sender": logins_by_sender}
