#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code is in plugins/action/facts.py and plugins/module_utils/host/facts.py."""

DOCUMENTATION = r"""
module: facts
short_description: Learn what a mail host is, in one round trip
description:
  - Returns the release, the Python version and which of the named packages are installed.
  - Fails on a host that is not supported, or without root, before anything is changed.
author: The Postseal maintainers
options:
  packages:
    description: Debian packages to ask about.
    type: list
    elements: str
    default: []
attributes:
  check_mode: {support: full, description: It never changes anything.}
"""

EXAMPLES = r"""
- name: Ask which packages are there
  postseal.mail.facts:
    packages: [postfix, dovecot-core]
  register: host
"""

RETURN = r"""
ansible_facts:
  description: The fact C(postseal_host), a dict of the values below.
  type: dict
  returned: success
release:
  description: Release number of the operating system.
  type: str
  returned: success
  sample: "12"
python:
  description: Version of the Python that ran the question.
  type: str
  returned: success
packages:
  description: Version of each package that is fully installed.
  type: dict
  returned: success
ssh:
  description: C(client), the controller's address as the host sees it, and C(port), where it came in; empty if unknown.
  type: dict
  returned: success
"""
