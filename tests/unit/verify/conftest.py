# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""A certificate for servers that the tests make up."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from .listening import self_signed


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return self_signed(tmp_path_factory.mktemp("tls") / "both.pem", "smtp.example.com", key)
