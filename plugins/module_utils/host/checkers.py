# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""Each service's own checker, with the rule that makes it tell the truth. Standard library, Python 3.9.

Most of them end with 0 for a misspelt parameter and only mention it, some mention much that is no fault. Hence one
rule per program, found by trying both Debian releases with wrong input.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from . import firewall, log, lookups, policies
from .findings import Finding
from .parameters import read_settings, wrong_values
from .queue_files import in_motion
from .request import FileSpec
from .services import UNITS, WARM_UP, Service, unit_files, unit_setting
from .session import ssh_session
from .stage import Stage, execute

NO_RELOAD = (
    *("redis-server", firewall.UNIT, "postseal-containment", WARM_UP),
    *(log.UNIT, lookups.RESOLVER, lookups.POLICIES),
)
LOGIN_KEYS = frozenset(("hash", "former", "ends", "expires", "networks", "revoked", "suspended"))


def check(service: Service, stage: Stage, changed: Iterable[str]) -> list[Finding]:
    """Run every checker of ``service`` over the staged files and return what they object to."""
    own = {
        "postfix": check_postfix,
        "dovecot": check_dovecot,
        "rspamd": check_rspamd,
        firewall.UNIT: check_firewall,
        log.UNIT: check_log,
        lookups.RESOLVER: check_resolver,
        policies.SERVER: check_policies,
    }.get(service.name)
    # Redis has no checker: whether it takes its configuration shows when it starts, and the old one comes back if not.
    return (own(stage) if own else []) + check_units(service, stage, changed)


def check_postfix(stage: Stage) -> list[Finding]:
    """postconf(1) must succeed in silence, every table must open, ``postfix check`` must have nothing to say."""
    findings = []
    for option in ("-n", "-M", "-P"):
        done = stage.run(["postconf", option])
        findings += _said("postconf", done.stderr)
        if done.returncode and not done.stderr:
            findings.append(Finding("postconf", f"exit code {done.returncode}"))
    findings += overrides_in_pieces(stage.read("/etc/postfix/master.cf"))
    settings = read_settings(stage.run(["postconf", "-nx"]).stdout + stage.run(["postconf", "-Px"]).stdout)
    defaults = read_settings(stage.run(["postconf", "-d"]).stdout)
    findings += [Finding("postconf", text, "/etc/postfix/main.cf") for text in wrong_values(settings, defaults)]
    if findings:
        return _once(findings)  # what follows would only repeat it, after seconds of waiting
    findings += check_tables(stage)
    done = stage.run(["postfix", "check"], terminal=True)
    said = _said("postfix check", done.stderr)
    findings += [found for found in said if not in_motion(found.text)]
    if done.returncode and not findings and not said:
        findings.append(Finding("postfix check", f"exit code {done.returncode}"))
    return _once(findings)


def overrides_in_pieces(master: str) -> list[Finding]:
    """Find ``-o name = value`` in master.cf: with blanks around the sign Postfix takes the pieces for other things and
    says nothing (master(5) wants ``-o name=value`` or ``-o { name = value }``).
    """
    findings = []
    for number, line in enumerate(master.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        for found in re.finditer(r"(?:^|\s)-o\s+([^\s={]+)(?=\s|$)", line):
            text = f"-o {found[1]} lacks its value: write -o {found[1]}=value without blanks"
            findings.append(Finding("master.cf", text, "/etc/postfix/master.cf", number))
    return findings


def check_tables(stage: Stage) -> list[Finding]:
    """Ask every table that main.cf and master.cf name for a key: a missing file, a bad pattern or a bad network shows
    only when the table is opened, and a running smtpd skips a rule it cannot read.

    postmap(1): 1 with nothing on standard error is "not found".
    """
    settings = stage.run(["postconf", "-n"]).stdout + stage.run(["postconf", "-P"]).stdout
    tables = set(re.findall(r"\b(?:texthash|hash|btree|lmdb|cdb|cidr|pcre|regexp|inline):(?:/[^\s,}]+)", settings))
    findings = []
    for table in sorted(tables):
        done = stage.run(["postmap", "-q", "postseal-probe.invalid", table])
        findings += _said(f"postmap -q {table}", done.stderr)
    return findings


def check_dovecot(stage: Stage) -> list[Finding]:
    """doveconf(1) must end with 0; ``-x`` makes it open what settings refer to, and print it: its output holds secrets.

    It prints part of the dump before it fails: only the exit code counts. It does not look into the script that judges
    logins, nor into the file which that reads.
    """
    done = stage.run(["doveconf", "-x", "-n"])
    if not done.returncode:
        script = re.search(r"^\s*(?:args = .*?\bfile=|lua_file = )(/\S+)", done.stdout, re.M)
        users = re.search(r"^local USERS = '(/[^']+)'$", stage.read(script[1]), re.M) if script else None
        return logins_in_doubt(users[1], stage.read(users[1])) if users else []
    found = _said("doveconf", done.stderr) or [Finding("doveconf", f"exit code {done.returncode}")]
    return [_placed(finding, r"(/\S+?)(?: line (\d+)|:(\d+))") for finding in found]


def logins_in_doubt(path: str, text: str) -> list[Finding]:
    """Find lines of the file of logins that would be read otherwise than they are meant: a misspelt ``networks`` would
    open the login to the world, the second line of a login is never looked at. Findings name lines, not content.
    """
    findings, seen = [], set()
    lines = text.splitlines()
    if not lines or lines[-1] != "complete yes":
        findings.append(Finding("logins", "does not end with the line that says it is complete", path))
    for number, line in enumerate(lines[:-1], 1):
        if not line or line.startswith("#"):
            continue
        login, *fields = line.split(" ")
        keys = {field.partition("=")[0] for field in fields}
        complaint = ""
        if "@" not in login or not all(re.fullmatch(r"[a-z]+=\S+", field) for field in fields):
            complaint = "is not login key=value ..."
        elif keys - LOGIN_KEYS or len(keys) != len(fields):
            complaint = "has a key that is unknown, or one twice"
        elif login in seen:
            complaint = "names a login a second time"
        elif not {"hash", "revoked"} & keys or ("former" in keys) != ("ends" in keys):
            complaint = "lacks a hash, or the end of the former one"
        elif not all(re.match(r"(?!hash=|former=)|\w+=\{[A-Z0-9.-]+\}\S", field) for field in fields):
            complaint = "has a hash without its scheme"
        seen.add(login)
        if complaint:
            findings.append(Finding("logins", f"line {number} {complaint}", path, number))
    return findings


def check_rspamd(stage: Stage) -> list[Finding]:
    """``rspamadm configtest`` must end with 0 and say nothing new compared with the live configuration: a value of the
    wrong type is only mentioned, next to mentions that are no fault.
    """
    command = ["rspamadm", "configtest", "-c", rspamd_configuration(stage)]
    done = stage.run(command)
    if done.returncode == 0 and not done.stderr.strip():
        return []
    before = {_undated(line) for line in execute(command).stderr.splitlines()}
    fresh = [line for line in map(_undated, done.stderr.splitlines()) if line and line not in before]
    if done.returncode == 0:
        return _once(Finding("rspamadm configtest", line) for line in fresh if _complains(line))
    words = fresh or done.stdout.split("\n") if done.stdout else [f"exit code {done.returncode}"]
    return _once(Finding("rspamadm configtest", line) for line in words if line)


def rspamd_configuration(stage: Stage) -> str:
    """Return the main file rspamd is started with: what a unit drop-in names after ``-c``, else the packaged one."""
    found = re.search(r"\s-c\s+(\S+)", unit_setting("rspamd", stage.paths, stage.root))
    return found[1] if found else "/etc/rspamd/rspamd.conf"


def check_firewall(stage: Stage) -> list[Finding]:
    """nft(8) must take the rules without a word, and they must let in whoever deploys them: nft does not see that."""
    rules = stage.read(firewall.RULES)
    port = ssh_session().port
    if port and not firewall.lets_in(rules, port):
        return [Finding("firewall", f"would lock out SSH, which came in by port {port}", firewall.RULES)]
    done = stage.run(["nft", "-c", "-f", firewall.RULES])
    return _said("nft", done.stderr) or ([Finding("nft", f"exit code {done.returncode}")] if done.returncode else [])


def check_log(stage: Stage) -> list[Finding]:
    """The group that reads must be there, or the journal would not start; the filter must be a program."""
    findings = []
    if group := log.unknown_readers(stage.read(log.READERS)):
        text = f"group {group} does not exist on this host: create it, or name another one in postseal_log.readers"
        findings.append(Finding("readers", text, log.READERS))
    try:
        compile(stage.read(log.FILTER), log.FILTER, "exec")
    except SyntaxError as problem:
        findings.append(Finding("filter", str(problem), log.FILTER, problem.lineno or 0))
    return findings


def check_resolver(stage: Stage) -> list[Finding]:
    """unbound-checkconf(8) must end with 0 and complain of nothing; what it says to standard output is no complaint.

    The packaged unit makes the file with the root's key when it is started for the first time.
    """
    done = stage.run(["unbound-checkconf", lookups.RESOLVER_CONF])
    found = _said("unbound-checkconf", done.stderr)
    if not os.path.exists(stage.paths.live(lookups.ROOT_KEY)):
        return [finding for finding in found if lookups.ROOT_KEY not in finding.text]
    return found or ([Finding("unbound-checkconf", f"exit code {done.returncode}")] if done.returncode else [])


def check_policies(stage: Stage) -> list[Finding]:
    """nginx(8) must end with 0 and complain of nothing."""
    done = stage.run([policies.PROGRAM, "-t", "-q", "-c", policies.CONF])
    return _said("nginx", done.stderr) or (
        [Finding("nginx", f"exit code {done.returncode}")] if done.returncode else []
    )


def check_units(service: Service, stage: Stage, changed: Iterable[str]) -> list[Finding]:
    """systemd-analyze(1) must say nothing new: it ends with 0 for an unknown key, section or value.

    The unit is checked, not its drop-in, which by itself is no unit.
    """
    if not unit_files(changed):
        return []
    names = {service.daemon}
    for dest in unit_files(changed):
        name = dest[len(UNITS) :].split("/")[0]
        names.add(name[:-2] if name.endswith(".d") else name)
    command = ["systemd-analyze", "verify", "--man=no", *sorted(names)]
    done = stage.run(command)
    if not done.stderr and not done.returncode:
        return []
    before = set(execute(command).stderr.splitlines())
    return [
        _placed(Finding("systemd-analyze verify", line), r"(/\S+?):(\d+)")
        for line in done.stderr.splitlines()
        if line.strip() and line not in before
    ]


def redacted(findings: Iterable[Finding], files: Iterable[FileSpec]) -> list[Finding]:
    """Return ``findings`` with the words of secret files blotted out: checkers quote what they object to."""
    words = {
        word
        for spec in files
        if spec.secret and spec.content
        for word in re.split(r"[\s\"';,=]+", spec.content.decode(errors="replace"))
        if len(word) >= 8  # noqa: PLR2004  # shorter words are keywords and names
    }
    clean = []
    for finding in findings:
        text = finding.text
        for word in sorted(words, key=len, reverse=True):
            text = text.replace(word, "********")
        clean.append(finding._replace(text=text))
    return clean


def _said(program: str, text: str) -> list[Finding]:
    lines = [re.sub(r"^[\w/-]+: (?=\w)", "", line.strip()) for line in text.splitlines() if line.strip()]
    return [_placed(Finding(program, line), r"(/etc/\S+?)(?:, line (\d+)|\((\d+)\)|:|$)") for line in lines]


def _placed(finding: Finding, pattern: str) -> Finding:
    """Fill in file and line where ``pattern`` finds them in the text."""
    found = re.search(pattern, finding.text)
    if not found:
        return finding
    line = next((int(group) for group in found.groups()[1:] if group), 0)
    return finding._replace(file=found[1], line=line)


def _undated(line: str) -> str:
    """Drop what differs from run to run in a line of rspamd's log: time, process, session tag."""
    return re.sub(r"^[\d-]+ [\d:.]+ #\d+\(\w*\) (?:<\w+>; )?", "", line.strip())


def _complains(line: str) -> bool:
    return bool(re.search(r"\b(?:bad|cannot|error|fail|failed|illegal|invalid|missing|unknown|wrong)\b", line, re.I))


def _once(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))


def must_restart(service: Service, stage: Stage, changed: Iterable[str]) -> bool:
    """Say whether a reload would leave the service as it is: a changed unit, a program that knows no reload, and for
    Postfix other interfaces (postconf(5), inet_interfaces and inet_protocols: "you need to stop and start").
    """
    if unit_files(changed) or service.name in NO_RELOAD:
        return True
    if service.name != "postfix":
        return False
    command = ["postconf", "-h", "inet_interfaces", "inet_protocols"]
    return stage.run(command).stdout != execute(command).stdout
