# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Write a page of settings for each application. Documentation: plugins/modules/cards.py."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils.model.cards import card
from ..plugin_utils.card_pages import pages
from ..plugin_utils.inventory import load_model

SPEC = {"directory": {"type": "path", "required": True}, "name": {"type": "str"}}


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no type information
    """Render from the model; write what differs."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the pages of one credential or of all that are not shut out."""
        super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec(SPEC)
        model = load_model(task_vars or {}, self._templar)
        wanted = [credential for credential in model.credentials if credential.active]
        if arguments["name"]:
            wanted = [one for one in wanted if arguments["name"].lower() in (one.name, one.login)]
            if not wanted:
                raise AnsibleActionFail(f"{arguments['name']} is not a credential, or it is shut out")
        directory = Path(arguments["directory"]).absolute()
        written = {name: text for one in wanted for name, text in pages(card(model, one)).items()}
        changes = [change for name, text in written.items() if (change := self._write(directory / name, text))]
        result = {"changed": bool(changes), "directory": str(directory), "files": sorted(written)}
        if self._task.diff:
            result["diff"] = [{"prepared": change} for change in changes]
        return result

    def _write(self, path: Path, text: str) -> str:
        """Return how the file changes; empty if it does not."""
        try:
            old = path.read_text("utf-8") if path.exists() else ""
            if old == text:
                return ""
            if not self._task.check_mode:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, "utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise AnsibleActionFail(f"{path} cannot be written: {error}") from None
        lines = difflib.unified_diff(old.splitlines(), text.splitlines(), str(path), str(path), lineterm="")
        return "".join(f"{line}\n" for line in lines)
