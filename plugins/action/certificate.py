# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Keep a mail host's ACME certificate. Documentation: plugins/modules/certificate.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail

from ..module_utils.mailauth.mtasts import policy_host
from ..module_utils.model.types import MailHost, Model
from ..plugin_utils.inventory import load_model
from ..plugin_utils.remote import RemoteAction

RESPONDER = Path(__file__).resolve().parent.parent / "module_utils" / "host" / "http01.py"


class ActionModule(RemoteAction):
    """Bring this host's certificate to what the model says, in at most one round trip for each of the two states."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the host function returned; raises :class:`AnsibleActionFail` with cause and remedy."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {"state": {"choices": ["answering", "present", "policies"], "default": "present"}}
        )
        variables = task_vars or {}
        self.check_role(variables)
        model = load_model(variables, self._templar)
        if options["state"] == "policies":
            return self._policies(model, variables)
        host = model.host(str(variables["inventory_hostname"]).lower())
        arguments = {"answering": answering, "present": present}[options["state"]](model, host)
        function = {"answering": "responder.ensure", "present": "certificate.ensure"}[options["state"]]
        thing = {"answering": "http01", "present": "certificate"}[options["state"]]
        return self.settle(thing, function, arguments, variables, check=bool(self._task.check_mode))

    def _policies(self, model: Model, variables: dict[str, Any]) -> dict[str, Any]:
        """Have certificates for the names that policies are fetched from; a host that serves none is left alone."""
        names = [policy_host(domain.name) for domain in model.policy_domains]
        if not names and not self.learn(variables)["policies"]:
            return {"changed": False, "skipped": True, "skip_reason": "The inventory asks for no policy."}
        arguments = {**authority(model), "names": names}
        check = bool(self._task.check_mode)
        result = self.settle("policies", "policy_names.ensure", arguments, variables, check=check)
        problems = result.pop("problems", {})
        told = [
            f"{name} has no certificate yet, so it does not serve the policy: {why}" for name, why in problems.items()
        ]
        facts = {**result.get("ansible_facts", {}), "postseal_policy_names": result.pop("held", names)}
        return {**result, "ansible_facts": facts, **({"warnings": told} if told else {})}


def answering(model: Model, host: MailHost) -> dict[str, Any]:
    """Return what ``responder.ensure`` needs: the program, and the host that follows in the ring of mail hosts."""
    ring = [other.name for other in model.hosts]
    following = ring[(ring.index(host.name) + 1) % len(ring)]
    shared = len(ring) > 1 and (model.submission.hostname is not None or bool(model.policy_domains))
    return {
        "program": RESPONDER.read_text("utf-8"),
        "following": following if shared else None,
        "hops": len(ring) - 1 if shared else 0,
    }


def present(model: Model, host: MailHost) -> dict[str, Any]:
    """Return what ``certificate.ensure`` needs."""
    return {
        "name": host.name,
        "names": list(model.service_names(host)),
        "key": f"/etc/postseal/tls/{host.name}.key",
        **authority(model),
    }


def authority(model: Model) -> dict[str, Any]:
    """Return whom the host asks for certificates, and how it trusts him."""
    return {"directory": model.tls.directory, "contact": model.tls.contact, "ca": read_ca(model.tls.ca)}


def read_ca(path: str | None) -> str | None:
    """Return the PEM text at ``path`` on the controller; raises :class:`AnsibleActionFail` if there is none."""
    if path is None:
        return None
    try:
        text = Path(path).expanduser().read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise AnsibleActionFail(f"postseal_tls.ca: {path} cannot be read on the controller: {error}") from error
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise AnsibleActionFail(f"postseal_tls.ca: {path} holds no certificate in PEM form")
    if "PRIVATE KEY-----" in text:
        raise AnsibleActionFail(f"postseal_tls.ca: {path} holds a private key; name a file with certificates only")
    return text
