#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/queue.py."""

DOCUMENTATION = r"""
module: queue
short_description: Show a mail host's queue, and hold, release, requeue, return or delete messages
description:
  - Shows each message with its age, sender, recipients, the reason why it waits and what that means, and its next try.
  - One of O(hold), O(release), O(requeue), O(bounce) and O(delete) moves messages. Each names queue IDs, as a list or
    as text with commas, or C(all) for all that O(sender) and O(recipient) leave over.
  - One remote call for each host.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: Tells which messages are meant and touches none.}
options:
  ids:
    description: Show only these.
    type: raw
  hold:
    description: Do not try these until they are released.
    type: raw
  release:
    description: Try these again that are held, at once.
    type: raw
  requeue:
    description: Choose the way of these anew. Those that are being delivered at this moment are left out.
    type: raw
  bounce:
    description: Return these to their senders, with a report. By queue ID alone.
    type: raw
  delete:
    description: Delete these; nobody is told. By queue ID alone.
    type: raw
  sender:
    description: Only messages of this envelope sender, of C(@domain), or bounces (C(<>)).
    type: str
    default: ""
  recipient:
    description: Only messages to this recipient, or to C(@domain).
    type: str
    default: ""
  via:
    description:
      - Send requeued messages by the way that begins with these names of C(postseal_relays), or by C(direct).
      - "Default: the way that recipient and sender have by C(postseal_routes)."
    type: list
    elements: str
    default: []
  confirm:
    description: The queue IDs of O(bounce) or O(delete) once more, with commas.
    type: str
    default: ""
  limit:
    description: How many messages are told of, the oldest first.
    type: int
    default: 100
"""

EXAMPLES = r"""
- name: Hold all mail to one domain
  hosts: postseal_submission
  become: true
  gather_facts: false
  tasks:
    - name: Hold it
      postseal.mail.queue:
        hold: all
        recipient: "@example.net"
"""

RETURN = r"""
msg:
  description: The messages as text.
  type: list
  elements: str
  returned: success
queue:
  description: The same as data; times are seconds since 1970.
  type: dict
  returned: success
  contains:
    queues: {description: Messages by queue., type: dict}
    fitting: {description: How many messages are meant., type: int}
    destinations: {description: "Recipient domains, with messages, oldest, reason and explanation.", type: list}
    messages: {description: The oldest of those that are meant., type: list}
    closed: {description: Since when the host takes no submissions; null if it does., type: float}
    missing: {description: Of the queue IDs that are meant those that are not there., type: list}
    names: {description: New queue IDs of requeued messages., type: dict}
asked:
  description: The queue IDs that are meant.
  type: list
  elements: str
  returned: success
found:
  description: Of these those that the host has.
  type: list
  elements: str
  returned: success
"""
