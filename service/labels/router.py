"""The addresses of /labels, gathered: the queue, disputes, suspects, people, undo."""

from __future__ import annotations

from fastapi import APIRouter

from service.labels import disputes_page, people_page, queue_page, suspects_page, undoing

router = APIRouter(include_in_schema=False)
for _part in (disputes_page, suspects_page, people_page, undoing, queue_page):
    router.include_router(_part.router)
