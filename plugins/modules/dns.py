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
    is an error unless the inventory says C(adopt); only an SPF record is united with ours (unless C(spf.merge) is off).
  - Values of ours that the inventory no longer asks for are told, and removed with C(postseal_dns.prune).
  - What would be wrong by the rules of mail is refused before anything is written.
  - Every run saves the record sets it is about to change, so that O(rollback) can bring them back.
  - Runs on the controller, where the providers' credentials are; mail hosts are not contacted.
  - Needs dnspython on the controller, and the library of each provider that is used.
author: The Postseal maintainers
options:
  keys:
    description:
      - What the hosts' O(ignore:postseal_keys) facts hold, one element per host.
      - Not needed for O(rollback).
    type: list
    elements: dict
    default: []
  wait:
    description:
      - Seconds to wait until every authoritative server answers with the new records.
      - With V(0) each is asked once.
    type: float
    default: 60
  plan:
    description:
      - Apply exactly the plan with this fingerprint, or the one in this file, and let it exceed C(postseal_dns.limits).
      - Where the plan is another one by now, nothing is written and the differences are told, if the plan was saved.
    type: str
    default: ""
  plan_out:
    description:
      - Write the plan to this file on the controller (JSON, readable by its owner only) and apply nothing.
      - It holds nothing secret.
    type: str
    default: ""
  rollback:
    description:
      - Go back to the record sets that the run with this id found, V(last) for the latest one, whatever the inventory
        asks for. The limits hold here too.
      - Only values that are still ours go. What somebody changed since stays and is told.
    type: str
    default: ""
  store:
    description:
      - Folder on the controller for what runs found and for plans.
      - Without it C(.postseal/<environment>/dns) beside the inventory.
    type: str
    default: ""
  keep:
    description:
      - How many runs, and how many plans, to keep in O(store). Older ones are removed; the last run never is.
    type: int
    default: 50
  apart:
    description:
      - A zone that cannot be read, planned or written stops no other one. What failed is returned as RV(problems), and
        the task does not fail by it.
      - For DKIM keys, each of which has a life of its own.
    type: bool
    default: false
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

- name: Take the last run back
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Bring back what was there before
      postseal.mail.dns:
        rollback: last
"""

RETURN = r"""
command:
  description: How the call of the playbook begins, with the inventory of this run.
  type: str
  returned: when plans could be made
dkim:
  description: What every authoritative server answers for the DKIM keys that do not sign yet.
  type: list
  elements: dict
  returned: when plans were applied
  contains:
    domain: {description: The domain., type: str}
    selector: {description: The selector., type: str}
    at: {description: When it was looked at (UTC)., type: str}
    exact: {description: Whether every server answers with exactly this key., type: bool}
    stale: {description: For how many seconds resolvers may hold on to what was there before., type: int}
    detail: {description: What was seen otherwise., type: str}
problems:
  description: What failed.
  type: list
  elements: str
  returned: with O(apart)
plan:
  description: Fingerprint (SHA-256) of what the run does or would do, in all zones.
  type: str
  returned: when plans could be made
plan_file:
  description: Where the plan was written.
  type: str
  returned: with O(plan_out)
rollback:
  description: Id by which this run can be taken back, empty if it wrote nothing.
  type: str
  returned: when plans were applied
unannounced:
  description:
    - Domains whose MTA-STS policy was not announced, or not as the inventory has it, because not every mail host serves
      it yet; the notes say why. Empty in check mode.
  type: list
  elements: str
  returned: when plans could be made
notes:
  description: What was left out or taken over and why, such as TLSA records in an unsigned zone.
  type: list
  elements: str
  returned: when plans could be made
findings:
  description: What rules say about the records as they will be, each with the id of its rule.
  type: list
  elements: str
  returned: when plans could be made
zones:
  description: One report per zone.
  type: list
  elements: dict
  returned: when plans could be made and were not refused
  contains:
    zone: {description: Name of the zone., type: str}
    provider: {description: Name of the provider in C(postseal_dns.providers)., type: str}
    state:
      description:
        - V(unchanged), V(planned), V(changed) or V(failed).
        - V(held) where something was not written because it leads to records of another zone, which failed.
        - V(unknown) where a write got no answer and the zone cannot be read.
      type: str
    signed: {description: Whether the zone is signed with DNSSEC., type: bool}
    changes: {description: Record sets that change., type: int}
    calls: {description: Requests to the provider that writing takes., type: int}
    atomic: {description: Whether all of it happens or nothing., type: bool}
    written: {description: Whether anything was written or may have been., type: bool}
    serial: {description: Serial number of the zone., type: int}
    owned: {description: How many values in the zone are ours., type: int}
    servers: {description: What each authoritative server answered., type: list, elements: str}
    error: {description: What failed and what to do about it., type: str}
    done:
      description: Changes of values that a failed run made all the same (C(+ name type value), C(-), C(~) for a TTL).
      type: list
      elements: str
    open: {description: Changes of values that a failed run did not make., type: list, elements: str}
    seconds: {description: How long writing and waiting took., type: float}
"""
