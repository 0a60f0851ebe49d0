# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""The faults of test_verify_faults.py: what is broken, where, and exactly what the proof must then find.

Expected findings, failures and warnings alike, are (check, part of the target). A fault may make several checks find
something where one thing cannot break without the other; that is said beside it. Faults of one round are told apart by
check and target, and none may hide another.
"""

from __future__ import annotations

from dataclasses import dataclass

from .breakage import Record

A, B = "sender-a.sender.test", "sender-b.sender.test"
SHARED, SHOP = "smtp.sender.test", "shop.test"
PARKED = "parked.test"
OURS = "ip4:10.97.0.21 ip6:fd97::21 ip4:10.97.0.22 ip6:fd97::22"
RELAY = "smtpd_client_restrictions= mynetworks=0.0.0.0/0 smtpd_relay_restrictions=permit_mynetworks,reject"
MAP = "/etc/rspamd/maps/dkim.map"
POLICY = "/etc/rspamd/submission.lua"
SIGNER = "/etc/rspamd/submission.conf"
EXPIRE = "/etc/systemd/system/postseal-log-expire.service"
USERS = "/etc/dovecot/submission-users"
OPENSSL = "/etc/postfix/openssl.cnf"
LOOSE = (
    "printf '[Service]\\nNoNewPrivileges=no\\nProtectSystem=no\\n' >"
    " /etc/systemd/system/dovecot.service.d/zz-fault.conf; systemctl daemon-reload"
)
SSHD = "/etc/ssh/sshd_config.d/00-fault.conf"
LIBRARY = "$(readlink -f /usr/lib/*/libssl.so.3)"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: ``script`` runs as root on ``host``, then ``restart`` is restarted."""

    name: str
    fails: tuple[tuple[str, str], ...]
    host: str = ""
    script: str = ""
    restart: str = "postfix"
    records: tuple[Record, ...] = ()


def main_cf(host: str, name: str, setting: str, *fails: tuple[str, str]) -> Fault:
    """Return a fault in main.cf."""
    return Fault(name, fails, host, f"postconf -e '{setting}'")


def service(host: str, name: str, port: int, settings: str, *fails: tuple[str, str]) -> Fault:
    """Return a fault in the options of one port in master.cf."""
    options = " ".join(f"'{port}/inet/{setting}'" for setting in settings.split())
    return Fault(name, fails, host, f"postconf -P {options}")


def edit(host: str, name: str, expression: str, path: str, restart: str, *fails: tuple[str, str]) -> Fault:
    """Return a fault made by sed(1), which must change the file."""
    script = f"cp {path} /tmp/before; sed -i -E '{expression}' {path}; if cmp -s /tmp/before {path}; then exit 1; fi"
    return Fault(name, fails, host, script, restart)


def records(name: str, changed: tuple[Record, ...], *fails: tuple[str, str]) -> Fault:
    """Return a fault in the DNS."""
    return Fault(name, fails, records=changed)


def shop(owner: str, rrtype: str, *values: str) -> Record:
    """Return a record set in shop.test."""
    return Record(SHOP, f"{owner}.{SHOP}" if owner else SHOP, rrtype, values)


def sender(owner: str, rrtype: str, *values: str) -> Record:
    """Return a record set in sender.test."""
    return Record("sender.test", owner, rrtype, values)


ROUNDS: tuple[tuple[Fault, ...], ...] = (
    (
        service(A, "mail before TLS", 587, "smtpd_tls_security_level=may", ("TLS-REQ-1", f"{A} ")),
        main_cf(A, "queues on demand", "smtpd_discard_ehlo_keywords = silent-discard", ("CMD-1", A)),
        main_cf(B, "the software is told", "smtpd_banner = $myhostname ESMTP $mail_name", ("CMD-2", B)),
        main_cf(B, "another size limit", "message_size_limit = 1000000", ("LIM-1", B)),
        main_cf(A, "any number of recipients", "smtpd_recipient_limit = 1000", ("LIM-3", A)),
        # What is not limited has no limit to announce.
        main_cf(A, "a message of any size", "message_size_limit = 0", ("LIM-4", A), ("LIM-1", A)),
        # The reports on the other domain go there, too.
        records("no MX", (shop("", "MX"),), ("MX-1", SHOP), ("DMARC-5", PARKED)),
        records("another authority", (sender(A, "CAA", '0 issue "other.test"'),), ("CAA-1", A)),
        # A port that does not speak TLS cannot serve submission inside TLS either.
        service(A, "no TLS on 465", 465, "smtpd_tls_wrappermode=no", ("TLS-REQ-2", ":465"), ("PORT-1", ":465")),
        # Who may relay without a login may do so after a failed one.
        service(B, "open relay", 587, RELAY, ("RELAY-1", B), ("RELAY-2", B)),
        records("no SRV", (shop("_submissions._tcp", "SRV"),), ("SRV-1", SHOP)),
        # More terms than ours are nothing wrong in themselves; these lead nowhere.
        records(
            "SPF leads nowhere",
            (shop("", "TXT", f'"v=spf1 {OURS} a:x.{SHOP} a:y.{SHOP} a:z.{SHOP} -all"'),),
            ("SPF-3", SHOP),
        ),
        records(
            "a parked domain that may send",
            (Record(PARKED, PARKED, "TXT", ('"v=spf1 ~all"',)),),
            ("SPF-1", PARKED),
            ("PARK-1", PARKED),
        ),
        records("no TLS reports", (shop("_smtp._tls", "TXT"),), ("RPT-1", SHOP)),
    ),
    (
        Fault(
            "VRFY answers",
            (("VRFY-1", A),),
            A,
            "postconf -e disable_vrfy_command=no 'mydestination=$myorigin'"
            " 'local_recipient_maps=inline:{postmaster=x}'; "
            "postconf -P 587/inet/smtpd_client_restrictions= 465/inet/smtpd_client_restrictions="
            " 587/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination"
            " 465/inet/smtpd_relay_restrictions=permit_sasl_authenticated,reject_unauth_destination",
        ),
        edit(
            B,
            "CRAM-MD5 offered",
            "s/^(auth_mechanisms = ).*/\\1plain login cram-md5/",
            "/etc/dovecot/dovecot.conf",
            "dovecot postfix",
            ("AUTH-1", B),
        ),
        records("no TLSA", (sender(f"_465._tcp.{SHARED}", "TLSA"),), ("DANE-1", SHARED)),
        records("an old policy announced", (shop("_mta-sts", "TXT", '"v=STSv1; id=0"'),), ("STS-1", SHOP)),
        main_cf(A, "mistakes without end", "smtpd_hard_error_limit = 1000", ("LIM-2", A)),
        main_cf(B, "commands before their turn", "smtpd_forbid_unauth_pipelining = no", ("PIPE-1", B)),
        main_cf(A, "bare newlines taken", "smtpd_forbid_bare_newline = no", ("SMUG-1", A)),
        main_cf(B, "a CBC suite", "tls_high_cipherlist = ECDHE+AESGCM:ECDHE-ECDSA-AES128-SHA256", ("TLS-2", B)),
        records(
            "no DMARC policy",
            (shop("_dmarc", "TXT", f'"v=DMARC1; p=none; rua=mailto:dmarc@{SHOP}"'),),
            ("DMARC-1", SHOP),
            ("DMARC-3", SHOP),
        ),
        records("SPF asks for reverse names", (shop("", "TXT", f'"v=spf1 {OURS} ptr -all"'),), ("SPF-5", SHOP)),
        # The policy of the domain does not name it either.
        records(
            "mail goes to a host that takes none",
            (shop("", "MX", f"10 {A}."),),
            ("MX-1", SHOP),
            ("MX-2", SHOP),
            ("STS-2", SHOP),
        ),
        records("no consent to reports", (shop("parked.test._report._dmarc", "TXT"),), ("DMARC-2", SHOP)),
    ),
    (
        # TLS 1.1 knows no other cipher suites than weak ones, and whoever can speak it also signs with SHA-1.
        Fault(
            "TLS 1.1",
            (("TLS-1", A), ("TLS-2", A), ("TLS-6", A)),
            A,
            "postconf -e 'smtpd_tls_protocols=>=TLSv1' 'smtpd_tls_mandatory_protocols=>=TLSv1' "
            "'tls_high_cipherlist=ALL:@SECLEVEL=0'; "
            "postconf -P 587/inet/tls_config_file=none 465/inet/tls_config_file=none",
        ),
        edit(B, "no hybrid group", r"s/\?X25519MLKEM768://", OPENSSL, "postfix", ("TLS-4", B)),
        Fault("no extended master secret", (("TLS-5", B),), B, f"echo 'Options = -ExtendedMasterSecret' >> {OPENSSL}"),
        records("no SPF for HELO", (sender(B, "TXT"),), ("SPF-1", B), ("SPF-4", B)),
        records(
            "a tag that was removed from DMARC",
            (shop("_dmarc", "TXT", '"v=DMARC1; p=reject; pct=50"'),),
            ("DMARC-1", SHOP),
            ("DMARC-4", SHOP),
        ),
        records(
            "mail and no mail", (shop("", "MX", "10 receiver.receiver.test.", "0 ."),), ("MX-1", SHOP), ("MX-2", SHOP)
        ),
        # For the same authority the second record takes back every condition of the first (RFC 8657 3).
        records(
            "certificates for anybody",
            (sender(SHARED, "CAA", '0 issue "acme.lab.test"', '0 issue "acme.lab.test; validationmethods=http-01"'),),
            ("CAA-1", SHARED),
        ),
        records("one address missing", (sender(SHARED, "A", "10.97.0.21"),), ("ADDR-1", SHARED)),
        records("an address of somebody else", (sender(A, "A", "10.97.0.21", "10.97.0.99"),), ("ADDR-1", A)),
    ),
    (
        Fault(
            "any password",
            (("AUTH-2", A),),
            A,
            "echo 'passdb {\n driver = static\n args = nopassword=y\n}' >> /etc/dovecot/dovecot.conf",
            "dovecot",
        ),
        edit(
            B,
            "another password",
            r"s/(SHA512-CRYPT\}.6.)[^:]*/\1abcdefgh$0123456789/",
            USERS,
            "dovecot",
            ("AUTH-3", B),
        ),
    ),
    (
        Fault(
            "SHA-1 in the key exchange",
            (("TLS-6", B),),
            B,
            f"sed -i 's/^SignatureAlgorithms = /&ECDSA+SHA1:/' {OPENSSL}; "
            'postconf -e "tls_high_cipherlist=$(postconf -h tls_high_cipherlist):@SECLEVEL=0"',
        ),
        main_cf(A, "any envelope sender", "smtpd_sender_restrictions = reject_non_fqdn_sender", ("AUTH-4", A)),
        edit(B, "any From", "s/return allowed\\[address\\] or .*/return true/", POLICY, "rspamd", ("AUTH-5", B)),
    ),
    (
        main_cf(A, "nothing is delivered", "defer_transports = smtp, relay", ("MSG-1", A)),
        main_cf(A, "DANE switched off", "smtp_tls_security_level = may", ("DANE-3", A)),
        main_cf(B, "nothing told of TLS", "smtpd_tls_received_header = no", ("MSG-12", B)),
        edit(B, "one signature only", "s/,[^, ]*rsa2048.key$|[^, ]*rsa2048.key,//", MAP, "rspamd", ("MSG-3", B)),
    ),
    (
        edit(A, "From not oversigned", "s/\\(o\\)from/from/", SIGNER, "rspamd", ("MSG-5", A)),
        main_cf(B, "Bcc is left in", "message_drop_headers = return-path", ("MSG-9", B)),
        edit(B, "unsubscribing not signed", "s/:\\(x\\)list-unsubscribe-post//", SIGNER, "rspamd", ("MSG-5", B)),
        # Who signs and who verifies need not take a stray line end for the same thing.
        main_cf(A, "stray line ends leave", "cleanup_replace_stray_cr_lf = no", ("MSG-11", A), ("MSG-3", f"{A} ")),
        main_cf(A, "another name in HELO", "smtp_helo_name = elsewhere.test", ("MSG-10", A)),
        main_cf(B, "missing headers stay missing", "always_add_missing_headers = no", ("MSG-6", B)),
        Fault(
            "the client is shown",
            (("MSG-7", A),),
            A,
            "postconf -P 587/inet/cleanup_service_name=cleanup 465/inet/cleanup_service_name=cleanup",
        ),
        # Who is told to send in the clear does not look whom the receiver's DNS names either.
        main_cf(B, "no TLS to the receiver", "smtp_tls_security_level = none", ("MSG-8", B), ("DANE-3", B)),
    ),
    (
        Fault("a service with the whole host in reach", (("HOST-8", B),), B, LOOSE, "dovecot"),
        Fault("nobody looks who guesses", (("AUTH-6", B),), B, "systemctl stop postseal-guard", ""),
        Fault("passwords over SSH", (("STATE-6", A),), A, f"echo PasswordAuthentication yes > {SSHD}", ""),
        Fault("readable key", (("HOST-1", A),), A, "chmod 0644 /etc/postseal/dkim/*/*ed25519.key", ""),
        main_cf(B, "misspelt parameter", "smtpd_tls_protocl = x", ("HOST-2", B)),
        Fault("another port", (("HOST-3", A),), A, "postconf -M '2525/inet=2525 inet n - y - - smtpd'"),
        Fault("open firewall", (("STATE-1", B),), B, "nft flush chain inet postseal input", ""),
        Fault("a replaced library", (("STATE-2", A),), A, f"l={LIBRARY}; cp -p $l $l.new; mv $l.new $l", ""),
        Fault("a damaged message", (("STATE-5", B),), B, "touch /var/spool/postfix/corrupt/FAULT", ""),
        Fault("not enabled", (("HOST-4", B),), B, "systemctl disable -q rspamd", ""),
        main_cf(A, "unsigned when the signer is down", "milter_default_action = accept", ("HOST-5", A)),
        Fault("no renewal", (("HOST-7", A),), A, "systemctl disable -q certbot.timer", ""),
        edit(A, "logs kept longer", "s/(vacuum-time=)[0-9]+/\\15184000/", EXPIRE, "", ("LOG-1", A)),
        Fault("open log", (("LOG-2", B),), B, "chmod 0644 /var/log/journal/*.postseal/system.journal", ""),
        Fault("open socket", (("HOST-6", B),), B, "chmod 0666 /var/spool/postfix/rspamd/milter.sock", ""),
    ),
    (
        # Port 25 is also a port that the mail software should not listen on.
        Fault(
            "submission on port 25",
            (("PORT25-1", A), ("HOST-3", A)),
            A,
            "postconf -M '25/inet=25 inet n - y - - smtpd'",
        ),
        # A key that one host has: nobody wrote down that it signs, so that the DNS need not have it.
        Fault(
            "a key of one host only",
            (("DKIM-2", SHOP),),
            B,
            "cd /etc/postseal/dkim/shop.test; openssl genrsa -out stray.rsa2048.key 2048 2>/dev/null; "
            "chown root:_rspamd stray.rsa2048.key; chmod 0640 stray.rsa2048.key",
            "",
        ),
        # SPF decides what the receiver says; DMARC still passes by DKIM.
        records(
            "SPF of somebody else",
            (shop("", "TXT", '"v=spf1 ip4:192.0.2.1 ?all"'),),
            ("SPF-1", SHOP),
            ("SPF-2", SHOP),
            ("SPF-4", SHOP),
            ("MSG-2", ""),
        ),
    ),
    (
        # A stopped service has no sockets and cannot be sent through.
        Fault("Postfix is down", (("PORT-1", A), ("HOST-3", A), ("HOST-4", A)), A, "systemctl stop postfix", ""),
        # STARTTLS and AUTH are answered 454: nothing may look as if it had been tested.
        Fault(
            "the signer is down",
            (("PORT-1", B), ("HOST-4", B), ("AUTH-2", B), ("AUTH-3", B)),
            B,
            "systemctl stop rspamd",
            "",
        ),
    ),
)
