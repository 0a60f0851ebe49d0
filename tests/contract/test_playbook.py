# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The DNS action as Ansible runs it, with zone files as provider: look, keep, approve, apply, go back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ZONE = """$ORIGIN shop.test.
$TTL 300
@ SOA ns.shop.test. hostmaster.shop.test. 1 60 60 600 5
@ NS ns.shop.test.
@ 3600 TXT "google-site-verification=x1"
"""
INVENTORY = """
all:
  vars:
    postseal_environment: trial
    postseal_tls: {{contact: hostmaster@shop.test}}
    postseal_dns:
      providers:
        files: {{type: zonefile, directory: {folder}}}
      resolvers: [127.0.0.1]
    postseal_domains:
      - name: shop.test
        dmarc: {{policy: "{policy}"}}
    postseal_credentials:
      - name: shop
        domain: shop.test
        secret_hash: "{hash}"
  children:
    postseal_submission:
      hosts:
        mail.elsewhere.test:
          ansible_host: 192.0.2.10
          postseal_addresses: [192.0.2.10]
"""
# Of the password "trial".
HASH = (
    "{SHA512-CRYPT}$6$abcdefghijklmnop$oPqgt1tb7pKoCDksiH5zvljYmZ.xLa"
    "OQmGO3t00jwIaDnrjjb.G4JsgGz67Rwfs0yu3zMRxkoob38kXDzZFfr0"
)
PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - postseal.mail.dns:
        keys:
          - host: mail.elsewhere.test
            dkim:
              - domain: shop.test
                selector: s1
                algorithm: ed25519
                public: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
            tls: []
        wait: 0
        plan: "{{ plan | default(omit) }}"
        plan_out: "{{ plan_out | default(omit) }}"
        rollback: "{{ rollback | default(omit) }}"
      register: result
      failed_when: false
    - ansible.builtin.copy: {content: "{{ result | to_json }}", dest: "{{ playbook_dir }}/result.json", mode: "0600"}
      check_mode: false
      diff: false
"""


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "zones").mkdir()
        (folder / "zones/shop.test.zone").write_text(ZONE)
        (folder / "trial").mkdir()
        (folder / "play.yml").write_text(PLAY)
        self.want("none")

    def want(self, policy: str) -> None:
        text = INVENTORY.format(folder=self.folder / "zones", policy=policy, hash=HASH)
        (self.folder / "trial/hosts.yml").write_text(text)

    def zone(self) -> str:
        return (self.folder / "zones/shop.test.zone").read_text()

    def run(self, *options: str) -> dict[str, Any]:
        """Return the result of the action."""
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        command = [program, "-i", str(self.folder / "trial"), str(self.folder / "play.yml"), *options]
        found = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)
        assert found.returncode == 0, found.stdout + found.stderr
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_keep_approve_apply_and_go_back(desk: Desk) -> None:
    out = desk.folder / "plan.json"
    kept = desk.run("--diff", "-e", f"plan_out={out}")
    assert (kept["changed"], json.loads(out.read_text())["plan"]) == (False, kept["plan"]), kept
    assert '_dmarc.shop.test. 300 IN TXT "v=DMARC1; p=none' in kept["diff"][0]["after"]
    assert "; trial" in kept["diff"][0]["after"]
    assert desk.zone() == ZONE

    desk.want("reject")
    refused = desk.run("--check", "-e", f"plan={kept['plan']}")
    assert "_dmarc.shop.test TXT: was to become" in refused["msg"], refused
    assert desk.zone() == ZONE

    # Nobody serves the zone, so the run fails in the end; what it was to write is written.
    desk.want("none")
    applied = desk.run("-e", f"plan={out}")
    (report,) = applied["zones"]
    assert (applied["changed"], report["state"], report["open"]) == (True, "failed", []), applied
    assert "ns.shop.test" in report["error"]
    assert "p=none" in desk.zone()
    assert "google-site-verification=x1" in desk.zone()
    saved = desk.folder / "trial/.postseal/trial/dns/runs" / applied["rollback"]
    assert [file.stat().st_mode & 0o777 for file in saved.iterdir()] == [0o600]

    limited = desk.run("-e", "rollback=last")
    assert "the plan removes the DKIM key s1._domainkey.shop.test" in limited["msg"]
    back = desk.run("-e", "rollback=last", "-e", f"plan={limited['plan']}")
    assert back["changed"], back
    assert "_dmarc" not in desk.zone()
    assert "google-site-verification=x1" in desk.zone()
