"""POST /webhooks/{helpdesk}: prove it, read it, keep it, answer. What follows from it happens behind the answer.

Nothing that a helpdesk sends makes the service speak to a customer: see `write_backs` for all that is ever written.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

import sqlalchemy as sa
import structlog
from anyio import to_thread
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse

from service.access import address_of
from service.access.refusals import too_often
from service.helpdesks.judgements import judge
from service.helpdesks.kinds import KINDS, Kind
from service.helpdesks.options import HelpdeskOptions
from service.helpdesks.payloads import Arrived, Judged, Unreadable, parse
from service.helpdesks.signatures import NotProven, Sent
from service.options import utc_now
from service.problems import Problem, documented
from service.schemas import WebhookAnswer
from service.serving import Held, Serving
from service.wire import read_body
from tickets import webhook_deliveries as deliveries
from tickets.records import Ticket

log = structlog.get_logger()
Helpdesk = Annotated[str, Path(description="zendesk, zammad, chatwoot or freshdesk", max_length=40)]
router = APIRouter(tags=["helpdesks"])

Outcome = tuple[str, dict[str, str]]  # what became of a delivery, in a word, and what else to tell of it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    """A delivery on its way in. Until its own id is read, it is known by its content."""

    helpdesk: str
    kind: Kind
    options: HelpdeskOptions
    sent: Sent
    at: datetime
    body_id: str  # SHA-256 of the body, which is signed where the headers that name a delivery are not
    delivery_id: str


@router.post(
    "/webhooks/{helpdesk}",
    response_model=WebhookAnswer,
    responses={
        202: {"model": WebhookAnswer, "description": "A new ticket was taken."},
        **documented(400, 401, 404, 408, 413, 415, 422, 429, 503),
    },
    operation_id="receive_webhook",
)
async def receive(helpdesk: Helpdesk, request: Request, held: Held) -> JSONResponse:
    """Take a helpdesk's webhook: 202 for a new ticket, 200 for whatever needs no work."""
    options, kind = held.options.helpdesks.named(helpdesk), KINDS.get(helpdesk)
    if options is None or kind is None:
        raise Problem(
            404,
            "helpdesk-not-connected",
            "no such helpdesk is connected.",
            hint="Set its TRIAGE_..__WEBHOOK_SECRET; docs/helpdesks.md tells how.",
        )
    sent = Sent(raw=await read_body(request), headers=request.headers, token=request.query_params.get("token", ""))
    body_id = hashlib.sha256(sent.raw).hexdigest()
    given = _Delivery(
        helpdesk=helpdesk, kind=kind, options=options, sent=sent, at=utc_now(), body_id=body_id, delivery_id=body_id
    )
    _prove(request, held, given)
    outcome, detail = await to_thread.run_sync(_take, held, given)
    held.metrics.webhooks.labels(helpdesk, outcome).inc()
    if outcome == "taken":
        request.app.state.write_backs.nudge()
    return JSONResponse({"status": outcome, **detail}, status_code=202 if outcome == "taken" else 200)


def _prove(request: Request, held: Serving, given: _Delivery) -> None:
    """Raises Problem: 401 for a delivery that is not from the helpdesk, 429 for an address that sends too many such."""
    failures, address = request.app.state.access.failures, address_of(request.scope)
    if failures.is_over(address):
        raise too_often(failures, address, what="wrong webhooks")
    try:
        given.kind.prove(given.sent, given.options, given.at)
    except NotProven as doubt:
        held.metrics.webhooks.labels(given.helpdesk, doubt.why).inc()
        log.warning("webhook refused", helpdesk=given.helpdesk, why=doubt.why)
        failures.count(address)
        raise Problem(
            401,
            f"webhook-{doubt.why}",
            doubt.detail,
            hint="Compare the secret in the helpdesk with the one configured here, and both machines' clocks.",
        ) from doubt


def _take(held: Serving, given: _Delivery) -> Outcome:
    """What became of a delivery. Raises Problem: 422 for one that cannot be read, 503 while too many wait."""
    try:
        payload = parse(given.sent.raw)
        given = replace(
            given, delivery_id=_short(given.kind.delivery_id(payload, given.sent.headers)) or given.delivery_id
        )
        if deliveries.seen(held.engine, given.helpdesk, {given.delivery_id, given.body_id}):
            return "repeated", {}
        told = given.kind.read(payload, given.options, given.at)
    except Unreadable as reason:
        raise _unreadable(held, given, str(reason)) from reason
    known = told.arrived and deliveries.has_ticket(held.engine, given.helpdesk, told.arrived.ticket_id)
    if told.arrived and not known:
        return _arrive(held, given, told.arrived)
    if told.judged and (action := _judge(held, given, told.judged)):
        return "feedback", {"action": action}
    return "ignored", {"reason": "the ticket is known already" if known else told.otherwise}


def _arrive(held: Serving, given: _Delivery, arrived: Arrived) -> Outcome:
    limit = held.options.helpdesks.max_waiting
    if deliveries.waiting(held.engine) >= limit:
        raise Problem(
            503,
            "too-many-deliveries",
            f"{limit:,} deliveries wait to be written back.",
            hint="Send it again later; the table webhook_deliveries says why they wait.",
            retry_after=held.options.retry_after_seconds,
        )
    ticket = Ticket(
        ticket_id=given.options.ticket_prefix + arrived.ticket_id,
        created_at=arrived.created_at,
        subject=arrived.subject,
        body=arrived.body,
        channel=arrived.channel,
        language=arrived.language,
        customer_key=held.choices.customer_key(arrived.customer),
        attributes=arrived.attributes,
    )
    if not deliveries.take(held.engine, given.helpdesk, given.delivery_id, arrived.ticket_id, ticket, now=given.at):
        return "repeated", {}
    return "taken", {"suggestion_id": deliveries.suggestion_id_of(given.helpdesk, arrived.ticket_id)}


def _judge(held: Serving, given: _Delivery, judged: Judged) -> str | None:
    """Keep a judgement; None when it is no feedback, or none that is new. It is known by its body: sent again under
    another name, it would turn back what an agent has decided since."""
    given = replace(given, delivery_id=given.body_id)
    action = judge(held, given.helpdesk, given.options, judged, delivery_id=given.delivery_id)
    if action is not None:
        _note(held, given, "feedback", ticket_id=judged.ticket_id, reason=action)
    return action


def _note(held: Serving, given: _Delivery, status: str, *, reason: str, ticket_id: str | None = None) -> None:
    deliveries.note(
        held.engine, given.helpdesk, given.delivery_id, status, now=given.at, ticket_id=ticket_id, reason=reason
    )


def _unreadable(held: Serving, given: _Delivery, reason: str) -> Problem:
    """Keep that it came and why it could not be read, and tell the helpdesk."""
    held.metrics.webhooks.labels(given.helpdesk, "unreadable").inc()
    log.warning("webhook unreadable", helpdesk=given.helpdesk, reason=reason)
    try:
        _note(held, given, "failed", reason=reason)
    except sa.exc.SQLAlchemyError as error:  # the helpdesk hears of the payload all the same
        log.error("webhook not kept", kind=type(error).__qualname__)
    return Problem(422, "webhook-unreadable", reason, hint="docs/helpdesks.md shows what is expected.")


def _short(delivery_id: str) -> str:
    """An id that fits its column: a longer or unprintable one is known by its hash."""
    if len(delivery_id) <= 200 and delivery_id.isprintable():
        return delivery_id
    return hashlib.sha256(delivery_id.encode("utf-8", "replace")).hexdigest()
