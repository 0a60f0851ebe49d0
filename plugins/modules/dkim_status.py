#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/dkim_status.py."""

DOCUMENTATION = r"""
module: dkim_status
short_description: Tell where every DKIM key is in its life
description:
  - Puts together what the mail hosts know of their DKIM keys and what every authoritative name server answers.
  - Runs on the controller and changes nothing. A host or a zone that cannot be asked is told and stops nothing.
author: The Postseal maintainers
options:
  keys:
    description: What the hosts' C(postseal_keys) facts hold, one element per host that could be asked.
    type: list
    elements: dict
    default: []
  file:
    description: Write the status to this file on the controller, as JSON.
    type: str
    default: ""
attributes:
  check_mode: {support: full, description: It never changes anything.}
"""

EXAMPLES = r"""
- name: DKIM status
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Look at every key
      postseal.mail.dkim_status:
        keys: "{{ groups['postseal_submission'] | map('extract', hostvars)
          | selectattr('postseal_keys', 'defined') | map(attribute='postseal_keys') }}"
"""

RETURN = r"""
keys:
  description: Every key that is not gone.
  type: list
  elements: dict
  returned: success
  contains:
    domain: {description: The domain., type: str}
    selector: {description: The selector., type: str}
    algorithm: {description: The algorithm., type: str}
    state: {description: "V(planned), V(published), V(signing), V(retiring) or V(revoked).", type: str}
    since: {description: When it came to that state (UTC)., type: str}
    next: {description: What comes next., type: str}
    not_before: {description: When at the earliest (UTC), or null where it waits for something else., type: str}
    signing_hosts: {description: The mail hosts that sign with it., type: list, elements: str}
    servers: {description: "Each name server and its answer, V(current) where it is as it should be.", type: list}
problems:
  description: Hosts and zones that could not be asked.
  type: list
  elements: str
  returned: success
msg:
  description: The same as text, by domain.
  type: dict
  returned: success
"""
