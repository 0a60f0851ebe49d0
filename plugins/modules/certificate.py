#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code: plugins/action/certificate.py, plugins/module_utils/host/certificate.py."""

DOCUMENTATION = r"""
module: certificate
short_description: Keep a mail host's ACME certificate for a key that exists already
description:
  - Asks the authority of C(postseal_tls) for a certificate that names the host and, if there is one, the shared
    submission name, when there is none, when the names or the authority changed, or when renewal has failed.
  - The key is the one the keys step made; no renewal changes it, because TLSA records depend on it.
  - Leaves a timer on the host that renews, and a hook that reloads Postfix.
  - A certificate that served before keeps serving when the authority refuses or cannot be reached.
author: The Postseal maintainers
options:
  state:
    description:
      - V(answering) makes the host answer the authority on port 80, for itself and, by redirection, for the mail hosts
        that share its names. Every host must do so before the first asks for a certificate.
      - V(present) makes the host hold the certificate.
      - V(policies) makes the host hold a certificate for each name that MTA-STS policies of C(postseal_domains) are
        fetched from, each apart from all others. One that cannot be had is a warning, for mail does not depend on it.
    type: str
    choices: [answering, present, policies]
    default: present
attributes:
  check_mode: {support: full, description: "Says whether it would ask for a certificate, and why."}
"""

EXAMPLES = r"""
- name: Answer the ACME authority
  postseal.mail.certificate:
    state: answering

- name: Keep the certificate
  postseal.mail.certificate:
    state: present

- name: Keep those of policy hosts
  postseal.mail.certificate:
    state: policies
"""

RETURN = r"""
ansible_facts:
  description: C(postseal_policy_names), the names that the host has a certificate for.
  type: dict
  returned: state is policies and the inventory asks for a policy
issued:
  description: Whether a certificate was asked for and received.
  type: bool
  returned: state is present and the host was asked
reason:
  description: Why a certificate was, or in check mode would be, asked for.
  type: str
  returned: state is present and the host was asked
expires:
  description: End of validity, in seconds since the epoch.
  type: int
  returned: state is present and the host was asked, outside check mode
spki_sha256:
  description: Hex SHA-256 of the public key the certificate is for (TLSA 3 1 1).
  type: str
  returned: state is present and the host was asked, outside check mode
"""
