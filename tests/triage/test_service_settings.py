"""The service's knobs can all be set, and each is explained."""

from __future__ import annotations

from dataclasses import fields

import pytest

from service.options import LogOptions, ServerOptions, ServiceOptions
from service.traces import NO_TRACES
from tickets.errors import InputError
from triage.reference.settings import every_setting
from triage.service_options import server_options, service_options
from triage.settings import LogSettings, ServiceSettings, read_settings

NOT_OF_THE_ENVIRONMENT = {"clock", "traces"}
OF_OTHER_NAMES = {"threads", "drain_seconds", "access", "keep_text", "helpdesks", "frame_ancestors"}


def test_every_knob_of_the_service_is_a_setting_with_the_same_default() -> None:
    known = ServiceSettings()
    for field in (*fields(ServiceOptions), *fields(ServerOptions)):
        if field.name not in NOT_OF_THE_ENVIRONMENT | OF_OTHER_NAMES:
            assert getattr(known, field.name) == field.default, f"TRIAGE_SERVICE__{field.name.upper()}"
    assert [(field.name, field.default) for field in fields(LogOptions)] == list(LogSettings())


def test_a_setting_reaches_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "TRIAGE_SERVICE__MAX_BATCH": "7",
        "TRIAGE_SERVICE__STOP_SECONDS": "3",
        "TRIAGE_DRAIN_SECONDS": "2.5",
        "TRIAGE_THREADS": "4",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    options = service_options(settings, NO_TRACES)
    assert (options.max_batch, options.threads) == (7, 4)
    assert (server_options(settings).stop_seconds, server_options(settings).drain_seconds) == (3, 2.5)
    assert settings.otlp_endpoint == "http://collector:4318"


def test_a_setting_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_LOG__LEVEL", "loud")
    with pytest.raises(InputError, match="TRIAGE_LOG__LEVEL is 'loud'"):
        read_settings()


def test_every_setting_is_explained() -> None:
    assert [name for name, _, said in every_setting() if not said] == []
