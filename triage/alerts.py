"""From settings to alerts: the ways that are set, the news of a night, a test. No alert that fails stops a night."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from tickets.alert_log import Channel
from tickets.errors import InputError
from tickets.progress import Report
from tickets.workspace import Workspace
from triage.settings import AlertSettings, Settings, database

if TYPE_CHECKING:
    from monitoring.notify import Attempt, Sends

log = structlog.get_logger()


def ways(settings: AlertSettings) -> list[Sends]:
    """Every way that is set. Raises InputError where a mail server lacks its readers, or readers a server."""
    from monitoring.senders import Mail, Webhook, mail_server

    found: list[Sends] = []
    if settings.webhook_url is not None:
        found.append(Webhook(settings.webhook_url.get_secret_value(), seconds=settings.seconds))
    readers = settings.readers()
    if bool(readers) != (settings.smtp_url is not None):
        raise InputError(
            "of TRIAGE_ALERTS__EMAIL_TO and TRIAGE_ALERTS__SMTP_URL only one is set.",
            hint="E-mail needs both: who reads it, and the server that takes it.",
        )
    if settings.smtp_url is not None:
        server = mail_server(settings.smtp_url.get_secret_value())
        sender = settings.email_from or readers[0]
        found.append(Mail(server=server, sender=sender, readers=readers, seconds=settings.seconds))
    return found


@contextmanager
def told_at_the_end(settings: Settings, engine: sa.Engine, report: Report) -> Iterator[None]:
    """When the block ends, however it ends, what is new is told. Nothing that goes wrong with that is raised."""
    try:
        yield
    finally:
        try:
            tell(settings, engine, report)
        except Exception as error:  # a wrong setting or a database that is away: the night's work stands without it
            kind = type(error).__name__
            log.warning("no alerts", kind=kind)
            report(f"alerts: not sent ({kind}); `triage alerts test` tells more")


def tell(settings: Settings, engine: sa.Engine, report: Report) -> dict[Channel, str]:
    """Send what is new now. Raises InputError for settings that lack their other half."""
    from monitoring.notify import tell_news

    set_up = ways(settings.alerts)
    told = tell_news(engine, set_up, now=dt.datetime.now(dt.UTC), link=settings.alerts.dashboard_url)
    for channel, words in told.items():
        report(f"alerts by {channel}: {words}")
    return told


def send_now(settings: Settings, report: Report) -> dict[Channel, str]:
    """What is new since the last message, on every way that is set. Raises InputError when none is."""
    _refuse_none(settings)
    with database(settings, Workspace.open(settings.workspace)) as engine:
        return tell(settings, engine, report)


def send_test(settings: Settings) -> dict[Channel, Attempt]:
    """A test message on every way that is set, and what came of it. Raises InputError when none is set."""
    from monitoring import notify

    _refuse_none(settings)
    message = notify.trial_message(settings.alerts.dashboard_url)
    return {way.channel: notify.try_to_send(way, message) for way in ways(settings.alerts)}


def _refuse_none(settings: Settings) -> None:
    if not ways(settings.alerts):
        raise InputError(
            "no way to send alerts is set.",
            hint="Set TRIAGE_ALERTS__WEBHOOK_URL, or TRIAGE_ALERTS__SMTP_URL with TRIAGE_ALERTS__EMAIL_TO.",
        )
