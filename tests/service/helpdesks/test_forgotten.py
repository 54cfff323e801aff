"""What is forgotten of deliveries, and what is known of their tickets all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from service.helpdesks.options import HelpdeskOptions
from tickets import webhook_deliveries as deliveries
from tickets.records import Ticket

if TYPE_CHECKING:
    from tests.service.helpdesks.conftest import Connect, Send

Payload = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("others", [True, False])
def test_a_delivery_of_a_helpdesk_that_was_disconnected_fails_and_its_text_is_forgotten(
    connect: Connect, lite: sa.Engine, others: bool
) -> None:
    """Whether other helpdesks are connected or none is any more."""
    now = datetime.now(UTC)
    ticket = Ticket(ticket_id="81", created_at=now, body="I cannot sign in")
    assert deliveries.take(lite, "zammad", "d-1", "81", ticket, now=now)
    kept = HelpdeskOptions(webhook_secret=SecretStr("a secret of the helpdesk"))
    gone = {"zammad": HelpdeskOptions(), "chatwoot": HelpdeskOptions(), "freshdesk": HelpdeskOptions()}
    with connect(lite, zendesk=kept if others else HelpdeskOptions(), **gone) as service:
        service.until("failed")
        (row,) = service.deliveries()
        assert (row.ticket, row.due_at, row.reason) == (None, None, "the helpdesk is no longer connected")
        assert service.desk.asked == []


def test_a_ticket_whose_delivery_was_pruned_is_not_taken_again(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    """Zammad signs no time, so what it sent could come again after any while."""
    with connect(lite) as service:
        send(service, "zammad", payload("zammad_new_ticket"))
        service.until("written back")
        service.suggested()
        assert deliveries.prune(lite, before=datetime.now(UTC)) == 1
        again = send(service, "zammad", payload("zammad_new_ticket"))
        assert again.json() == {"status": "ignored", "reason": "the ticket is known already"}
        assert len(service.desk.ticket("81").notes) == 1
