"""The service's knobs as the settings have them. A knob has one name: TRIAGE_SERVICE__MAX_BATCH fills `max_batch`."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from service.options import ServerOptions, ServiceOptions
from service.traces import Traces
from triage.helpdesks import connected
from triage.keys import access_options
from triage.settings import Settings, frame_ancestors


def service_options(settings: Settings, traces: Traces) -> ServiceOptions:
    """Limits and times of the app."""
    return ServiceOptions(
        threads=settings.threads,
        access=access_options(settings),
        keep_text=settings.privacy.keep_text,
        helpdesks=connected(settings),
        frame_ancestors=frame_ancestors(settings),
        traces=traces,
        **_named(settings, ServiceOptions),
    )


def server_options(settings: Settings) -> ServerOptions:
    """How connections are taken and ended."""
    return ServerOptions(drain_seconds=settings.drain_seconds, **_named(settings, ServerOptions))


def _named(settings: Settings, options: type) -> dict[str, Any]:
    """The settings under TRIAGE_SERVICE__ that these options have a field for."""
    names = {field.name for field in fields(options)}
    return {name: value for name, value in settings.service if name in names}
