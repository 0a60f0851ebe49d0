# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Property tests judge what is computed, not how soon: other stages run on the same cores."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
