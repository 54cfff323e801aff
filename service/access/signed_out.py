"""What a form sent after its session had ended, given back on a page that sends it again when its writer has signed in.

Only a form of our own pages is given back: with one from elsewhere, whoever presses the button would send what a
stranger wrote.
"""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from service.access.cross_site import comes_from_here
from service.pages import render, wants_page
from service.problems import Problem

_MOST_FIELDS = 100  # a form of ours has a dozen; whoever is not signed in is not worth the reading of more
_WRITTEN = {"reply": "Your reply", "subject": "Subject", "body": "What the customer wrote"}


def is_form_of_ours(request: Request) -> bool:
    """Whether a browser sent it from a page of ours, with nothing but its cookie to let it in."""
    headers = request.headers
    form = headers.get("content-type", "").startswith(("application/x-www-form-urlencoded", "multipart/form-data"))
    sent = request.method == "POST" and form and wants_page(headers) and "authorization" not in headers
    return sent and comes_from_here(headers, must_say=True)


async def given_back(scope: Scope, receive: Receive, problem: Problem) -> Response | None:
    """The page with what was chosen and written; None for a form that is malformed, too large or too slow."""
    request = Request(scope, receive)
    try:
        sent = await request.form(max_files=0, max_fields=_MOST_FIELDS)
    except HTTPException:  # every Problem is one
        return None
    fields = [(name, value) for name, value in sent.multi_items() if isinstance(value, str)]
    query = f"?{request.url.query}" if request.url.query else ""
    page = render(
        request,
        "signed_out.html",
        status_code=problem.status_code,
        action=request.url.path + query,
        kept=[(name, value) for name, value in fields if name not in _WRITTEN],
        written=[(name, _WRITTEN[name], value) for name, value in fields if name in _WRITTEN],
    )
    page.headers.update(problem.headers or {})
    return page
