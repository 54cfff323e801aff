"""In front of every route: who asks, may they, how often. An address that no line of roles.py names is for
administrators, so a new router is closed until somebody opens it.

Plain ASGI. With a key that was seen a moment ago it costs some ten microseconds.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlsplit

import sqlalchemy as sa
import structlog
from anyio import to_thread
from fastapi import Request
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import ANYBODY, CALLER, Caller, address_of
from service.access.bodies import checked
from service.access.cross_site import comes_from_here, only_reads
from service.access.keyring import DatabaseAway, Keyring
from service.access.oidc import Provider, ProviderAway
from service.access.options import AccessOptions
from service.access.rates import Rates
from service.access.refusals import (
    cross_site,
    no_key,
    no_look_up,
    no_provider,
    rate_headers,
    strange,
    too_many,
    too_often,
    wrong_role,
)
from service.access.roles import Needed, is_strange, needed_for
from service.access.sessions import COOKIE, Sessions
from service.access.signed_out import given_back, is_form_of_ours
from service.pages import wants_page
from service.problems import Problem, respond
from tickets.api_keys import ApiKey, id_of, note_used
from tickets.audit import record
from tickets.errors import MachineError

log = structlog.get_logger()


class Access:
    """What one app knows of keys, sessions and rates; the guard and the login page share it."""

    def __init__(self, engine: sa.Engine, options: AccessOptions, sessions: Sessions) -> None:
        self.engine = engine
        self.options = options
        self.sessions = sessions
        self.keyring = Keyring(engine, options)
        self.provider = Provider(options.oidc) if options.oidc else None
        self.requests = Rates(options.requests_per_minute)
        self.failures = Rates(options.failures_per_minute)
        self.used = Rates(1)  # the use of a key is noted once a minute
        self.told = Rates(1)  # one line a minute in the audit log for one refusal that repeats itself
        self._noting: set[asyncio.Task[None]] = set()

    async def by_key(self, written: str, address: str) -> ApiKey | None:
        """The working key that is written so. None, and a failure counted for the address, when there is none. Raises
        DatabaseAway, and Problem when the address has guessed too often."""
        key_id = id_of(written)
        if key_id is not None:
            key = self.keyring.remembered(key_id)
            if key is None and (self.keyring.knows(key_id) or not self.failures.is_over(address)):
                key = await self.keyring.find(key_id)
            if key is not None and key.is_written(written):
                self._note_use(key)
                return key
        if not self.failures.count(address):
            raise too_often(self.failures, address, what="wrong keys")
        return None

    def _note_use(self, key: ApiKey) -> None:
        """Once a minute, behind the request: nobody waits for it, and without a database it is left out."""
        if not self.used.count(key.key_id):
            return

        async def write() -> None:
            try:
                await to_thread.run_sync(lambda: note_used(self.engine, key.key_id, at=datetime.now(UTC)))
            except sa.exc.SQLAlchemyError as error:
                log.warning("use of a key not noted", kind=type(error).__qualname__)

        task = asyncio.create_task(write())
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)

    async def note(self, *, actor: str, action: str, target: str, request_id: str, **details: Any) -> None:
        """A line in the audit log. Without a database it is only logged."""

        def write() -> None:
            record(
                self.engine,
                at=datetime.now(UTC),
                actor=actor,
                action=action,
                target=target,
                request_id=request_id,
                details=details,
            )

        log.info(action, actor=actor, target=target)
        try:
            await to_thread.run_sync(write)
        except sa.exc.SQLAlchemyError as error:
            log.warning("audit log not written", kind=type(error).__qualname__)


_PROBES = ("/livez", "/readyz", "/v2/health/")  # a busy process is alive; whoever watches it must not end it for that


class Guard:
    """Wraps the app; see the module."""

    def __init__(self, app: ASGIApp, *, access: Access) -> None:
        self.app = app
        self.access = access
        self.options = access.options
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._pass_other(scope, receive, send)
            return
        if self.under_way >= self.options.max_requests and not scope["path"].startswith(_PROBES):
            scope["app"].state.serving.metrics.refused("too many requests")
            await respond(Request(scope), too_many(self.options.max_requests))(scope, receive, send)
            return
        self.under_way += 1
        try:
            await self._guard(scope, receive, send)
        finally:
            self.under_way -= 1

    async def _pass_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        options = self.options
        body = checked(scope, receive, max_depth=options.max_json_depth, seconds=options.body_seconds)
        try:
            if is_strange(scope["path"]):
                raise strange()
            needed = needed_for(scope["path"], metrics=options.metrics)
            if needed != "open":
                send = self._with_rate(send, await self._let_in(scope, needed))
        except Problem as problem:
            if problem.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                scope["app"].state.serving.metrics.refused("rate")
            answer = await self._refuse(request, body, problem)
            await answer(scope, receive, send)
            return
        await self.app(scope, body, send)

    async def _let_in(self, scope: Scope, needed: Needed) -> Caller:
        """Who asks. Raises Problem for those who may not."""
        headers = Headers(scope=scope)
        caller = await self._caller(scope, headers)
        if caller is None:
            if self.options.require_keys:
                raise no_key()
            caller = ANYBODY
        scope[CALLER] = caller
        by_cookie = caller.how == "session"
        if (
            (by_cookie or caller is ANYBODY)
            and not only_reads(scope)
            and not comes_from_here(headers, must_say=by_cookie)
        ):
            raise cross_site()
        if needed != "open" and not caller.may(needed):
            await self._note_refusal(scope, caller, needed)
            raise wrong_role(caller.role, needed)
        if caller is not ANYBODY and not self.access.requests.count(caller.id):
            raise too_often(self.access.requests, caller.id, what="requests")
        return caller

    async def _caller(self, scope: Scope, headers: Headers) -> Caller | None:
        """By what the request carries: a key, a token, or the cookie of a session. Raises Problem for a wrong key."""
        given = headers.get("authorization")
        try:
            if given is not None and given[:7].lower() == "bearer ":  # a proxy's own, such as Basic, is none of ours
                return await self._bearer(given[7:].strip(), address_of(scope))
            cookie = headers.get("cookie")
            if cookie is not None and COOKIE in cookie:
                return await self._session(cookie_parser(cookie).get(COOKIE, ""))
        except DatabaseAway as error:
            raise no_look_up() from error
        except ProviderAway as error:
            raise no_provider() from error
        if given is not None and self.options.require_keys:
            raise no_key(wrong=True)
        return None

    async def _bearer(self, written: str, address: str) -> Caller:
        if self.access.provider is not None and written.count(".") == 2:
            known = self.access.provider.remembered(written)
            if known is None and self.access.failures.is_over(address):
                raise too_often(self.access.failures, address, what="wrong tokens")
            found = known or await self.access.provider.caller(written)
            if found is not None:
                return found
            self.access.failures.count(address)
        elif (key := await self.access.by_key(written, address)) is not None:
            return _as_caller(key, "key")
        raise no_key(wrong=True)

    async def _session(self, cookie: str) -> Caller | None:
        """Who signed in; None when the session is over, as for a browser that brings no cookie."""
        try:
            key_id = self.access.sessions.key_id(cookie)
        except MachineError as error:
            raise Problem(503, "not-ready", error.message, hint=error.hint, retry_after=30) from error
        key = await self.access.keyring.find(key_id) if key_id is not None else None
        return _as_caller(key, "session") if key is not None else None

    async def _note_refusal(self, scope: Scope, caller: Caller, needed: Needed) -> None:
        if self.access.told.count(f"{caller.id} {needed}"):
            place = "/" + scope["path"].split("/")[1][:40]
            await self.access.note(
                actor=caller.name,
                action="role refused",
                target=place,
                request_id=scope.get("request_id", ""),
                key=caller.id,
                role=caller.role,
                needed=needed,
            )

    def _with_rate(self, send: Send, caller: Caller) -> Send:
        if caller is ANYBODY:
            return send

        async def send_with_rate(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *rate_headers(self.access.requests, caller.id)]
            await send(message)

        return send_with_rate

    async def _refuse(self, request: Request, body: Receive, problem: Problem) -> Response:
        """The problem; to a browser without a session, the way to the login page, and back what it sent."""
        headers = request.headers
        if problem.status_code != 401:
            return respond(request, problem)
        if "hx-request" in headers:  # htmx follows this with the whole page, and with it goes what is being written
            writing = urlsplit(headers.get("hx-current-url", "")).path.startswith("/console/suggestions/")
            return Response(status_code=401, headers={} if writing else {"HX-Redirect": "/login"})
        if request.method == "GET" and wants_page(headers) and "authorization" not in headers:
            return _to_login(request)
        page = await given_back(request.scope, body, problem) if is_form_of_ours(request) else None
        return page or respond(request, problem)


def _to_login(request: Request) -> Response:
    """To the login page and back. A browser that follows a link from elsewhere has kept its cookie to itself
    (SameSite=Strict), so it is first asked to come again from here."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        return Response(media_type="text/html", headers={"Refresh": f"0; url={quote(here, safe='/?&=%+')}"})
    return RedirectResponse(f"/login?next={quote(here, safe='/')}", status_code=303)


def _as_caller(key: ApiKey, how: Any) -> Caller:
    return Caller(id=key.key_id, name=key.name, role=key.role, how=how, shared=key.shared)
