#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/credential.py."""

DOCUMENTATION = r"""
module: credential
short_description: Issue, rotate, suspend or revoke an application's credential
description:
  - Changes one entry of C(postseal_credentials) in the variables file of the inventory that defines it. Every other
    character of the file stays as it is; the file is replaced whole or not at all.
  - A new password is random. It is shown once on the terminal, or written to a file; its hash goes into the inventory.
  - Runs on the controller and opens no connection. The mail hosts learn of it by C(playbooks/credential.yml).
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: Nothing is written and no password is made.}
options:
  name:
    description: Name of the credential, or its login where several have one name.
    type: str
    required: true
  domain:
    description: Domain of a new credential; by default the only one that sends.
    type: str
  state:
    description:
      - C(issue) gives a password to a credential without one, and adds a credential that is not there.
      - C(rotate) gives another password; the old one stays valid for O(overlap).
      - C(revoke) shuts it out for good, C(revoke_previous) ends the password before the last rotation.
      - C(suspend) shuts it out until C(resume).
    type: str
    choices: [issue, rotate, revoke, revoke_previous, suspend, resume]
    default: issue
  overlap:
    description: For how many days the old password stays valid, like C(7d). C(0d) ends it at once.
    type: str
    default: 7d
  file:
    description: The file that defines C(postseal_credentials), where it cannot be found.
    type: path
  token_file:
    description: Write the new password into this file, which must not exist, instead of showing it.
    type: path
"""

EXAMPLES = r"""
- name: Give the shop another password
  postseal.mail.credential:
    name: shop
    state: rotate
    overlap: 14d
    token_file: /run/user/1000/shop
"""

RETURN = r"""
file:
  description: The file that defines the credentials.
  type: str
  returned: success
login:
  description: The credential's login.
  type: str
  returned: success
msg:
  description: What was done.
  type: str
  returned: success
token_file:
  description: Where the new password is.
  type: str
  returned: when it was asked for
"""
