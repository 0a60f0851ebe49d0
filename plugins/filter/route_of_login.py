# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Filter for the table that says which way a login's mail leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..module_utils.model.ways_rules import by_login

DOCUMENTATION = r"""
name: route_of_login
short_description: The way of all mail that a credential submits
description:
  - Finds the route that names the credential, or else the one that names its stream.
author: The Postseal maintainers
options:
  _input:
    description: A credential of the model.
    type: raw
    required: true
  model:
    description: The model.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show the way inside a template of postseal.mail.apply
  ansible.builtin.debug:
    msg: "{{ model.credentials | first | postseal.mail.route_of_login(model) }}"
"""

RETURN = r"""
_value:
  description: The route and the word that decides it, or nothing where no route names the credential.
  type: raw
"""


class FilterModule:
    """Filters of this file, by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return name -> function."""
        return {"route_of_login": lambda credential, model: by_login(model, credential)}
