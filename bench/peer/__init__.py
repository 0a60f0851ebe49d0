# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The peer: a pyinfra deploy that keeps what site.yml left on a host. It runs in an environment of its own."""
