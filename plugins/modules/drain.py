#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/drain.py."""

DOCUMENTATION = r"""
module: drain
short_description: Empty a mail host before maintenance or removal
description:
  - New submissions are refused at once, so that applications ask another mail host; sessions that are open have half a
    minute to end. This lasts over restarts and deployments, until O(state=open).
  - Everything in the queue is tried, and the action waits until nothing is left. It fails if something is when
    O(timeout) is over, and tells what, why, and where it can go.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: Tells what is in the queue and touches nothing.}
options:
  state:
    description: V(open) takes submissions again, and leaves nothing of V(drained) behind.
    type: str
    choices: [drained, open]
    default: drained
  timeout:
    description: How long to wait, like V(10m).
    type: str
    default: 10m
  others:
    description: Other mail hosts that take submissions.
    type: list
    elements: str
    default: []
  alone:
    description: Drain the host although there are no O(others).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Before an upgrade
  hosts: mail-a.example.com
  become: true
  gather_facts: false
  tasks:
    - name: Empty the host
      postseal.mail.drain:
        others: [mail-b.example.com]
"""

RETURN = r"""
msg:
  description: What was done, and what is left.
  type: list
  elements: str
  returned: success
queue:
  description: What is left, as the module queue returns it, with C(sessions), the number of clients still connected.
  type: dict
  returned: when state is V(drained)
"""
