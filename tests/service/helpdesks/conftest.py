"""A helpdesk on loopback that speaks all four APIs, a service connected to it, and deliveries signed as each signs."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from service.access.options import AccessOptions
from service.app import create_app, running
from service.helpdesks.options import HelpdeskOptions, Helpdesks
from service.options import ServiceOptions
from tests.service.conftest import KEY, admit
from tickets.database import api_keys, feedback, metadata, open_database, suggestions, webhook_deliveries
from tickets.workspace import Workspace

PAYLOADS = Path(__file__).with_name("payloads")
SECRET = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
TOKEN = "token-of-an-agent"
_CREDENTIALS = {
    "zendesk": "Basic " + base64.b64encode(f"bot@rondo.example/token:{TOKEN}".encode()).decode(),
    "zammad": f"Token token={TOKEN}",
    "chatwoot": TOKEN,
    "freshdesk": "Basic " + base64.b64encode(f"{TOKEN}:X".encode()).decode(),
}


@dataclass
class Held:
    """What stands in one ticket of the helpdesk. A note is its text, and whether customers are kept from it."""

    tags: list[str] = field(default_factory=lambda: ["vip"])
    fields: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, bool]] = field(default_factory=list)


@dataclass
class Desk:
    """The helpdesk. `moods` are answers it gives instead of doing as asked, one a request, first come first."""

    url: str = ""
    tickets: dict[str, Held] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    moods: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    slow: float = 0.0
    breaks_after_a_note: bool = False  # the request after the first note finds it out of order

    def reset(self) -> None:
        self.tickets, self.asked, self.moods = {}, [], []
        self.slow, self.breaks_after_a_note = 0.0, False

    def ticket(self, number: str) -> Held:
        return self.tickets.setdefault(number, Held())

    def answer(self, method: str, path: str, body: Any) -> Any:  # noqa: PLR0911  # one line a path
        """As the helpdesk that has such a path; None for a path that none of them has. Notes are public unless asked
        otherwise, as with the real ones."""
        match [method, *path.strip("/").split("/")]:
            case ["PUT", "api", "v2", "tickets", name] if name.endswith(".json"):
                return self._zendesk_update(self.ticket(name.removesuffix(".json")), body["ticket"])
            case ["PUT", "api", "v2", "tickets", number, "tags.json"]:
                self.ticket(number).tags += [one for one in body["tags"] if one not in self.ticket(number).tags]
                return {"tags": self.ticket(number).tags}
            case ["GET", "api", "v2", "tickets", number, "comments.json"]:
                return {"comments": [{"body": text, "public": not own} for text, own in self.ticket(number).notes]}
            case ["POST", "api", "v2", "tickets", number, "notes"]:
                return self._note(number, body["body"], body.get("private", True))
            case ["GET", "api", "v2", "tickets", number]:
                return {"id": int(number), "tags": self.ticket(number).tags}
            case ["GET", "api", "v2", "tickets", number, "conversations"]:
                return [{"body_text": text, "private": own} for text, own in self.ticket(number).notes]
            case ["PUT", "api", "v2", "tickets", number]:
                self.ticket(number).tags = body.get("tags", self.ticket(number).tags)
                self.ticket(number).fields |= body.get("custom_fields", {})
                return {"id": int(number)}
            case ["PUT", "api", "v1", "tickets", number]:
                changed = dict(body)
                if article := changed.pop("article", None):
                    self._note(number, article["body"], article.get("internal", False))
                self.ticket(number).fields |= changed
                return {"id": int(number)}
            case ["POST", "api", "v1", "tags", "add"]:
                self.ticket(str(body["o_id"])).tags.append(body["item"])
                return True
            case ["GET", "api", "v1", "ticket_articles", "by_ticket", number]:
                return [{"body": text, "internal": own} for text, own in self.ticket(number).notes]
            case [_, "api", "v1", "accounts", "3", "conversations", number, *rest]:
                return self._chatwoot(method, number, rest, body)
        return None

    def _zendesk_update(self, held: Held, change: Mapping[str, Any]) -> Any:
        if comment := change.get("comment"):
            held.notes.append((comment["body"], not comment.get("public", True)))
        held.fields |= {str(one["id"]): one["value"] for one in change.get("custom_fields", ())}
        held.tags = change.get("tags", held.tags)  # an update with tags replaces all of them
        return {"ticket": {}}

    def _chatwoot(self, method: str, number: str, rest: list[str], body: Any) -> Any:  # noqa: PLR0911  # one line a path
        held = self.ticket(number)
        match [method, *rest]:
            case ["POST", "messages"]:
                return self._note(number, body["content"], body.get("private", False))
            case ["GET", "messages"]:
                return {"payload": [{"content": text, "private": own} for text, own in held.notes]}
            case ["GET", "labels"]:
                return {"payload": held.tags}
            case ["POST", "labels"]:
                held.tags = body["labels"]
                return {"payload": held.tags}
            case ["GET"]:
                return {"id": int(number), "custom_attributes": held.fields}
            case ["POST", "custom_attributes"]:
                held.fields = body["custom_attributes"]
                return {"custom_attributes": held.fields}
        return None

    def _note(self, number: str, text: str, private: bool) -> Any:
        self.ticket(number).notes.append((text, private))
        return {"id": 1}


@dataclass
class Connected:
    """A running service that the helpdesk sends to."""

    address: str
    client: httpx.Client
    engine: sa.Engine
    desk: Desk
    app: FastAPI
    counted: dict[str, float] = field(default_factory=dict)  # by the metric, before this test

    def deliveries(self) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(webhook_deliveries).order_by(webhook_deliveries.c.at)).all())

    def statuses(self) -> list[str]:
        return [row.status for row in self.deliveries()]

    def suggested(self) -> list[Any]:
        assert self.app.state.serving.spool.settle(seconds=10)
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(suggestions)).all())

    def feedback(self) -> list[tuple[str, str | None, str | None]]:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(feedback).order_by(feedback.c.at)).all()
        return [(row.action, row.contact_type, row.agent) for row in rows]

    def until(self, *wanted: str, within: float = 10) -> None:
        """Wait until the deliveries have these statuses, oldest first."""
        ends = time.monotonic() + within
        while self.statuses() != list(wanted):
            assert time.monotonic() < ends, (self.statuses(), [row.reason for row in self.deliveries()])
            time.sleep(0.02)

    def count(self, helpdesk: str, outcome: str) -> float:
        """The metric of deliveries."""
        sample = f'triage_webhook_deliveries_total{{helpdesk="{helpdesk}",outcome="{outcome}"}}'
        return self.counts().get(sample, 0.0) - self.counted.get(sample, 0.0)

    def counts(self) -> dict[str, float]:
        lines = [line for line in self.client.get("/metrics").text.splitlines() if line.startswith("triage_webhook")]
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[sa.Engine]:
    """One kind of database, where the other would show nothing new."""
    opened = open_database(f"sqlite:///{tmp_path / 'lite.db'}")
    yield opened
    opened.dispose()


Connect = Callable[..., AbstractContextManager[Connected]]
Send = Callable[..., httpx.Response]


@pytest.fixture
def desk(desk_server: Desk) -> Iterator[Desk]:
    yield desk_server
    desk_server.reset()


@pytest.fixture(scope="session")
def desk_server() -> Iterator[Desk]:
    """One server for the session; `desk` empties it after each test."""
    made = Desk()
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT"])
    async def any_path(path: str, request: Request) -> Response:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        made.asked.append((request.method, request.url.path, copy.deepcopy(body)))
        time.sleep(made.slow)
        given = request.headers.get("authorization") or request.headers.get("api_access_token")
        if given not in _CREDENTIALS.values():
            return JSONResponse({"error": "no"}, status_code=401)
        if made.moods:
            status, headers = made.moods.pop(0)
            return JSONResponse({"error": "a mood"}, status_code=status, headers=headers)
        if made.breaks_after_a_note and any(held.notes for held in made.tickets.values()):
            made.breaks_after_a_note = False
            return JSONResponse({"error": "out of order"}, status_code=500)
        found = made.answer(request.method, request.url.path, body)
        return JSONResponse({} if found is None else found, status_code=404 if found is None else 200)

    app.state.options = ServiceOptions()  # the limits of connections that `running` sets
    with running(app) as address:
        made.url = address
        yield made


@pytest.fixture(scope="session")
def knobs() -> Callable[..., Helpdesks]:
    """Options of all four helpdesks at an address, impatient enough for tests. What is named is changed in each."""

    def options(**changed: Any) -> Helpdesks:
        one = HelpdeskOptions(
            webhook_secret=SecretStr(SECRET),
            token=SecretStr(TOKEN),
            write_back=frozenset({"tags", "field", "note"}),
            contact_type_field="contact_reason",
            attributes={"group": "ticket.group.name", "priority": "detail.priority"},
        )
        one = replace(one, **changed)
        return Helpdesks(
            zendesk=replace(one, user="bot@rondo.example", contact_type_field="360001"),
            zammad=one,
            chatwoot=replace(one, account="3"),
            freshdesk=replace(one, contact_type_field="cf_contact_reason"),
            first_wait=0.02,
            look_every=0.2,
            lease=5,
            attempts=3,
            timeout=3,
        )

    return options


@pytest.fixture(scope="session")
def shared(serving: Connect, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    """A service that lives as long as the session; see `quick`."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('shared') / 'triage.db'}")
    with serving(engine) as made:
        yield made
    engine.dispose()


@pytest.fixture
def quick(shared: Connected, desk: Desk) -> Iterator[Connected]:
    """The shared service with an empty database, for tests that need no knobs and no other database."""
    yield replace(shared, counted=shared.counts())
    while "taken" in shared.statuses():
        time.sleep(0.01)
    shared.suggested()  # they are in the database, so none comes after it was emptied
    with shared.engine.begin() as connection:
        for table in reversed(metadata.sorted_tables):
            if table is not api_keys:
                connection.execute(sa.delete(table))


@pytest.fixture
def connect(serving: Connect, desk: Desk) -> Connect:
    """`connect(engine, attempts=8, each={"write_back": ...})` serves with all four helpdesks while a `with` lasts."""
    return serving


@pytest.fixture(scope="session")
def serving(trained: Workspace, desk_server: Desk, knobs: Callable[..., Helpdesks]) -> Connect:
    """What `connect` is, for fixtures of the session."""

    @contextlib.contextmanager
    def serve(
        engine: sa.Engine,
        *,
        each: Mapping[str, Any] | None = None,
        failures: int = 100_000,
        holdout: float = 0.0,
        **pace: Any,
    ) -> Iterator[Connected]:
        helpdesks = replace(knobs(**{"url": desk_server.url, **(each or {})}), **pace)
        access = AccessOptions(failures_per_minute=failures)
        options = ServiceOptions(release_check_seconds=60, helpdesks=helpdesks, access=access, holdout_share=holdout)
        app = create_app(trained, engine, options)
        admit(engine)
        key = {"Authorization": f"Bearer {KEY}"}
        with running(app) as address, httpx.Client(base_url=address, headers=key, timeout=30) as client:
            yield Connected(address, client, engine, desk_server, app)

    return serve


@pytest.fixture
def connected(connect: Connect, engine: sa.Engine) -> Iterator[Connected]:
    """A service with all four helpdesks, on both databases."""
    with connect(engine) as made:
        yield made


@pytest.fixture(scope="session")
def payload() -> Callable[..., dict[str, Any]]:
    """A recorded payload by name, with changes: `payload("zammad_new_ticket", **{"ticket.state": "closed"})`."""

    def read(name: str, **changes: Any) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))
        for place, value in changes.items():
            *steps, last = place.split(".")
            inner = found
            for step in steps:
                inner = inner[step]
            inner[last] = value
        return found

    return read


@pytest.fixture(scope="session")
def signed() -> Callable[..., dict[str, str]]:
    """The headers that a helpdesk sends with a body."""

    def headers(kind: str, raw: bytes, *, secret: str = SECRET, age: float = 0, delivery: str = "") -> dict[str, str]:
        delivery = delivery or str(uuid.uuid4())
        sent = time.time() - age
        match kind:
            case "zendesk":
                written = datetime.fromtimestamp(sent, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
                digest = hmac.new(secret.encode(), written.encode() + raw, hashlib.sha256).digest()
                return {
                    "X-Zendesk-Account-Id": "22129848",
                    "X-Zendesk-Webhook-Id": "01F1KRFQ6BG29CNWFR60NK5FNY",
                    "X-Zendesk-Webhook-Invocation-Id": delivery,
                    "X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
                    "X-Zendesk-Webhook-Signature-Timestamp": written,
                }
            case "zammad":
                digest_hex = hmac.new(secret.encode(), raw, hashlib.sha1).hexdigest()
                return {
                    "User-Agent": "Zammad User Agent",
                    "X-Zammad-Trigger": "triage",
                    "X-Zammad-Delivery": delivery,
                    "X-Hub-Signature": f"sha1={digest_hex}",
                }
            case "chatwoot":
                stamp = str(int(sent))
                digest_hex = hmac.new(secret.encode(), stamp.encode() + b"." + raw, hashlib.sha256).hexdigest()
                return {
                    "X-Chatwoot-Delivery": delivery,
                    "X-Chatwoot-Timestamp": stamp,
                    "X-Chatwoot-Signature": f"sha256={digest_hex}",
                }
        return {"X-Triage-Secret": secret}

    return headers


@pytest.fixture(scope="session")
def send(signed: Callable[..., dict[str, str]]) -> Send:
    """Deliver a payload as the helpdesk would."""

    def deliver(service: Connected, kind: str, content: Any, **how: Any) -> httpx.Response:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {"content-type": "application/json", **signed(kind, raw, **how)}
        return service.client.post(f"/webhooks/{kind}", content=raw, headers=headers)

    return deliver
