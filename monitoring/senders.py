"""The ways an alert goes out: a webhook in the format of Slack's incoming webhooks, and e-mail.

Mattermost, Rocket.Chat, Discord (`/slack`) and others take Slack's format too. What went wrong is told by its kind
alone: addresses of webhooks are secrets, and servers may repeat what they were sent.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from monitoring.notify import Message, SendError
from tickets.alert_log import Channel
from tickets.errors import InputError

_LONGEST_BLOCK = 2900  # characters; Slack refuses a section of more than 3,000
Encryption = Literal["starttls", "tls", "none"]
_PORTS: Mapping[Encryption, int] = {"starttls": 587, "tls": 465, "none": 25}
_FAILURES: Sequence[tuple[type[Exception], str]] = (  # the first that fits is told
    (smtplib.SMTPAuthenticationError, "the mail server refused user or password"),
    (smtplib.SMTPNotSupportedError, "the mail server offers no STARTTLS, or no way to sign in"),
    (ssl.SSLCertVerificationError, "the mail server's certificate is not trusted"),
    (ssl.SSLError, "no TLS could be agreed on with the mail server: smtps:// begins with TLS, smtp:// with STARTTLS"),
    (smtplib.SMTPRecipientsRefused, "the mail server refused every reader"),
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """A Slack incoming webhook, or what takes the same JSON."""

    url: str
    seconds: float = 10.0  # until it is given up
    channel: Channel = "webhook"

    def send(self, message: Message) -> None:
        """All or nobody is reached. Redirects are not followed: a webhook has one address."""
        try:
            answer = httpx.post(self.url, json=slack_json(message), timeout=self.seconds)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SendError(f"the webhook does not answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise SendError(f"the webhook answered {answer.status_code}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail is handed in. Without a user nobody signs in."""

    host: str
    port: int
    encryption: Encryption = "starttls"
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """E-mail to some readers. `context` says whose certificates are believed; those of the machine when None."""

    server: MailServer
    sender: str
    readers: Sequence[str]
    seconds: float = 10.0
    context: ssl.SSLContext | None = None
    channel: Channel = "e-mail"

    def send(self, message: Message) -> str | None:
        """A reader whom the server refuses keeps it from no other: sent again, the others would get it every night."""
        try:
            with self._connected() as server:
                if self.server.user:
                    self._sign_in(server)
                refused = server.send_message(self._written(message))
        except (smtplib.SMTPException, OSError, UnicodeError) as error:  # the last of a host that cannot be one
            raise SendError(_why(error)) from None
        return f"the mail server refused {len(refused)} of {len(self.readers)} readers" if refused else None

    def _sign_in(self, server: smtplib.SMTP) -> None:
        try:
            server.login(self.server.user, self.server.password)
        except UnicodeEncodeError:  # shows the password's letters
            raise SendError("only ASCII can be sent as user and password of a mail server") from None

    def _connected(self) -> smtplib.SMTP:
        context = self.context or ssl.create_default_context()
        host, port = self.server.host, self.server.port
        if self.server.encryption == "tls":
            return smtplib.SMTP_SSL(host, port, timeout=self.seconds, context=context)
        server = smtplib.SMTP(host, port, timeout=self.seconds)
        if self.server.encryption == "starttls":
            try:
                server.starttls(context=context)  # raises where the server offers none: nothing goes in the clear
            except (smtplib.SMTPException, OSError):
                server.close()
                raise
        return server

    def _written(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.title, self.sender, ", ".join(self.readers)
        mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="triage.invalid")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday note shall answer it
        mail.set_content("\n".join([*message.lines, *(["", message.link] if message.link else [])]) + "\n")
        return mail


def slack_json(message: Message) -> dict[str, Any]:
    """`text` for notifications, `blocks` for the channel (docs.slack.dev, "Sending messages using incoming
    webhooks")."""
    lines = "\n".join(f"• {_escaped(line)}" for line in message.lines)[:_LONGEST_BLOCK]
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title[:150]}},
        {"type": "section", "text": {"type": "mrkdwn", "text": lines}},
    ]
    if message.link:
        linked = {"type": "mrkdwn", "text": f"<{_escaped(message.link)}|Open the dashboard>"}
        blocks.append({"type": "section", "text": linked})
    return {"text": _escaped(f"{message.title}. {message.lines[0] if message.lines else ''}".strip()), "blocks": blocks}


def mail_server(url: str) -> MailServer:
    """`smtp://user:password@host:587` (STARTTLS), `smtps://...` (TLS from the start), or `smtp://...?starttls=no` for a
    relay on the same machine. Raises InputError, which does not repeat the address."""
    try:
        read = urlsplit(url)
        host, port = read.hostname, read.port
    except ValueError:
        host, port = None, None
    if host is None or read.scheme not in {"smtp", "smtps"}:
        raise InputError(
            "TRIAGE_ALERTS__SMTP_URL is no address of a mail server.",
            hint="Write smtp://user:password@host:587, or smtps:// for TLS from the start; encode odd characters.",
        )
    clear = parse_qs(read.query).get("starttls", ["yes"]) == ["no"]
    encryption: Encryption = "tls" if read.scheme == "smtps" else "none" if clear else "starttls"
    return MailServer(
        host=host,
        port=port or _PORTS[encryption],
        encryption=encryption,
        user=unquote(read.username or ""),
        password=unquote(read.password or ""),
    )


def _escaped(text: str) -> str:
    """Slack's three signs."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _why(error: Exception) -> str:
    for kind, words in _FAILURES:
        if isinstance(error, kind):
            return words
    if isinstance(error, smtplib.SMTPResponseException):
        return f"the mail server answered {error.smtp_code}"
    return f"the mail server does not answer ({type(error).__name__})"
