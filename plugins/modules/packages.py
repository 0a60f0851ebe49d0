#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code is in plugins/action/packages.py and plugins/module_utils/host/packages.py."""

DOCUMENTATION = r"""
module: packages
short_description: Install the packages a mail host lacks, with nothing started
description:
  - A host that is known to have them all (M(postseal.mail.facts)) is not asked again.
  - Installs the others with one call of apt-get, without recommended packages. Nothing is upgraded for its own sake.
  - No service starts; each does when it has a checked configuration. Postfix gets none of Debian's.
  - An installation that was cut off is brought to its end first.
author: The Postseal maintainers
options:
  names:
    description: Debian packages the host shall have.
    type: list
    elements: str
    required: true
  lists_age:
    description: Age of the package lists, in seconds, from which they are fetched again before an installation.
    type: int
    default: 3600
attributes:
  check_mode: {support: full, description: "Says what would be installed, as far as the package lists can tell."}
  diff_mode: {support: full, description: One line for each package and version.}
"""

EXAMPLES = r"""
- name: Install what is missing
  postseal.mail.packages:
    names: [postfix, dovecot-core]
"""

RETURN = r"""
ansible_facts:
  description: The fact C(postseal_host), as M(postseal.mail.facts) returns it, about the host as it is now.
  type: dict
  returned: success
"""
