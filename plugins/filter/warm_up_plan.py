# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filter for the file from which a mail host knows how many messages it may send directly on which day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils.model.onward import warm_up_plan

DOCUMENTATION = r"""
name: warm_up_plan
short_description: How many messages may leave directly on which day, and where the others go
description:
  - Returns the numbers of all days of C(postseal_pace.warm_up), and for each login, recipient domain and sender that
    has a route of its own, and for all others, where its mail goes that may not leave directly.
author: The Postseal maintainers
options:
  _input:
    description: The model.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the plan inside a template of postseal.mail.apply
  ansible.builtin.debug:
    msg: "{{ model | postseal.mail.warm_up_plan }}"
"""

RETURN = r"""
_value:
  description: The plan, ready for JSON.
  type: dict
"""


class FilterModule:
    """Filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"warm_up_plan": warm_up_plan}
