"""The Python client over real HTTP: typed answers, typed errors, and calls that outlive a restart."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from service.app import create_app
from service.client import AsyncTriageClient, Retries, TriageClient, TriageProblem, TriageUnreachable
from service.client_calls import Attempts
from service.options import ServiceOptions, utc_now
from service.server import running
from tests.service.conftest import KEY
from tickets.feedback_log import count_suggestions, find_feedback, find_suggestion
from tickets.records import Suggestion, Ticket

if TYPE_CHECKING:
    from tests.service.conftest import Service

REFUND = {"ticket_id": "C-1", "body": "I was charged twice and want my money back."}
QUICK = Retries(deadline_seconds=5, first_pause_seconds=0.02, longest_pause_seconds=0.05, rng=Random(1))
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def triage(answering: httpx.Client) -> Iterator[TriageClient]:
    with TriageClient(str(answering.base_url), key=KEY, retries=QUICK) as client:
        yield client


def test_a_ticket_is_suggested_for_and_feedback_kept_once(service: Service) -> None:
    with TriageClient(service.address, key=KEY) as triage:
        suggestion = triage.suggest(REFUND, top_types=2, key="first")
        assert suggestion.contact_types[0].contact_type == "refund"
        assert triage.suggest(REFUND, top_types=2, key="first") == suggestion
        for _ in range(2):
            kept = triage.give_feedback(suggestion.suggestion_id, "accepted", agent="Ana", key="done")
        assert find_feedback(service.engine, "done") == kept
        found = find_suggestion(service.engine, suggestion.suggestion_id)
        assert found is not None
        assert found[1] == suggestion


def test_records_can_be_sent_as_they_are(triage: TriageClient) -> None:
    ticket = Ticket(ticket_id="C-2", created_at=utc_now(), body="Please close my account.", attributes={"amount": 1.0})
    assert triage.suggest(ticket).ticket_id == "C-2"


def test_many_tickets_come_back_in_order(triage: TriageClient) -> None:
    tickets = [{"ticket_id": f"m-{number}", "body": f"refund {number}"} for number in range(150)]
    assert [one.ticket_id for one in triage.suggest_many(iter(tickets))] == [one["ticket_id"] for one in tickets]
    assert triage.suggest_many([]) == []


def test_a_stream_takes_an_iterator_and_gives_suggestions_and_problems(triage: TriageClient) -> None:
    taken = 0

    def tickets() -> Iterator[dict[str, str]]:
        nonlocal taken
        for number in range(600):
            taken += 1
            yield {"ticket_id": f"s\u2028-{number}", "body": " " if number == 1 else f"refund {number}"}

    answers = triage.stream(tickets(), top_types=1)
    first, second = next(answers), next(answers)
    assert taken < 600
    assert isinstance(first, Suggestion)
    assert isinstance(second, TriageProblem)
    assert (second.status, second.code) == (422, "ticket-refused")
    rest = [one.ticket_id for one in answers if isinstance(one, Suggestion)]
    assert rest == [f"s\u2028-{number}" for number in range(2, 600)]


def test_the_catalogue_and_the_model_come_as_records(triage: TriageClient) -> None:
    assert {one.id: one.parent for one in triage.contact_types()}["refund"] == "payments"
    assert triage.templates()[0].template_id == "t-refund"
    assert triage.model().version == triage.suggest(REFUND).model_version
    assert triage.ready()


def test_an_error_of_the_service_says_all_it_said(triage: TriageClient) -> None:
    with pytest.raises(TriageProblem) as refused:
        triage.suggest({"body": "x", "colour": "red"})
    problem = refused.value
    assert (problem.status, problem.code) == (422, "invalid")
    assert problem.errors[0]["pointer"] == "/ticket/colour"
    assert problem.hint
    assert problem.request_id
    with pytest.raises(TriageProblem) as refused:
        triage.give_feedback("none", "ignored")
    assert refused.value.code == "unknown-suggestion"


def test_awaiting_gives_the_same(answering: httpx.Client) -> None:
    async def tickets() -> AsyncIterator[dict[str, str]]:
        for number in range(300):
            yield {"ticket_id": f"a-{number}", "body": "refund" if number else " "}

    async def story() -> None:
        async with AsyncTriageClient(str(answering.base_url), key=KEY, retries=QUICK) as triage:
            suggestion = await triage.suggest(REFUND)
            assert (await triage.give_feedback(suggestion.suggestion_id, "accepted")).contact_type == "refund"
            assert [one.ticket_id for one in await triage.suggest_many([REFUND] * 70)] == ["C-1"] * 70
            answers = [one async for one in triage.stream(tickets())]
            assert isinstance(answers[0], TriageProblem)
            assert [one.ticket_id for one in answers[1:] if isinstance(one, Suggestion)] == [
                f"a-{number}" for number in range(1, 300)
            ]
            assert len([one async for one in triage.stream([REFUND])]) == 1
            assert await triage.ready()
            assert (await triage.contact_types())[0].id == "payments"
            assert (await triage.templates())[0].template_id == "t-refund"
            assert (await triage.model()).version == suggestion.model_version

    anyio.run(story)


class Script:
    """A service that answers by a list, then as the last entry says: for what the real one does once in a year."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, dict[str, str], bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])
        self.app.state.options = ServiceOptions()  # the limits of connections that `running` sets

    async def _answer(self, request: Request) -> Response:
        self.asked.append((time.monotonic(), dict(request.headers), await request.body()))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def busy(status: int, **headers: str) -> Response:
    content = {"status": status, "code": "busy", "detail": "too much.", "hint": "Wait."}
    return JSONResponse(content, status_code=status, headers=headers, media_type="application/problem+json")


FEEDBACK = {
    "feedback_id": "f",
    "suggestion_id": "s",
    "ticket_id": "t",
    "action": "ignored",
    "at": "2026-01-01T00:00:00+00:00",
}


def test_a_busy_service_is_asked_again_when_it_says_and_with_the_same_key() -> None:
    script = Script(busy(503), busy(429, **{"Retry-After": "1"}), JSONResponse(FEEDBACK, status_code=201))
    with running(script.app) as address, TriageClient(address, key="secret", retries=QUICK) as triage:
        assert triage.give_feedback("s", "ignored").feedback_id == "f"
    assert len(script.asked) == 3
    assert script.asked[2][0] - script.asked[1][0] >= 1.0
    assert len({headers["idempotency-key"] for _, headers, _ in script.asked}) == 1
    assert {headers["authorization"] for _, headers, _ in script.asked} == {"Bearer secret"}


def test_after_the_deadline_the_last_error_is_raised() -> None:
    script = Script(busy(503, **{"Retry-After": "60"}))
    with running(script.app) as address, TriageClient(address, retries=QUICK) as triage:
        started = time.monotonic()
        with pytest.raises(TriageProblem) as refused:
            triage.model()
        assert time.monotonic() - started < 2
        assert (refused.value.status, refused.value.retry_after) == (503, 60)
        assert len(script.asked) == 1


def test_pauses_stay_short_however_long_it_takes() -> None:
    attempts = Attempts(Retries(deadline_seconds=86_400, longest_pause_seconds=5))
    pauses = [attempts.pause(None) for _ in range(2_000)]
    assert all(pause is not None and pause <= 5 for pause in pauses)


def test_what_asking_again_cannot_help_is_not_asked_again() -> None:
    script = Script(PlainTextResponse("<html>not the service</html>", status_code=404))
    with running(script.app) as address, TriageClient(address, retries=QUICK) as triage:
        with pytest.raises(TriageProblem) as refused:
            triage.suggest(REFUND)
        assert (refused.value.status, refused.value.code, len(script.asked)) == (404, "unknown", 1)
        assert not triage.ready()


def test_a_stream_that_breaks_goes_on_where_it_stopped() -> None:
    def line(number: int) -> str:
        made = {"suggestion_id": "s", "ticket_id": f"t-{number}", "model_version": "v", "created_at": FEEDBACK["at"]}
        lists: dict[str, Any] = {"contact_types": [], "templates": [], "similar": [], "words": []}
        return json.dumps({"line": number, "suggestion": made | lists}) + "\n"

    async def broken() -> AsyncIterator[str]:
        yield line(0) + line(1) + line(2)[:30]
        raise ConnectionResetError

    waits = json.dumps({"line": 2, "problem": {"status": 503, "code": "busy", "detail": "wait."}}) + "\n"
    script = Script(
        StreamingResponse(broken()), busy(503), PlainTextResponse(line(2) + waits), PlainTextResponse(line(3))
    )
    with running(script.app) as address, TriageClient(address, retries=QUICK) as triage:
        answers = list(triage.stream({"ticket_id": f"t-{number}", "body": "x"} for number in range(4)))
    assert [one.ticket_id for one in answers if isinstance(one, Suggestion)] == ["t-0", "t-1", "t-2", "t-3"]
    sent = [[json.loads(row)["ticket_id"] for row in body.splitlines()] for _, _, body in script.asked]
    assert sent == [["t-0", "t-1", "t-2", "t-3"], ["t-2", "t-3"], ["t-2", "t-3"], ["t-3"]]


def test_calls_outlive_a_restart_of_the_service(service: Service) -> None:
    over = threading.Event()

    def again(port: int) -> None:
        time.sleep(0.5)
        with running(create_app(service.workspace, service.engine), port=port):
            over.wait(20)

    with running(create_app(service.workspace, service.engine)) as address:
        triage = TriageClient(address, key=KEY, retries=Retries(rng=Random(2)))
        suggestion = triage.suggest(REFUND)
    assert not triage.ready()
    restart = threading.Thread(target=again, args=(httpx.URL(address).port,))
    restart.start()
    try:
        kept = triage.give_feedback(suggestion.suggestion_id, "accepted", key="through-the-restart")
        assert find_feedback(service.engine, "through-the-restart") == kept
        assert triage.ready()
    finally:
        triage.close()
        over.set()
        restart.join()


def test_a_service_that_stays_away_is_told_as_such(free_port: int) -> None:
    with TriageClient(f"http://127.0.0.1:{free_port}", retries=Retries(deadline_seconds=0.3)) as triage:
        with pytest.raises(TriageUnreachable) as told:
            triage.model()
        assert isinstance(told.value.__cause__, httpx.ConnectError)
        with pytest.raises(TriageUnreachable):
            list(triage.stream([REFUND]))
        assert not triage.ready()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_the_client_needs_nothing_of_the_server() -> None:
    blocked = (
        "fastapi",
        "starlette",
        "sqlalchemy",
        "numpy",
        "pyarrow",
        "orjson",
        "onnxruntime",
        "uvicorn",
        "structlog",
    )
    code = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}: raise ImportError("the client imports " + name)
sys.meta_path.insert(0, Refuse())
import service.client
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_suggestions_are_counted_once_however_often_a_key_is_sent(service: Service) -> None:
    with TriageClient(service.address, key=KEY) as triage:
        for _ in range(3):
            triage.suggest(REFUND, key="again")
    service.settle()
    now = utc_now()
    assert count_suggestions(service.engine, now - timedelta(hours=1), now + timedelta(hours=1)) == 1
