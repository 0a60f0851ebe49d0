# Copyright: the Postseal maintainers
# GNU General Public License v3.0 or later (see LICENSE)
"""What providers of smarthosts document of themselves, so that nobody has to copy it: hosts, ports, SPF."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """One provider.

    :param host: its server; ``{region}`` stands for a region
    :param source: where the provider says all this
    :param spf: names that its documentation wants included in the sender's SPF record
    :param rewrites: it puts an envelope sender of its own domain, or of one that is delegated to it, so that SPF passes
        without a word in the sender's record
    :param login: the login that all accounts have
    :param login_is_secret: login and password are the same token
    :param credential: whether it takes no mail without one
    :param regions: region -> what stands for it in ``host``; empty: any text that can be part of a host name
    """

    host: str
    source: str
    spf: tuple[str, ...] = ()
    rewrites: bool = False
    login: str | None = None
    login_is_secret: bool = False
    credential: bool = True
    regions: tuple[tuple[str, str], ...] = ()
    port: int = 587

    @property
    def regional(self) -> bool:
        """Whether a region has to be named."""
        return "{region}" in self.host and not self.regions


# All of them offer STARTTLS on 587, which goes through more firewalls than 465.
PRESETS: dict[str, Preset] = {
    # MAIL FROM is a subdomain of amazonses.com unless a custom one is set up, with its own records.
    "amazon_ses": Preset(
        "email-smtp.{region}.amazonaws.com",
        "https://docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
        rewrites=True,
    ),
    # The account's own domain carries bounces; DKIM and DMARC are what Brevo asks for.
    "brevo": Preset("smtp-relay.brevo.com", "https://developers.brevo.com/docs/smtp-integration", rewrites=True),
    # The account's addresses may be what lets mail in, hence no credential is required.
    "google_workspace": Preset(
        "smtp-relay.gmail.com",
        "https://support.google.com/a/answer/2956491",
        spf=("_spf.google.com",),
        credential=False,
    ),
    "mailgun": Preset(
        "smtp.{region}mailgun.org",
        "https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp",
        spf=("mailgun.org",),
        regions=(("us", ""), ("eu", "eu.")),
    ),
    "mailjet": Preset(
        "in-v3.mailjet.com",
        "https://documentation.mailjet.com/hc/en-us/articles/360042412734",
        spf=("spf.mailjet.com",),
    ),
    "microsoft365": Preset(
        "smtp.office365.com",
        "https://learn.microsoft.com/exchange/mail-flow-best-practices/how-to-set-up-a-multifunction-device-or-application-to-send-email-using-microsoft-365-or-office-365",
        spf=("spf.protection.outlook.com",),
    ),
    # Bounces go to pm.mtasv.net or to a name below the domain that is an alias to it.
    "postmark": Preset(
        "smtp.postmarkapp.com",
        "https://postmarkapp.com/support/article/811-what-are-the-smtp-details-credentials-i-should-be-using",
        rewrites=True,
        login_is_secret=True,
    ),
    # Bounces go to a name below the domain that is an alias to sendgrid.net (automated security).
    "sendgrid": Preset(
        "smtp.sendgrid.net",
        "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api",
        rewrites=True,
        login="apikey",
    ),
    # Bounces go to a name below the domain that SendLayer has the records of.
    "sendlayer": Preset("smtp.sendlayer.net", "https://sendlayer.com/docs/smtp-credentials/", rewrites=True),
    "smtp_com": Preset(
        "send.smtp.com",
        "https://kb.smtp.com/article/2138-spf-setup-for-smtp-com-customers",
        spf=("_spf.smtp.com",),
        port=2525,
    ),
    # SPF passes by aliases below the domain; an include is not wanted any more.
    "smtp2go": Preset("mail.smtp2go.com", "https://developers.smtp2go.com/docs/smtp-relay", rewrites=True),
}
