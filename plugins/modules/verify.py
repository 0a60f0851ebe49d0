#!/usr/bin/python
# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Documentation of an action; the code is in plugins/action/verify.py and tests/verify."""

DOCUMENTATION = r"""
module: verify
short_description: Prove that the submission service works
description:
  - Runs C(pytest tests/verify) with the inventory of the play. It looks at the mail hosts, the DNS and the submission
    ports from outside, sends a message with C(postseal_probe) and reads the receiver's verdict.
  - Nothing is changed. Progress and findings are shown while it runs; reports are written as HTML, JSON and JUnit XML.
  - Fails if a check fails, and also if a check could not be carried out.
author: The Postseal maintainers
options:
  report_directory:
    description:
      - Where C(verify.html), C(verify.json), C(verify.xml) and C(changes.txt) are written, on the controller.
      - The report found there is what the new one is compared with; it is kept as C(verify.previous.json).
    type: path
    required: true
  delivery_timeout:
    description: Seconds to wait for the probe message.
    type: int
    default: 30
  fail_on_warnings:
    description: Whether warnings make the task fail.
    type: bool
    default: false
  only_changes:
    description: Show only what is different from the report before.
    type: bool
    default: false
attributes:
  check_mode: {support: partial, description: Is not run; says so.}
  diff_mode: {support: none}
"""

EXAMPLES = r"""
- name: Prove that everything works
  postseal.mail.verify:
    report_directory: "{{ playbook_dir }}/../report"
"""

RETURN = r"""
summary:
  description:
    - Number of checks by status, C(passed), C(failed), C(warning), C(info), C(not tested), C(not applicable).
  type: dict
  returned: when the proof ran
report:
  description: Paths of the reports.
  type: list
  elements: str
  returned: when the proof ran
exit_code:
  description: 0 all passed, 1 something failed, 2 something could not be tested, 3 warnings with O(fail_on_warnings).
  type: int
  returned: when the proof ran
changes:
  description: What is different from the report before; null if there was none.
  type: dict
  returned: when the proof ran
seconds:
  description: How long the proof took.
  type: float
  returned: when the proof ran
"""
