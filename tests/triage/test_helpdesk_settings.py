"""TRIAGE_* of helpdesks become what the service is told; a half that needs its other half is refused."""

from __future__ import annotations

import pytest

from tickets.errors import InputError
from triage.helpdesks import connected
from triage.settings import frame_ancestors, read_settings

LONG = "sixteen-letters-"


def test_settings_reach_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "ZENDESK__URL": "https://rondo.zendesk.com",
        "ZENDESK__EMAIL": "bot@rondo.example",
        "ZENDESK__TOKEN": "s3cret-token",
        "ZENDESK__WEBHOOK_SECRET": "s3cret-of-the-webhook",
        "ZENDESK__WRITE_BACK": "tags, field",
        "ZENDESK__CONTACT_TYPE_FIELD": "360001",
        "ZENDESK__FIELD_VALUES": '{"refund": "payments__refund"}',
        "ZENDESK__ATTRIBUTES": '{"brand_id": "detail.brand_id"}',
        "CHATWOOT__URL_TOKEN": "a-long-random-word",
        "FRAME_ANCESTORS": "https://*.apps.zdusercontent.com, https://rondo.zendesk.com",
    }.items():
        monkeypatch.setenv(f"TRIAGE_{name}", value)
    settings = read_settings()
    helpdesks = connected(settings)
    zendesk = helpdesks.named("zendesk")
    assert zendesk is not None
    assert (zendesk.user, zendesk.url, zendesk.writes) == (
        "bot@rondo.example",
        "https://rondo.zendesk.com",
        {"tags", "field"},
    )
    assert zendesk.field_values == {"refund": "payments__refund"}
    assert helpdesks.named("chatwoot") is not None
    assert helpdesks.named("zammad") is None
    assert helpdesks.named("elsewhere") is None
    assert frame_ancestors(settings) == ("https://*.apps.zdusercontent.com", "https://rondo.zendesk.com")
    assert "s3cret" not in repr(settings) + repr(helpdesks)


@pytest.mark.parametrize(
    "odd", ["*", "company.zendesk.com", "https://a.example/path", "https://a.example; script-src *"]
)
def test_what_is_no_origin_may_not_frame(monkeypatch: pytest.MonkeyPatch, odd: str) -> None:
    monkeypatch.setenv("TRIAGE_FRAME_ANCESTORS", odd)
    with pytest.raises(InputError, match="is no origin"):
        frame_ancestors(read_settings())


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"ZAMMAD__WRITE_BACK": "notes"}, "TRIAGE_ZAMMAD__WRITE_BACK"),
        ({"ZAMMAD__WRITE_BACK": "field", "ZAMMAD__WEBHOOK_SECRET": LONG}, "no field is named"),
        ({"CHATWOOT__WRITE_BACK": "field", "CHATWOOT__URL_TOKEN": LONG}, "TRIAGE_CHATWOOT__WRITE_BACK has `field`"),
        ({"FRESHDESK__WEBHOOK_SECRET": LONG[:15]}, "TRIAGE_FRESHDESK__WEBHOOK_SECRET is shorter than 16 characters"),
        ({"ZENDESK__WEBHOOK_SECRET": ""}, "TRIAGE_ZENDESK__WEBHOOK_SECRET is shorter"),
        ({"CHATWOOT__URL_TOKEN": "word"}, "TRIAGE_CHATWOOT__URL_TOKEN is shorter"),
        (
            {"CHATWOOT__WEBHOOK_SECRET": LONG, "CHATWOOT__URL": "https://c.example", "CHATWOOT__TOKEN": "t"},
            "TRIAGE_CHATWOOT__ACCOUNT is no number",
        ),
    ],
)
def test_a_setting_that_cannot_work_is_told(monkeypatch: pytest.MonkeyPatch, names: dict[str, str], told: str) -> None:
    for name, value in names.items():
        monkeypatch.setenv(f"TRIAGE_{name}", value)
    with pytest.raises(InputError, match=told) as refused:
        connected(read_settings())
    assert LONG[:15] not in str(refused.value)
