"""The console's addresses, gathered: the queue, one ticket, sending and undoing, a new ticket, reply templates."""

from __future__ import annotations

from fastapi import APIRouter

from service.console import new_ticket, queue_page, sending, templates_found, ticket_page

router = APIRouter(include_in_schema=False)
for _part in (queue_page, ticket_page, sending, new_ticket, templates_found):
    router.include_router(_part.router)
