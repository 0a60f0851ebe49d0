# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A drained host refuses submissions, and nothing else."""

from __future__ import annotations

from ansible_collections.postseal.mail.plugins.module_utils.host.drain import rules


def test_a_drained_host_refuses_at_its_ports_alone() -> None:
    text = rules([587, 465], finish=False)
    assert "tcp dport { 465, 587 } reject with tcp reset" in text
    assert "established" not in text
    assert text.index('iifname "lo" accept') < text.index("reject")
    first = rules([465], finish=True)
    assert first.index("established,related accept") < first.index("reject")
