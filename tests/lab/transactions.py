# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Hand a lab host transactions made of its own live files, with a fault put in, the way the apply action would."""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.postseal.mail.plugins.plugin_utils.program import parse, script

from .site import ssh

SECRETS = ("/etc/dovecot/submission-users",)
# Files of each service, as the roles install them.
FILES = {
    "dovecot": (
        "/etc/dovecot/dovecot.conf",
        "/etc/dovecot/credentials.lua",
        "/etc/dovecot/submission-users",
        "/etc/systemd/system/dovecot.service.d/postseal.conf",
    ),
    "rspamd": (
        "/etc/systemd/system/rspamd.service.d/postseal.conf",
        "/etc/rspamd/submission.conf",
        "/etc/rspamd/submission.lua",
        "/etc/rspamd/maps/dkim.map",
        "/etc/rspamd/maps/senders.map",
    ),
    "postseal-log": (
        "/etc/systemd/journald@postseal.conf",
        "/etc/systemd/system/systemd-journald@postseal.service.d/postseal.conf",
        "/etc/postseal/log.py",
    ),
    "postfix": ("/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/postfix/sender_logins"),
}
READ = """\
import base64, json, os, pwd, grp, sys
found = []
for path in sys.argv[1:]:
    status = os.stat(path)
    found.append({"dest": path, "content": base64.b64encode(open(path, "rb").read()).decode(),
                  "owner": pwd.getpwuid(status.st_uid).pw_name, "group": grp.getgrgid(status.st_gid).gr_name,
                  "mode": "%04o" % (status.st_mode & 0o7777)})
print(json.dumps(found))
"""
# Stands before the transaction's program: the kernel kills it at the n-th rename of a live file.
KILLER = """\
import os, signal
_rename, _left = os.rename, [{step}]
def rename(source, target, **more):
    if str(target).startswith("/etc/"):
        _left[0] -= 1
        if _left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return _rename(source, target, **more)
os.rename = rename
"""
# The same, once the trial instance listens: its first dialog never begins.
KILLER_IN_TRIAL = """\
import os, signal, socket
_connect = socket.socket.connect
def connect(self, target):
    if isinstance(target, tuple) and target[1] not in (25, 465, 587):
        _connect(self, target)
        os.kill(os.getpid(), signal.SIGKILL)
    return _connect(self, target)
socket.socket.connect = connect
"""


@dataclass(frozen=True)
class Answer:
    """What a transaction returned: ``result`` is the host's object."""

    result: dict[str, Any]

    @property
    def failed(self) -> bool:
        """Whether the host refused or undid the change."""
        return bool(self.result.get("failed"))

    def __getitem__(self, name: str) -> Any:
        return self.result[name]


@dataclass
class Desk:
    """Transactions of one service on one host; ``host`` is the full name."""

    host: str
    service: str
    live: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        program = " ".join(f"'{path}'" for path in FILES[self.service])
        found = json.loads(self._run(READ, f"sudo -n python3 - {program}"))
        self.live = [{**one, "content": b64decode(one["content"]).decode()} for one in found]

    def apply(
        self, edits: dict[str, str] | None = None, *, kill_at: int = 0, kill_in_trial: bool = False, **more: Any
    ) -> Answer:
        """Apply the right files with ``edits``: dest -> lines; a line replaces its setting or is added at the end.

        ``kill_at`` kills the program at that rename, ``kill_in_trial`` when the trial runs; the answer then says that.
        """
        text = script("transaction.apply", {**self.request(edits or {}), **more})
        if kill_at:
            text = KILLER.format(step=kill_at) + text
        if kill_in_trial:
            text = KILLER_IN_TRIAL + text
        done = subprocess.run(
            ssh(self.host, "sudo -n python3 -"), input=text, capture_output=True, text=True, check=False
        )
        if kill_at or kill_in_trial:
            assert done.returncode, done.stdout  # 255 from ssh itself, 137 where sudo stands between
            return Answer({"killed": True})
        return Answer(parse(done.stdout, done.stderr, done.returncode))

    def request(self, edits: dict[str, str]) -> dict[str, Any]:
        """Return the request for the live files with ``edits``."""
        files = [
            {**one, "content": edited(one["content"], edits.get(one["dest"], "")), "secret": one["dest"] in SECRETS}
            for one in self.live
        ]
        wanted: dict[str, Any] = {"service": self.service, "files": files}
        if self.service == "rspamd":
            milter = "/var/spool/postfix/rspamd/milter.sock"
            wanted["smoke"] = [{"protocol": "milter", "socket": milter, "sender": "postmaster@shop.test"}]
        if self.service == "postfix":
            certificate = f"/etc/letsencrypt/live/{self.host}/fullchain.pem"
            known = {"certificate": certificate, "login": "shop@shop.test", "sender": "shop@shop.test"}
            wanted["watch"] = [certificate]
            wanted["smoke"] = [{"port": 465, "tls": "wrapped", **known}, {"port": 587, "tls": "starttls", **known}]
        return wanted

    def same_as_live(self) -> bool:
        """Whether every file on the host still has the content it had when this desk was made."""
        return Desk(self.host, self.service).live == self.live

    def sh(self, command: str) -> str:
        """Run a shell command as root on the host; return its standard output."""
        return self._run(command, "sudo -n sh -s")

    def _run(self, text: str, command: str) -> str:
        line = ssh(self.host, command)
        return subprocess.run(line, input=text, capture_output=True, text=True, check=True).stdout


def edited(content: str, lines: str) -> str:
    """Return ``content`` with each of ``lines`` in place of the setting it names, or at the end.

    ``only:`` before a text makes that text all there is.
    """
    if lines.startswith("only:"):
        return f"{lines[5:]}\n"
    for line in lines.splitlines():
        name = line.partition(" =")[0] if " =" in line else ""
        pattern = rf"^{re.escape(name)} =.*(?:\n[ \t].*)*$"
        if name and re.search(pattern, content, re.M):
            content = re.sub(pattern, line.replace("\\", r"\\"), content, count=1, flags=re.M)
        else:
            content += f"{line}\n"
    return content
