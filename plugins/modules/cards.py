#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/cards.py."""

DOCUMENTATION = r"""
module: cards
short_description: Write a page of settings for each application
description:
  - For each credential that is not shut out, writes a page in Markdown and one in HTML with server, port, encryption,
    login, limits, and ready settings for common clients. No secret is in them.
  - Runs on the controller and opens no connection.
author: The Postseal maintainers
attributes:
  check_mode: {support: full, description: Nothing is written.}
options:
  directory:
    description: Where the pages go; made if it is missing.
    type: path
    required: true
  name:
    description: Name or login of one credential; by default all.
    type: str
"""

EXAMPLES = r"""
- name: Write the pages of all applications
  postseal.mail.cards:
    directory: cards
"""

RETURN = r"""
directory:
  description: Where the pages are.
  type: str
  returned: success
files:
  description: Names of the pages.
  type: list
  elements: str
  returned: success
"""
