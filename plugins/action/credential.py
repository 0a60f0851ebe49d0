# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Issue, rotate, suspend or revoke a credential in the inventory. Documentation: plugins/modules/credential.py."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.model import rotation, values
from ..module_utils.model.applications import MAX_OVERLAP_DAYS
from ..module_utils.model.load import GROUP, Inventory, load
from ..module_utils.model.passwords import new_token, ssha512
from ..module_utils.model.problems import Invalid, InventoryError
from ..module_utils.model.rotation import RotationError, Steps
from ..module_utils.model.secret import Secret
from ..plugin_utils.credential_text import VARIABLE, Change, EditError, append, change, entries
from ..plugin_utils.inventory import describe, read_inventory
from ..plugin_utils.variables_file import FileError, candidates, defining, rewrite, write_new

STATES = (*rotation.WITH_PASSWORD, "revoke", "revoke_previous", "suspend", "resume")
SPEC = {
    "name": {"type": "str", "required": True},
    "domain": {"type": "str"},
    "state": {"type": "str", "choices": list(STATES), "default": rotation.ISSUE},
    "overlap": {"type": "str", "default": "7d"},
    "file": {"type": "path"},
    "token_file": {"type": "path", "no_log": False},
}
DAY = 86400
# What a check run shows in the place of a hash.
NOT_YET = "{SSHA512}made when it is issued"


@dataclass(frozen=True)
class Order:
    """What was asked for: ``name`` and ``domain`` canonical, ``overlap`` in days."""

    name: str
    domain: str | None
    state: str
    overlap: int

    @property
    def asks(self) -> str:
        """What finds the credential: its login where the domain was said, else its name."""
        return f"{self.name}@{self.domain}" if self.domain else self.name

    @property
    def with_password(self) -> bool:
        """Whether a new password comes of it."""
        return self.state in rotation.WITH_PASSWORD


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Change the credential's entry, and show its new password once."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Edit the variables file that defines the credentials."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        try:
            return self._run(arguments, task_vars or {})
        except (FileError, EditError, RotationError) as error:
            raise AnsibleActionFail(f"credential {arguments['name']}: {error}") from None

    def _run(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        order = _order(arguments)
        path = Path(arguments["file"]) if arguments["file"] else _file(variables)
        inventory = self._inventory(order, variables)
        token_file = Path(arguments["token_file"]).absolute() if arguments["token_file"] else None
        dry = bool(self._task.check_mode)
        token = new_token() if order.with_password and not dry else None
        edit = Edit(order, inventory, ssha512(token).reveal() if token else NOT_YET)
        if token and token_file:
            # Tried out before anything is written: a password that cannot be handed over is of no use.
            rewrite(path, edit, dry=True)
            write_new(token_file, token.reveal() + "\n")
        try:
            before, after = rewrite(path, edit, dry=dry)
        except BaseException:
            if token and token_file:
                token_file.unlink(missing_ok=True)
            raise
        if token and not token_file:
            show(edit.login, token)
        result: dict[str, Any] = {"changed": before != after, "file": str(path), "login": edit.login, "msg": edit.said}
        if self._task.diff:
            result["diff"] = {"prepared": _difference(path, before, after)}
        if token_file:
            result["token_file"] = str(token_file)
        return result

    def _inventory(self, order: Order, variables: dict[str, Any]) -> Inventory | None:
        """Return what the inventory says, evaluated; shutting somebody out works without it."""
        try:
            return read_inventory(variables, self._templar)
        except InventoryError as error:
            if order.with_password:
                raise AnsibleActionFail(describe(error.problems, variables)) from None
            return None


class Edit:
    """What is done to the text of the file. After a call ``login`` and ``said`` tell what came of it."""

    def __init__(self, order: Order, inventory: Inventory | None, hashed: str) -> None:
        self._order, self._inventory, self._hash = order, inventory, hashed
        self._today = datetime.now(tz=UTC).date()
        self.login, self.said = order.asks, ""

    def __call__(self, text: str) -> str:
        """Return the text after the change; raises what :meth:`ActionModule.run` turns into a failure."""
        listed = entries(text)
        if listed is None:
            raise FileError(f"the file does not define {VARIABLE}; write {VARIABLE}: [] into it first")
        place = rotation.find(listed, self._order.asks)
        raw = self._evaluated()
        if raw is not None and (
            len(raw) != len(listed) or (place is None) != (rotation.find(raw, self._order.asks) is None)
        ):
            raise EditError(f"what the file says of {VARIABLE} is not what Ansible makes of it; change it by hand")
        entry = None if place is None else listed[place]
        todo = rotation.steps(_STATE[self._order.state], entry, self._today, self._order.overlap)
        if place is None:
            new = {"name": self._order.name, "domain": self._domain(), "secret_hash": self._hash}
            self.login = rotation.login(new)
            self._tell(todo)
            self._check([*(raw or []), new])
            return append(text, new)
        self.login = rotation.login(listed[place])
        self._tell(todo)
        if todo.nothing:
            return text
        wanted = Change(
            {key: self._hash if key == "secret_hash" else value for key, value in todo.put.items()},
            todo.remove,
            dict(todo.rename),
        )
        if raw is not None:
            self._check([*raw[:place], wanted.applied(dict(raw[place])), *raw[place + 1 :]])
        return change(text, place, wanted)

    def _tell(self, todo: Steps) -> None:
        self.said = f"{self.login}: {todo.note or 'it is so already'}"

    def _evaluated(self) -> list[Mapping[str, Any]] | None:
        """Return the list as Ansible evaluates it; ``None`` if it cannot."""
        if self._inventory is None:
            return None
        raw = self._inventory.variables.get(VARIABLE)
        if raw is None:
            return []
        whole = isinstance(raw, list) and all(isinstance(entry, Mapping) for entry in raw)
        return raw if whole else None

    def _check(self, listed: list[Mapping[str, Any]]) -> None:
        """Refuse a new password that the inventory as a whole would not let the mail hosts have."""
        if self._inventory is None or not self._order.with_password:
            return
        hashed = ssha512(Secret("check")).reveal() if self._hash == NOT_YET else self._hash
        checked = [
            {**entry, "secret_hash": hashed} if entry.get("secret_hash") == self._hash else entry for entry in listed
        ]
        try:
            load(replace(self._inventory, variables={**self._inventory.variables, VARIABLE: checked}), self._today)
        except InventoryError as error:
            raise AnsibleActionFail(f"nothing was changed, since {describe(error.problems)}") from None

    def _domain(self) -> str:
        """Return the domain of a new credential: as said, or the only one that sends."""
        if self._order.domain:
            return self._order.domain
        said = self._inventory.variables.get("postseal_domains") if self._inventory else None
        listed = said if isinstance(said, list) else []
        names = [str(one.get("name")) for one in listed if isinstance(one, Mapping) and not one.get("parked")]
        if len(names) != 1:
            raise RotationError(
                f"it is new; say which domain it sends for: -e domain={names[0] if names else 'DOMAIN'}"
            )
        return names[0].lower()


_STATE = dict(zip(STATES, ("issue", "rotate", "revoke", "revoke previous", "suspend", "resume"), strict=True))


def show(login: str, token: Secret) -> None:
    """Print a password on the terminal alone: not into results, and so into no log, callback or fact."""
    text = f"\nPassword of {login}, shown only now:\n\n    {token.reveal()}\n"
    Display().display(text, screen_only=True)


def _order(arguments: Mapping[str, Any]) -> Order:
    name, _, domain = str(arguments["name"]).partition("@")
    written = domain or arguments["domain"]
    try:
        return Order(
            values.label(name),
            values.domain_name(written) if written else None,
            arguments["state"],
            _days(arguments["overlap"]),
        )
    except Invalid as problem:
        raise AnsibleActionFail(f"credential {arguments['name']}: {problem}") from None


def _days(written: str) -> int:
    days, rest = divmod(0 if written in ("0", "0d") else values.duration(written), DAY)
    if rest or days > MAX_OVERLAP_DAYS:
        raise Invalid(f"overlap must be whole days, at most {MAX_OVERLAP_DAYS}d, like 7d")
    return days


def _file(variables: Mapping[str, Any]) -> Path:
    """Return the file of the inventory that defines the credentials."""
    hosts = list(variables.get("groups", {}).get(GROUP, ()))
    seen = variables["hostvars"][hosts[0]] if hosts else variables
    directory = seen.get("inventory_dir") or variables.get("inventory_dir")
    if not directory:
        raise FileError("the inventory is no folder; name the file that defines the credentials with -e file=PATH")
    groups = ["all", *seen.get("group_names", ())]
    return defining(VARIABLE, candidates(Path(directory), groups, hosts[:1]))


def _difference(path: Path, before: str, after: str) -> str:
    """Return the changed lines without the ones around them, which may hold what is not to be shown."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="", n=0)
    return "".join(f"{line}\n" for line in lines)
