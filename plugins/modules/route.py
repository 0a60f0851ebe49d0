#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/route.py."""

DOCUMENTATION = r"""
module: route
short_description: Explain which way a message would go, and why
description:
  - Reads C(postseal_relays) and C(postseal_routes); no host is asked and nothing is sent.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: It never changes anything.}
options:
  sender:
    description: Envelope sender, or C(<>) for bounces.
    type: str
    required: true
  recipient:
    description: Recipient.
    type: str
    required: true
  credential:
    description:
      - Name or login of the credential that submits the message.
      - "Default: every credential that may send as O(sender)."
    type: str
"""

EXAMPLES = r"""
- name: Explain a way
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Ask the inventory
      postseal.mail.route:
        sender: shop@example.com
        recipient: customer@example.net
"""

RETURN = r"""
msg:
  description: For each credential the route that decides, why, and the relays in the order in which they are tried.
  type: list
  elements: str
  returned: success
"""
