# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The program that collects a host's facts is whole."""

from __future__ import annotations

import ast

from ansible_collections.postseal.mail.plugins.plugin_utils.program import HOST_PACKAGE
from ansible_collections.postseal.mail.tests.verify.proof.hosts import SURVEY


def test_the_survey_brings_every_module_that_it_imports() -> None:
    needed = set()
    for name in SURVEY:
        tree = ast.parse((HOST_PACKAGE / f"{name}.py").read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                needed |= {node.module} if node.module else {alias.name for alias in node.names}
    assert needed <= set(SURVEY)
    assert needed
