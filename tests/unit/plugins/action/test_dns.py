# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What ansible-doc says of the module is what the action takes and returns."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import yaml
from ansible_collections.postseal.mail.plugins.action.dns import SPEC
from ansible_collections.postseal.mail.plugins.module_utils.dns.execute import ZoneReport
from ansible_collections.postseal.mail.plugins.modules import dns

DOCUMENTATION: dict[str, Any] = yaml.safe_load(dns.DOCUMENTATION)
RETURN: dict[str, Any] = yaml.safe_load(dns.RETURN)
EXAMPLES: list[dict[str, Any]] = yaml.safe_load(dns.EXAMPLES)


def test_every_option_is_documented_with_its_type_and_default() -> None:
    documented = {
        name: {key: said[key] for key in ("type", "elements", "default") if key in said}
        for name, said in DOCUMENTATION["options"].items()
    }
    assert documented == SPEC


@pytest.mark.parametrize("name", SPEC)
def test_every_option_says_what_it_does(name: str) -> None:
    assert DOCUMENTATION["options"][name]["description"]


def test_every_part_of_a_zones_report_is_documented() -> None:
    assert set(RETURN["zones"]["contains"]) == {field.name for field in fields(ZoneReport)}


def test_examples_use_options_that_exist() -> None:
    for play in EXAMPLES:
        for task in play["tasks"]:
            assert set(task["postseal.mail.dns"]) <= set(SPEC)
