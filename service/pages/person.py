"""Who sits at the screen: a name kept in a cookie, so that feedback and labels say who gave them.

It is a name, not a login: whoever reaches the service may write any. The service binds to loopback unless told
otherwise.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

_COOKIE = "triage_person"
_ONE_YEAR_SECONDS = 365 * 24 * 3600

router = APIRouter(include_in_schema=False)


def person_of(request: Request) -> str | None:
    """The name in the cookie, at most 100 characters, or None."""
    name = "".join(letter for letter in unquote(request.cookies.get(_COOKIE, "")) if letter.isprintable())
    return name.strip()[:100] or None


@router.post("/person")
def remember_person(
    name: Annotated[str, Form(max_length=100)] = "", back: Annotated[str, Form(max_length=200)] = "/console"
) -> RedirectResponse:
    """Keep the name and return to the page it was given on; an empty name is forgotten."""
    # Only a path of this service: `//elsewhere` and `/\elsewhere` would lead the browser to another host.
    inside = back.startswith("/") and not back.startswith(("//", "/\\")) and back.isprintable()
    answer = RedirectResponse(back if inside else "/console", status_code=303)
    if name.strip():
        answer.set_cookie(_COOKIE, quote(name.strip()), max_age=_ONE_YEAR_SECONDS, httponly=True, samesite="strict")
    else:
        answer.delete_cookie(_COOKIE, httponly=True, samesite="strict")
    return answer
