#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/failures.py."""

DOCUMENTATION = r"""
module: failures
short_description: Tell what could not be delivered, and why
description:
  - What came back, from the mail services' journal, and what waits for another try, from the queue.
  - Addresses of the journal are as C(postseal_log.addresses) has them written; the queue has them in the clear.
  - One remote call for each host; nothing is changed.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: It never changes anything.}
options:
  since:
    description: How far back to look, like V(7d). The journal goes back as far as C(postseal_log.retention).
    type: str
    default: 1d
  limit:
    description: How many failures are told of, the newest of what came back and the oldest of what waits.
    type: int
    default: 100
"""

EXAMPLES = r"""
- name: Failures of a week
  hosts: postseal_submission
  become: true
  gather_facts: false
  tasks:
    - name: Look
      postseal.mail.failures:
        since: 7d
"""

RETURN = r"""
msg:
  description: The failures as text.
  type: list
  elements: str
  returned: success
failures:
  description: The same as data; times are seconds since 1970.
  type: dict
  returned: success
  contains:
    total: {description: How many recipients did not get their message., type: int}
    returned:
      description: What came back, each with id, when, sender, recipient, server, code, status, reason and explanation.
      type: list
    queue: {description: "What is deferred, as the module queue returns it.", type: dict}
"""
