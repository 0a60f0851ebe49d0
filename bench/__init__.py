# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Benchmarks: one module each, run by script/bench. They inform; only tests judge."""
