#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/preflight.py."""

DOCUMENTATION = r"""
module: preflight
short_description: Check the inventory before any host is touched
description:
  - Reads the C(postseal_*) variables into the model and reports all problems at once, each with the variable's
    path, its value (never a secret) and the fix.
  - Records that no zone could hold, because a name or a value is too long or an alias does not stand alone, are among
    them.
  - Runs on the controller and opens no connection.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: It never changes anything.}
"""

EXAMPLES = r"""
- name: Check the inventory
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Read it into the model
      postseal.mail.preflight:
"""

RETURN = r"""
environment:
  description: Name of the environment, part of every ownership mark.
  type: str
  returned: success
msg:
  description: One line per part of the environment.
  type: list
  elements: str
  returned: success
"""
