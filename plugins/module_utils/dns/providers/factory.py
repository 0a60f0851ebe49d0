# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From a provider's settings in the model to the provider. Its library is imported here, and only if it is used."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.types import Rfc2136
from ..errors import MissingLibrary
from .base import Provider


def build(settings: Rfc2136, resolvers: Sequence[str] = ()) -> Provider:
    """Return the provider that ``settings`` describe.

    :param resolvers: addresses of resolvers that know the zones' name servers; empty: those of this machine

    Raises :class:`~..errors.MissingLibrary` where the controller lacks the provider's library.
    """
    try:
        from .rfc2136 import Rfc2136Provider  # noqa: PLC0415
    except ImportError as error:
        hint = "Install dnspython (2.6 or later) for the Python that runs Ansible on the controller"
        raise MissingLibrary(
            settings.name, "", f"the Python library dnspython is missing ({error.name})", hint
        ) from error
    return Rfc2136Provider(settings, resolvers)
