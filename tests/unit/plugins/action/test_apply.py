# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What the controller does to a service's files before they go to the host."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.postseal.mail.plugins.action.apply import ActionModule, described
from ansible_collections.postseal.mail.plugins.module_utils.model.types import Credential, Secret


class Action(ActionModule):
    """The action without a task: templates are found in one directory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loader = DataLoader()
        self._loader.set_basedir(str(folder))
        self._templar = Templar(loader=self._loader, variables={})

    def _find_needle(self, dirname: str, needle: str) -> str:
        return str(self.folder / dirname / needle)


@pytest.fixture
def action(tmp_path: Path) -> Action:
    (tmp_path / "templates").mkdir()
    return Action(tmp_path)


def _rendered(action: Action, template: str, variables: dict[str, Any] | None = None, **known: Any) -> str:
    (action.folder / "templates" / "x.j2").write_text(template)
    entry = {"src": "x.j2", "dest": "/etc/x", "state": "present"}
    content: str = action._file(entry, variables or {}, known)["content"]
    return content


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain\n"),
        ("plain\n", "plain\n"),
        ("", ""),
        ("{{ 42 }}", "42\n"),
        ("{{ [1, 2] }}", "[1, 2]\n"),
        ("{{ none }}", ""),
        ("{% if true %}\nx\n{% endif %}\n", "x\n"),
        ("{{ template_destpath }}", "/etc/x\n"),
        (r"a \n b \\", r"a \n b \\" + "\n"),
    ],
)
def test_a_template_becomes_text_that_ends_with_a_line_feed(action: Action, template: str, text: str) -> None:
    assert _rendered(action, template) == text


def test_values_are_never_templates_themselves(action: Action) -> None:
    assert _rendered(action, "{{ fact }}", {"fact": "{{ 1 + 1 }}"}) == "{{ 1 + 1 }}\n"


def test_templates_read_the_model_and_only_reveal_shows_a_secret(action: Action) -> None:
    shop = Credential("shop", "shop.test", Secret("{SHA512-CRYPT}$6$x"), ("shop@shop.test",))
    template = "{% for one in model %}{{ one.login }}:{{ one.secret_hash }}:{{ one.secret_hash.reveal() }}{% endfor %}"
    assert _rendered(action, template, model=(shop,)) == "shop@shop.test:********:{SHA512-CRYPT}$6$x\n"


def test_an_included_template_is_found_beside_it(action: Action) -> None:
    (action.folder / "templates" / "part.j2").write_text("part of {{ template_destpath }}")
    assert _rendered(action, "{% include 'part.j2' %}") == "part of /etc/x\n"


@pytest.mark.parametrize("template", ["{{ no_such_variable }}", "{% if %}"])
def test_a_template_that_cannot_be_rendered_is_named_with_its_destination(action: Action, template: str) -> None:
    with pytest.raises(AnsibleActionFail, match=r"x\.j2 cannot be rendered for /etc/x"):
        _rendered(action, template)


def test_a_failed_change_is_described_in_words() -> None:
    entries = [
        {"before_header": "/etc/x", "after_header": "/etc/x", "before": "a\n", "after": "b\n"},
        {"prepared": "/etc/y: secret file differs\n"},
    ]
    assert described(entries).splitlines() == [
        "", "--- /etc/x (live)", "+++ /etc/x (refused)", "@@ -1 +1 @@", "-a", "+b", "/etc/y: secret file differs",
    ]  # fmt: skip
    assert described([]) == ""


class Lost(Action):
    """An action whose host lets nobody in any more."""

    def _come_back(self, request: Mapping[str, Any], variables: dict[str, Any]) -> None:
        raise AnsibleConnectionFailure("Connection timed out")


def test_a_lost_connection_does_not_hide_why_a_change_failed(tmp_path: Path) -> None:
    diff = [{"prepared": "+ postseal-firewall: start"}]
    failed = AnsibleActionFail("postseal-firewall: the change failed (smoke)", result={"phase": "smoke", "diff": diff})
    told = Lost(tmp_path)._explained(failed, {"service": "postseal-firewall"}, {})
    assert told.result["phase"] == "smoke"
    parts = ("the change failed (smoke)", "+ postseal-firewall: start", "No new connection", "Connection timed out")
    assert [part for part in parts if part not in told.message] == []
