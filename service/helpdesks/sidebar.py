"""GET /sidebar: suggestions for the ticket at hand, as a small page inside the helpdesk's own.

The page holds no data. The helpdesk tells it the ticket, and it asks the API with the key in its address's fragment,
which no server sees. It may be framed by the configured origins alone, and listens to no other.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.helpdesks.options import Helpdesks
from service.pages import BAND_WORDS, render
from service.serving import Held

router = APIRouter(include_in_schema=False)


@router.get("/sidebar")
def sidebar(request: Request, held: Held) -> HTMLResponse:
    """The page, with a policy of its own: everything from here, framed by the helpdesks."""
    origins = held.options.frame_ancestors
    told = {"origins": origins, "confidence": BAND_WORDS, "prefixes": _prefixes(held.options.helpdesks)}
    page = render(request, "sidebar.html", told=told)
    framed_by = " ".join(origins) or "'none'"
    page.headers["Content-Security-Policy"] = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"base-uri 'none'; form-action 'none'; frame-ancestors {framed_by}"
    )
    page.headers["Referrer-Policy"] = "no-referrer"
    return page


def _prefixes(helpdesks: Helpdesks) -> dict[str, str]:
    """What stands before ticket ids, for the helpdesks that have a sidebar, so that webhook and sidebar speak of one
    ticket."""
    return {"zendesk": helpdesks.zendesk.ticket_prefix, "chatwoot": helpdesks.chatwoot.ticket_prefix}
