# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""From a provider's settings in the model to the provider. Its library is imported here, and only if it is used."""

from __future__ import annotations

from collections.abc import Sequence

from ...model import providers as model
from ..errors import MissingLibrary
from .base import Provider

# What to install for the module that is missing: postseal itself needs the first two, the others are for who uses them.
_PACKAGES = {
    "dns": "dnspython (2.6 or later)",
    "cloudflare": "cloudflare (4.3 or later, before 6)",
    "boto3": "boto3",
    "botocore": "boto3",
    "octodns": "octodns (1.22 or later)",
}


def build(settings: model.Provider, resolvers: Sequence[str] = ()) -> Provider:
    """Return the provider that ``settings`` describe.

    :param resolvers: addresses of resolvers that know the zones' name servers; empty: those of this machine

    Raises :class:`~..errors.MissingLibrary` where the controller lacks the provider's library.
    """
    try:
        return _built(settings, resolvers)
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        package = _PACKAGES.get(missing, missing)
        hint = f"Install {package} for the Python that runs Ansible on the controller"
        message = f"the Python library {package.partition(' ')[0]} is missing ({error.name})"
        raise MissingLibrary(settings.name, "", message, hint) from error


def _built(settings: model.Provider, resolvers: Sequence[str]) -> Provider:
    if isinstance(settings, model.Cloudflare):
        from .cloudflare import CloudflareProvider  # noqa: PLC0415

        return CloudflareProvider(settings, resolvers)
    if isinstance(settings, model.OctoDns):
        from .octodns import OctoDnsProvider  # noqa: PLC0415

        return OctoDnsProvider(settings, resolvers)
    if isinstance(settings, model.PowerDns):
        from .powerdns import PowerDnsProvider  # noqa: PLC0415

        return PowerDnsProvider(settings, resolvers)
    if isinstance(settings, model.Rfc2136):
        from .rfc2136 import Rfc2136Provider  # noqa: PLC0415

        return Rfc2136Provider(settings, resolvers)
    if isinstance(settings, model.Route53):
        from .route53 import Route53Provider  # noqa: PLC0415

        return Route53Provider(settings, resolvers)
    from .zonefile import ZoneFileProvider  # noqa: PLC0415

    return ZoneFileProvider(settings, resolvers)
