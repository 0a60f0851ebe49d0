#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code is in plugins/action/keys.py and plugins/module_utils/host/keys.py."""

DOCUMENTATION = r"""
module: keys
short_description: Make private keys where they stay
description:
  - Makes DKIM keys (RSA and Ed25519) and one TLS key (ECDSA P-256) on a mail host, with the right owners and modes.
    Only public halves come back, as the fact C(postseal_keys).
  - An existing key is never overwritten.
  - Several mail hosts sign with the same DKIM keys. The first host makes them; the others receive them through the
    controller's memory. Where that is needed, C(state=exported) and C(state=received) must run with C(no_log).
author: The Postseal maintainers
options:
  state:
    description:
      - C(read) returns what the host holds.
      - C(present) makes what is missing everywhere and is this host's to make.
      - C(exported) returns the private keys that other hosts lack and this host holds.
      - C(received) installs what other hosts exported.
      - C(seen) writes down which keys the world has been seen to have, so that they may sign.
      - C(retired) writes down which keys no host signs with any more.
    type: str
    choices: [read, present, exported, received, seen, retired]
    default: read
  held:
    description: The C(postseal_keys) facts of all hosts that were asked.
    type: list
    elements: dict
    default: []
  offered:
    description: The private keys that the hosts exported.
    type: list
    elements: dict
    default: []
  seen:
    description: What the P(postseal.mail.dns#module) module returned as C(dkim).
    type: list
    elements: dict
    default: []
  signing:
    description: The C(postseal_signing) facts of all hosts whose signer was brought up to date in this run.
    type: list
    elements: dict
    default: []
  wishes:
    description: What is asked for besides what is due, with O(state=present).
    type: dict
    default: {}
    suboptions:
      domain:
        description: The domains it is for; all that send if none is named.
        type: list
        elements: str
        default: []
      rotate: {description: Begin with new keys now., type: bool, default: false}
      cancel: {description: Drop keys that do not sign yet., type: bool, default: false}
      postpone:
        description: Begin nothing by itself for so long, like V(30d); V(0) takes that back.
        type: str
        default: ""
      revoke:
        description: Revoke all keys of O(wishes.domain) at once, and begin with new ones.
        type: bool
        default: false
      lost:
        description: Give up the keys of O(wishes.domain) that no host holds any more, and begin with new ones.
        type: bool
        default: false
attributes:
  check_mode: {support: full, description: Says which keys would be made and makes none.}
  diff_mode: {support: full, description: "Names the keys, never their content."}
"""

EXAMPLES = r"""
- name: Learn which keys the host holds
  postseal.mail.keys:
    state: read
"""

RETURN = r"""
ansible_facts:
  description: The fact C(postseal_keys) with the public halves of the keys that the inventory asks for.
  type: dict
  returned: when the host was asked
notes:
  description: What waits, and for what.
  type: list
  elements: str
  returned: O(state) is V(present), V(seen) or V(retired)
made:
  description: Keys that were made.
  type: list
  elements: str
  returned: state=present and something was made
private:
  description: Private keys for other hosts.
  type: list
  elements: dict
  returned: state=exported
"""
