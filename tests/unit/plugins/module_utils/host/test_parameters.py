# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from __future__ import annotations

import pytest
from ansible_collections.postseal.mail.plugins.module_utils.host.parameters import read_settings, wrong_values

DEFAULTS = read_settings(
    "maximal_queue_lifetime = 5d\nmessage_size_limit = 10240000\ncompatibility_level = 0\n"
    "smtpd_timeout = ${stress?{10}:{300}}s\nsmtpd_banner = $myhostname ESMTP\n"
)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("maximal_queue_lifetime = soon", "must be a time, like 5d"),
        ("maximal_queue_lifetime =", "must be a time, like 5d"),
        ("message_size_limit = 25M", "must be a whole number, like 10240000"),
        ("submission/inet/message_size_limit = tenmeg", "must be a whole number"),
    ],
)
def test_what_the_daemon_would_die_of_is_named(setting: str, fault: str) -> None:
    (found,) = wrong_values(read_settings(setting), DEFAULTS)
    assert found.startswith(setting)
    assert fault in found


@pytest.mark.parametrize(
    "setting",
    [
        "maximal_queue_lifetime = 6h", "maximal_queue_lifetime = 0", "message_size_limit = 0",
        "compatibility_level = 3.6", "smtpd_timeout = 30s", "message_size_limit = $other", "smtpd_banner = x",
        "mua_restrictions = reject",
    ],
)  # fmt: skip
def test_what_postfix_takes_passes(setting: str) -> None:
    assert wrong_values(read_settings(setting), DEFAULTS) == []
