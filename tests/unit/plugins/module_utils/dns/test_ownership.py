# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
from ansible_collections.postseal.mail.plugins.module_utils.dns.ownership import digest, format_line, parse_line
from ansible_collections.postseal.mail.plugins.module_utils.dns.records import Key, Value
from ansible_collections.postseal.mail.plugins.module_utils.dns.snapshot import Mark
from hypothesis import given
from hypothesis import strategies as st

from .zones import ZONE

DIGESTS = st.frozensets(st.binary(max_size=9).map(lambda data: digest((ZONE, "TXT"), data)), min_size=1)


@given(
    owner=st.text(min_size=1), digests=DIGESTS, share=st.none() | st.binary(), label=st.sampled_from(["", "_dmarc."])
)
def test_a_registry_line_says_what_the_mark_said(owner: str, digests: frozenset[str], share: bytes, label: str) -> None:
    mark = Mark(owner, (label + ZONE, "TXT"), digests, share)
    assert parse_line(format_line(mark, ZONE), ZONE) == mark


@given(st.binary())
def test_any_other_text_marks_nothing(line: bytes) -> None:
    assert parse_line(line, ZONE) is None


def test_a_digest_depends_on_name_type_and_value() -> None:
    keys: list[tuple[Key, Value]] = [
        ((ZONE, "TXT"), b"a"),
        ((ZONE, "TXT"), b"b"),
        ((ZONE, "MX"), "a"),
        (("a." + ZONE, "TXT"), b"a"),
    ]
    assert len({digest(*key) for key in keys}) == len(keys)
