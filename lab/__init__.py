# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The lab: real hosts on one machine, and a small internet around them. See README.md."""
