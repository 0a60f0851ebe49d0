#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/send_test.py."""

DOCUMENTATION = r"""
module: send_test
short_description: Send a test message through the service
description:
  - Logs in at a mail host with C(postseal_probe), over TLS with a valid certificate, and hands a message over. Every
    command is shown with the answer and what the answer means.
  - If the recipient is the one of C(postseal_probe), reads the receiver's verdict in its mailbox.
  - Fails if the mail host does not take the message.
author: The Postseal maintainers
options:
  to:
    description: The recipient.
    type: str
    required: true
  host:
    description: Name of the mail host; by default the first one.
    type: str
  port:
    description: Port; by default the one for implicit TLS.
    type: int
  delivery_timeout:
    description: Seconds to wait for the message in the probe's mailbox.
    type: int
    default: 30
attributes:
  check_mode: {support: partial, description: Nothing is sent; says so.}
  diff_mode: {support: none}
"""

EXAMPLES = r"""
- name: Send a message to myself
  postseal.mail.send_test:
    to: me@example.org
"""

RETURN = r"""
lines:
  description: What was said, one line a step.
  type: list
  elements: str
  returned: when something was sent
host:
  description: The mail host that was asked.
  type: str
  returned: when something was sent
queue_id:
  description: The name of the message in the host's queue and log; empty if there is none.
  type: str
  returned: always
"""
