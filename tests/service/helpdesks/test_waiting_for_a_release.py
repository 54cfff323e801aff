"""Deliveries that come before there is a model to answer them."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import sqlalchemy as sa

from service.app import create_app, running
from service.helpdesks.options import Helpdesks
from service.options import ServiceOptions, utc_now
from tests.waiting import soon
from tickets import webhook_deliveries
from tickets.records import Ticket
from tickets.workspace import Workspace


def test_a_delivery_may_wait_for_a_release_as_long_as_it_takes(
    workspace: Workspace, lite: sa.Engine, knobs: Callable[..., Helpdesks]
) -> None:
    """Tried thousands of times, its next wait is still a number, and the service goes on."""
    ticket = Ticket(ticket_id="81", created_at=utc_now(), body="I cannot sign in.")
    webhook_deliveries.take(lite, "zammad", "d-1", "81", ticket, now=utc_now())
    with lite.begin() as connection:
        connection.execute(sa.text("UPDATE webhook_deliveries SET attempts = 5000"))

    def reason() -> object:
        with lite.connect() as connection:
            return connection.execute(sa.text("SELECT reason FROM webhook_deliveries")).scalar()

    options = ServiceOptions(helpdesks=knobs(url="http://127.0.0.1:9"))
    with running(create_app(workspace, lite, options)) as address:
        assert soon(lambda: reason() == "no-release")
        assert httpx.get(f"{address}/livez").status_code == 200
