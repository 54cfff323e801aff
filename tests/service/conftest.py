"""A small real release for the service's tests, trained once a session, and a server over it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import torch
from fastapi import FastAPI
from playwright.sync_api import Page, Request, Route, expect, sync_playwright

from models.config import TrainConfig
from models.release import FACTS, promote
from models.train import train
from pipeline.text.features import model_text, text_statistics
from service.app import create_app, running
from service.options import ServiceOptions
from tickets.api_keys import hash_of
from tickets.catalogue import keep_dataset, write_templates, write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import api_keys, open_database
from tickets.feedback_log import insert_new
from tickets.records import ReplyTemplate, Ticket, attributes_to_text
from tickets.workspace import Workspace

TREE = ContactTypeTree(
    nodes=(
        ContactType(id="payments", name="Payments"),
        ContactType(id="refund", name="Refund", parent="payments", description="Money is wanted back."),
        ContactType(id="invoice", name="Invoice", parent="payments", description="A receipt or an invoice is wanted."),
        ContactType(id="account", name="Account"),
        ContactType(id="login", name="Login", parent="account", description="Signing in fails."),
        ContactType(id="delete", name="Close account", parent="account", description="The account shall be closed."),
    )
)
TEMPLATES = (
    ReplyTemplate(template_id="t-refund", title="Refund on its way", body="Hello {{name}}, we refund {{amount}}."),
    ReplyTemplate(template_id="t-invoice", title="Your invoice", body="Hello {{name}}, the invoice is attached."),
    ReplyTemplate(template_id="t-login", title="Reset your password", body="Hello {{name}}, reset it at {{link}}."),
    ReplyTemplate(template_id="t-delete", title="Account closed", body="Hello {{name}}, your account is closed."),
)
_DATASET = """
name = "small"
format = "jsonl"
languages = ["en", "de"]
[ticket]
body = "body"
created_at = "at"
[attributes]
categorical = ["city"]
numeric = ["amount"]
[outcome]
contact_type = "type"
"""
_PROBLEMS = {
    "refund": ("please refund my ride", "I was charged twice and want my money back", "give me back the cleaning fee"),
    "invoice": ("please send me the invoice", "I need a receipt for my company", "the bill is missing the tax number"),
    "login": ("I cannot sign in", "my password does not work any more", "the login code never arrives"),
    "delete": ("please close my account", "delete all my data and my profile", "I want to leave, remove my account"),
}
_OPENINGS = ("Hello,", "Hi team,", "Good morning,", "Third time I write:")
_CLOSINGS = ("Thanks.", "Please hurry, I travel tomorrow.", "This is urgent.", "Best regards", "What can I do?")


OPTIONS = ServiceOptions(release_check_seconds=0.05)
Start = Callable[[Workspace, sa.Engine], AbstractContextManager[str]]
Connect = Callable[[str], httpx.Client]
# The administrator's key in every test's database: security is on in all that is tested.
KEY_ID, KEY = "0123456789ab", f"triage_0123456789ab_{'5eed' * 16}"


@dataclass(frozen=True)
class Service:
    """A running service and what stands behind it."""

    address: str
    workspace: Workspace
    engine: sa.Engine
    client: httpx.Client
    app: FastAPI

    def settle(self) -> None:
        """Wait until all suggestions are in the database."""
        assert self.app.state.serving.spool.settle(seconds=10)


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, small_encoder: Path, write_examples: Callable[..., None]
) -> Workspace:
    """A workspace with one promoted model of four contact types and four templates. Read only: tests copy it."""
    workspace = Workspace.create(tmp_path_factory.mktemp("trained") / "workspace")
    described = workspace.root / "small.toml"
    described.write_text(_DATASET, encoding="utf-8")
    keep_dataset(workspace, described)
    write_tree(workspace, TREE)
    write_templates(workspace, TEMPLATES)
    splits = _examples()
    sent = [{**row, "relevant": True} for row in splits["train"]]
    write_examples(workspace, splits, sent)
    config = TrainConfig(
        precision="fp32",  # the same figures on every CPU
        encoder=str(small_encoder),
        max_tokens=48,
        epochs=10,
        batch_size=16,
        learning_rate=2e-3,
        head_learning_rate=3e-3,
        device="cpu",
        patience=10,
    )
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network loses more by threads waiting for each other than it gains
    try:
        made = train(workspace, config, report=lambda text: None, progress=lambda step, steps, loss: None, ladder={})
    finally:
        torch.set_num_threads(threads)
    promote(workspace, made.version)
    return workspace


@pytest.fixture
def served(trained: Workspace, tmp_path: Path) -> Workspace:
    """A workspace of its own for one test, with the small model promoted."""
    root = tmp_path / "served"
    # History and the release files are replaced, never written in place, so a second name for a file is a copy.
    shutil.copytree(trained.root, root, copy_function=os.link, ignore=shutil.ignore_patterns("spool"))
    return Workspace.open(root)


@pytest.fixture(scope="session")
def start() -> Start:
    """Serve on a free port while a `with` lasts, looking for a new release often; KEY is an administrator's."""

    def serve(workspace: Workspace, engine: sa.Engine) -> AbstractContextManager[str]:
        admit(engine)
        return running(create_app(workspace, engine, OPTIONS))

    return serve


@pytest.fixture(scope="session")
def connect() -> Connect:
    """A client of a service at an address, with the administrator's key."""

    def client(address: str) -> httpx.Client:
        return httpx.Client(base_url=address, headers={"Authorization": f"Bearer {KEY}"}, timeout=30)

    return client


@pytest.fixture(scope="session")
def key() -> str:
    """The administrator's key of every service that `start` starts."""
    return KEY


def admit(engine: sa.Engine) -> None:
    """Put KEY into the database, shared, so that pages ask for a name; a database that is away stays without."""
    facts = {"key_id": KEY_ID, "name": "tests", "role": "admin", "shared": True, "hash": hash_of(KEY)}
    with contextlib.suppress(sa.exc.OperationalError), engine.begin() as connection:
        connection.execute(insert_new(engine, api_keys).values(**facts, created_at=datetime.now(UTC)))


@pytest.fixture(scope="session")
def answering(
    start: Start, connect: Connect, trained: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of one service that lives as long as the session, for tests that look at answers alone."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('answering') / 'triage.db'}")
    with start(trained, engine) as address, connect(address) as client:
        yield client
    engine.dispose()


@pytest.fixture
def service(connect: Connect, served: Workspace, engine: sa.Engine) -> Iterator[Service]:
    """The service over HTTP, on both databases."""
    admit(engine)
    app = create_app(served, engine, OPTIONS)
    with running(app) as address, connect(address) as client:
        yield Service(address, served, engine, client, app)


@pytest.fixture
def second_version(served: Workspace) -> str:
    """Another model in models/, the same but for its name."""
    version = "20990101-000000-000002"
    (first,) = (path.parent for path in served.models.glob(f"*/{FACTS}"))
    folder = served.models / version
    shutil.copytree(first, folder)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    (folder / FACTS).write_text(json.dumps({**facts, "version": version}), encoding="utf-8")
    return version


def _examples() -> dict[str, list[dict[str, object]]]:
    """Split -> its tickets, three in five to train on."""
    start_at = datetime(2026, 1, 1, tzinfo=UTC)
    rows: dict[str, list[dict[str, object]]] = {"train": [], "validation": [], "test": []}
    texts = [
        (contact_type, f"{opening} {problem}. {closing}")
        for opening, closing, (contact_type, problems) in product(_OPENINGS, _CLOSINGS, _PROBLEMS.items())
        for problem in problems
    ]
    for number, (contact_type, body) in enumerate(texts):
        ticket = Ticket(
            ticket_id=f"h-{number}",
            created_at=start_at + timedelta(hours=number),
            body=body,
            channel="email",
            language="en",
            attributes={"city": ("Lisbon", "Porto")[number % 2], "amount": float(number % 7)},
        )
        split = "train" if number < 0.6 * len(texts) else "validation" if number < 0.8 * len(texts) else "test"
        text = model_text(ticket)
        rows[split].append(
            {
                "ticket_id": ticket.ticket_id,
                "created_at": ticket.created_at,
                "text": text,
                "language": "en",
                "channel": ticket.channel,
                "attributes": attributes_to_text(ticket.attributes),
                "statistics": json.dumps(text_statistics(text)),
                "contact_type": contact_type,
                "template_id": f"t-{contact_type}",
                "outcome_source": "import",
            }
        )
    return rows


CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)
expect.set_options(timeout=20_000)  # on a busy machine a first suggestion takes longer than Playwright's five seconds


@pytest.fixture
def page(service: Service) -> Iterator[Page]:
    """A page in Chromium. Script errors, policy violations and requests to anywhere else fail the test."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    complaints: list[str] = []

    def asked(request: Request) -> None:
        if not request.url.startswith((service.address, "data:", "blob:", "about:")):
            complaints.append(f"asked for {request.url}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        opened = browser.new_page(base_url=service.address, viewport={"width": 1280, "height": 900})
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        opened.on("request", asked)
        opened.goto(f"/login?key={KEY}")
        yield opened
        browser.close()
    assert complaints == []


def sent_by_two_presses(page: Page, key: str, addresses: str) -> int:
    """How many forms are sent by a key that is pressed again before the first one is answered."""
    sent: list[Route] = []

    def hold(route: Route) -> None:
        sent.append(route)

    page.wait_for_load_state("load")
    page.route(addresses, hold)
    with page.expect_request(addresses):
        page.keyboard.press(key)
    page.keyboard.press(key)
    page.wait_for_timeout(300)
    page.unroute(addresses)  # lets go what was held
    return len(sent)
