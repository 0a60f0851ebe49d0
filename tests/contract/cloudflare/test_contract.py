# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Cloudflare does what every provider must do."""

from __future__ import annotations

import pytest

from ..suite import ProviderContract
from .backend import Cloudflare


class TestCloudflare(ProviderContract):
    """Records are seen by the world through a real Knot that answers with what the fake holds."""

    serials = False  # the API tells none

    @pytest.fixture
    def backend(self, cloudflare: Cloudflare) -> Cloudflare:
        return cloudflare
