#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action that runs on the controller; the code is in plugins/action/dns.py."""

DOCUMENTATION = r"""
module: dns
short_description: Publish every DNS record of the environment
description:
  - Computes all records from the C(postseal_*) variables and the public keys of the mail hosts, compares them with what
    the DNS providers hold, writes the difference, reads it back, and waits until every authoritative server answers
    with it.
  - Values that others put beside ours in one record set stay as they are. A value that is not ours where ours belongs
    is an error; only an SPF record is united with ours (unless C(spf.merge) is off).
  - Runs on the controller, where the providers' credentials are; mail hosts are not contacted.
  - Needs dnspython on the controller.
author: The Postseal maintainers
options:
  keys:
    description: What the hosts' O(ignore:postseal_keys) facts hold, one element per host.
    type: list
    elements: dict
    required: true
  wait:
    description:
      - Seconds to wait until every authoritative server answers with the new records.
      - With V(0) each is asked once.
    type: float
    default: 60
  plan:
    description:
      - Apply only the plan with this fingerprint, as an earlier run in check mode returned it, and let it exceed
        C(postseal_dns.limits).
    type: str
attributes:
  check_mode: {support: full, description: Does everything up to the writing.}
  diff_mode: {support: full, description: Shows the record sets before and after as zone-file text.}
  idempotent: {support: full, description: A second run changes nothing.}
"""

EXAMPLES = r"""
- name: Publish the records
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Publish every record and wait for all name servers
      postseal.mail.dns:
        keys: "{{ groups['postseal_submission'] | map('extract', hostvars)
          | selectattr('postseal_keys', 'defined') | map(attribute='postseal_keys') }}"
        wait: 120
"""

RETURN = r"""
plan:
  description: Fingerprint (SHA-256) of what the run does or would do, in all zones.
  type: str
  returned: success
notes:
  description: What was left out and why, such as TLSA records in an unsigned zone.
  type: list
  elements: str
  returned: success
zones:
  description: One report per zone.
  type: list
  elements: dict
  returned: when plans could be made
  contains:
    zone: {description: Name of the zone., type: str}
    provider: {description: Name of the provider in C(postseal_dns.providers)., type: str}
    state: {description: V(unchanged), V(planned), V(changed) or V(failed)., type: str}
    signed: {description: Whether the zone is signed with DNSSEC., type: bool}
    changes: {description: Record sets that change, type: int}
    calls: {description: Messages to the provider that the change takes., type: int}
    written: {description: Whether anything was written., type: bool}
    serial: {description: Serial number of the zone., type: int}
    servers: {description: What each authoritative server answered., type: list, elements: str}
    error: {description: What failed and what to do about it., type: str}
    seconds: {description: How long writing and waiting took., type: float}
"""
