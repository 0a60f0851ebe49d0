#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; its code is in plugins/action/policies.py and plugins/module_utils/host/exchanges.py."""

DOCUMENTATION = r"""
module: policies
short_description: Say in which mode each MTA-STS policy is served
description:
  - The mode that C(postseal_domains[].mta_sts.mode) asks for, but V(enforce) only where the same policy was announced
    in testing before, and every server that the MX records lead to is seen to offer STARTTLS with a certificate that
    is valid for its name. Until then the policy is served in testing, and a warning says what is missing.
  - What is in effect is not asked about again. What is new is looked at from one mail host, in one round trip.
  - Warns of policies that are not served any more without having been switched off first.
author: The Postseal maintainers
options: {}
attributes:
  check_mode: {support: full, description: It never changes anything.}
"""

EXAMPLES = r"""
- name: Say in which mode each policy is served
  postseal.mail.policies:
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: C(postseal_policy_modes), by domain.
  type: dict
  returned: success
"""
