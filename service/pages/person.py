"""Who sits at the screen, so that feedback and labels say who gave them.

A personal key names its person. A key that several people share, or a service without keys, leaves the name to
whoever works: it is kept in a cookie, and is no more than what they wrote.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from service.access import caller_of, is_inside

_COOKIE = "triage_person"
LONGEST_BACK = 4000  # letters of an address
_ONE_YEAR_SECONDS = 365 * 24 * 3600

router = APIRouter(include_in_schema=False)


def person_of(request: Request) -> str | None:
    """The name of the caller's own key; with a shared one the name in the cookie, at most 100 characters, or None."""
    caller = caller_of(request)
    if caller is not None and not caller.shared:
        return caller.name
    name = "".join(letter for letter in unquote(request.cookies.get(_COOKIE, "")) if letter.isprintable())
    return name.strip()[:100] or None


def names_itself(request: Request) -> bool:
    """Whether whoever works here writes their own name."""
    caller = caller_of(request)
    return caller is not None and caller.shared


@router.post("/person")
def remember_person(
    request: Request,
    name: Annotated[str, Form(max_length=100)] = "",
    back: Annotated[str, Form(max_length=LONGEST_BACK)] = "/console",
) -> RedirectResponse:
    """Keep the name and return to the page it was given on; an empty name is forgotten."""
    answer = RedirectResponse(back if is_inside(back) else "/console", status_code=303)
    secure = request.url.scheme == "https"
    if name.strip():
        kept = quote(name.strip())
        answer.set_cookie(_COOKIE, kept, max_age=_ONE_YEAR_SECONDS, httponly=True, samesite="strict", secure=secure)
    else:
        answer.delete_cookie(_COOKIE, httponly=True, samesite="strict", secure=secure)
    return answer
