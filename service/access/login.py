"""/login and /logout: a key becomes the session of a browser, and ends being one.

The link of the first start brings its key in the address (`/login?key=...`); the answer leads on at once, so that it
does not stay there.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.access import address_of, is_inside
from service.access.cross_site import comes_from_here
from service.access.guard import Access
from service.access.keyring import DatabaseAway
from service.access.refusals import cross_site, no_look_up
from service.pages import render

router = APIRouter(include_in_schema=False)

_FIRST_PAGE = "/console"
_NO_REFERRER = {"Referrer-Policy": "no-referrer"}  # the address may hold a key


@router.get("/login")
async def login_page(
    request: Request,
    key: Annotated[str, Query(max_length=200)] = "",
    next_page: Annotated[str, Query(alias="next", max_length=2000)] = _FIRST_PAGE,
) -> Response:
    """The form; with a key in the address, the session that it begins. A link on another site cannot begin one."""
    if key and comes_from_here(request.headers, must_say=False):
        return await _sign_in(request, key, next_page)
    return _form(request, next_page)


@router.post("/login")
async def login(
    request: Request,
    key: Annotated[str, Form(max_length=200)] = "",
    next_page: Annotated[str, Form(alias="next", max_length=2000)] = _FIRST_PAGE,
) -> Response:
    """Begin the session of a key that was pasted into the form."""
    if not comes_from_here(request.headers, must_say=False):
        raise cross_site()
    return await _sign_in(request, key, next_page)


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session in this browser."""
    if not comes_from_here(request.headers, must_say=True):
        raise cross_site()
    answer = RedirectResponse("/login", status_code=303)
    _access(request).sessions.end(answer, secure=request.url.scheme == "https")
    return answer


async def _sign_in(request: Request, written: str, next_page: str) -> Response:
    access = _access(request)
    try:
        key = await access.by_key(written.strip(), address_of(request.scope))
    except DatabaseAway as error:
        raise no_look_up() from error
    if key is None:
        return _form(request, next_page, wrong=True)
    await access.note(
        actor=key.name, action="signed in", target=key.key_id, request_id=request.scope.get("request_id", "")
    )
    answer = RedirectResponse(next_page if is_inside(next_page) else _FIRST_PAGE, status_code=303, headers=_NO_REFERRER)
    access.sessions.begin(answer, key, secure=request.url.scheme == "https")
    return answer


def _form(request: Request, next_page: str, *, wrong: bool = False) -> HTMLResponse:
    page = render(
        request,
        "login.html",
        status_code=401 if wrong else 200,
        wrong=wrong,
        next_page=next_page if is_inside(next_page) else _FIRST_PAGE,
    )
    page.headers.update(_NO_REFERRER)
    return page


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access
