"""Where tickets come from, as functions: a fetch from Zendesk, and what a night brings in before its other work."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.dataset import load_dataset
from tickets.errors import InputError
from tickets.progress import Report
from tickets.workspace import Workspace
from triage.settings import Settings

if TYPE_CHECKING:
    from pipeline.sources.zendesk_api import ZendeskAccount
    from pipeline.sources.zendesk_export import Fetched
    from tickets.manifests import Manifest


def fetch_zendesk(settings: Settings, folder: Path, *, since: dt.date | None = None, report: Report) -> Fetched:
    """What changed in Zendesk since the last fetch into `folder`. Raises InputError, SourceError, MachineError."""
    from pipeline.sources.zendesk_export import fetch_account

    return fetch_account(_account(settings), folder, since=since, report=report)


def import_news(settings: Settings, workspace: Workspace, *, as_of: dt.date, report: Report) -> Manifest | None:
    """What TRIAGE_NIGHTLY_IMPORT names and no import has read; None when that is nothing, or nothing is named. Of
    Zendesk, what changed is fetched first, into the first folder that dataset.toml lists. Raises DatasetError,
    InputError, SourceError."""
    from pipeline import importing

    dataset = settings.nightly_import
    if dataset is None:
        return None
    described = load_dataset(dataset)
    if described.format == "zendesk" and described.files:
        if settings.zendesk.token:
            fetch_zendesk(settings, dataset.parent / described.files[0].path, report=report)
        else:
            report("import: TRIAGE_ZENDESK__TOKEN is not set, so nothing is fetched; what the folder holds is imported")
    url = settings.source_url.get_secret_value() if settings.source_url else None
    return importing.import_news(workspace, dataset, as_of=as_of, source_url=url, report=report)


def _account(settings: Settings) -> ZendeskAccount:
    """Raises InputError naming the variable that is missing."""
    from pipeline.sources.zendesk_api import ZendeskAccount

    zendesk = settings.zendesk
    if not zendesk.url or not zendesk.token:
        missing = "TRIAGE_ZENDESK__TOKEN" if zendesk.url else "TRIAGE_ZENDESK__URL"
        raise InputError(
            f"{missing} is not set.",
            hint="Set TRIAGE_ZENDESK__URL (https://company.zendesk.com), TRIAGE_ZENDESK__EMAIL, TRIAGE_ZENDESK__TOKEN.",
        )
    return ZendeskAccount(url=zendesk.url, email=zendesk.email, token=zendesk.token.get_secret_value())
