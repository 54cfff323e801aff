"""Streams: many tickets in, an answer a line out, while they come in; what goes wrong stays with its line."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
import sqlalchemy as sa

from service.app import create_app, running
from service.ndjson import Line, LineCutter, WaitingLines
from service.options import ServiceOptions
from service.schemas import StreamAnswer
from tests.service.conftest import KEY, admit
from tickets.database import open_database, suggestions
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Connect

STREAM = "/v1/suggestions/stream"
HEADERS = {"Content-Type": "application/x-ndjson"}


def send(client: httpx.Client, *lines: str | bytes, **params: Any) -> list[dict[str, Any]]:
    content = b"\n".join(line.encode() if isinstance(line, str) else line for line in lines)
    answer = client.post(STREAM, content=content, headers=HEADERS, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.split("\n")[:-1]]


def ticket(number: int) -> str:
    return json.dumps({"ticket_id": f"n-{number}", "body": f"I was charged twice for ride {number}."})


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[sa.Engine]:
    opened = open_database(f"sqlite:///{tmp_path / 'stream.db'}")
    yield opened
    opened.dispose()


def kept(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(suggestions)).scalar_one())


def test_lines_are_answered_in_order_tickets_and_whole_requests_alike(answering: httpx.Client) -> None:
    whole = json.dumps({"ticket": json.loads(ticket(1)), "top_types": 1, "top_templates": 0})
    first, second = send(answering, ticket(0), whole, top_types=2)
    assert (first["line"], second["line"]) == (1, 2)
    assert first["suggestion"]["ticket_id"] == "n-0"
    assert len(first["suggestion"]["contact_types"]) == 2
    assert (len(second["suggestion"]["contact_types"]), second["suggestion"]["templates"]) == (1, [])


def test_a_bad_line_gets_its_problem_and_the_others_their_suggestions(answering: httpx.Client) -> None:
    secret = "4111 1111 1111 1111"
    bad = ["{", "[]", '{"body": " "}', f'{{"body": "x", "{secret[:4]}": "{secret}"}}', b'{"body": "\xff"}', '"\\ud800"']
    answers = send(answering, ticket(0), *bad, "", ticket(7), "x" * 1_100_000, ticket(9))
    assert [one["line"] for one in answers] == [1, 2, 3, 4, 5, 6, 7, 9, 10, 11]
    told = {one["line"]: one.get("problem") for one in answers}
    assert [line for line, problem in told.items() if problem is None] == [1, 9, 11]
    assert [told[line]["status"] for line in (2, 3, 4, 5, 6, 7, 10)] == [422] * 6 + [413]
    assert told[4]["code"] == "ticket-refused"
    assert secret not in str(answers)


def test_an_empty_stream_has_an_empty_answer(answering: httpx.Client) -> None:
    assert send(answering, "", "  ", "") == []


def test_another_media_type_and_impossible_numbers_are_refused_before_anything_is_read(answering: httpx.Client) -> None:
    assert answering.post(STREAM, content=ticket(0), headers={"Content-Type": "application/json"}).status_code == 415
    assert answering.post(STREAM, content=ticket(0), headers=HEADERS, params={"top_types": 0}).status_code == 422


def test_clients_that_send_everything_before_they_read_get_every_answer(answering: httpx.Client) -> None:
    """httpx does; with 5,000 tickets the answers are many times what sockets hold."""

    def lines() -> Iterator[bytes]:
        for number in range(5000):
            yield f'{{"ticket_id": "many-{number}", "body": "refund {number % 10}"}}\n'.encode()

    with answering.stream("POST", STREAM, content=lines(), headers=HEADERS, params={"top_templates": 0}) as answer:
        assert answer.status_code == 200
        ids = [json.loads(line)["suggestion"]["ticket_id"] for line in answer.iter_lines()]
    assert ids == [f"many-{number}" for number in range(5000)]


class Conversation:
    """A client that reads while it sends: one chunked request by hand."""

    def __init__(self, address: str) -> None:
        url = httpx.URL(address)
        self.socket = socket.create_connection((url.host, url.port or 80), timeout=20)
        head = f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
        self.socket.sendall(f"{head}Authorization: Bearer {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        self.got = b""

    def say(self, text: str) -> None:
        self.socket.sendall(f"{len(text):x}\r\n{text}\r\n".encode())

    def hear(self, what: bytes) -> bytes:
        while what not in self.got:
            piece = self.socket.recv(65536)
            assert piece, self.got[-300:]
            self.got += piece
        return self.got


def test_a_line_is_answered_before_the_next_one_is_sent(answering: httpx.Client) -> None:
    talk = Conversation(str(answering.base_url))
    for number in range(3):
        talk.say(ticket(number) + "\n")
        talk.hear(f'"ticket_id":"n-{number}"'.encode())
    talk.socket.sendall(b"0\r\n\r\n")
    assert talk.hear(b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")
    talk.socket.close()


def test_a_client_that_leaves_ends_the_work(trained: Workspace, engine: sa.Engine, connect: Connect) -> None:
    admit(engine)
    with running(create_app(trained, engine, ServiceOptions(max_batch=8))) as address:
        talk = Conversation(address)
        talk.say("".join(ticket(number) + "\n" for number in range(4000)))
        talk.hear(b'"line":1,')
        talk.socket.close()
        time.sleep(0.5)  # the batch under way ends
        count = kept(engine)
        time.sleep(0.5)
        assert kept(engine) == count < 4000
        assert httpx.get(f"{address}/readyz").status_code == 200


def test_tickets_of_a_stream_wait_for_a_database_that_is_away(
    trained: Workspace, engine: sa.Engine, connect: Connect
) -> None:
    admit(engine)

    def rename(before: str, after: str) -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(f"alter table {before} rename to {after}"))

    with running(create_app(trained, engine, ServiceOptions(retry_after_seconds=1))) as address:
        rename("suggestions", "away")
        back = threading.Timer(0.5, rename, ("away", "suggestions"))
        back.start()
        with connect(address) as client:
            answers = send(client, ticket(0), "{", ticket(2))
        back.join()
    assert ["suggestion" in one for one in answers] == [True, False, True]


def test_limits_of_a_stream_end_it_with_a_problem_of_its_own(
    trained: Workspace, engine: sa.Engine, connect: Connect
) -> None:
    admit(engine)
    limits = ServiceOptions(stream_max_lines=3, stream_stall_seconds=0.3)
    with running(create_app(trained, engine, limits)) as address:
        with connect(address) as client:
            answers = send(client, *(ticket(number) for number in range(6)))
        assert [one.get("line") for one in answers] == [1, 2, 3, None]
        assert answers[-1]["problem"]["code"] == "too-large"
        assert StreamAnswer.model_validate(answers[-1]).line is None
        with connect(address) as client:  # the last line counts too, though no line break ends it
            answers = send(client, *(ticket(number) for number in range(4)))
        assert [one.get("line") for one in answers] == [1, 2, 3, None]
        talk = Conversation(address)
        talk.say(ticket(0) + "\n")
        assert b'"suggestion"' in talk.hear(b"stream-stalled")
        talk.socket.close()
    few_bytes = create_app(trained, engine, ServiceOptions(stream_max_bytes=100))
    with running(few_bytes) as address, connect(address) as client:
        assert send(client, ticket(0), ticket(1))[-1]["problem"]["status"] == 413


def test_without_a_release_a_stream_is_refused_with_503(
    workspace: Workspace, engine: sa.Engine, connect: Connect
) -> None:
    admit(engine)
    with running(create_app(workspace, engine)) as address:
        answer = connect(address).post(STREAM, content=ticket(0), headers=HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (503, "no-release")
        assert answer.headers["retry-after"]


def test_lines_are_the_same_however_the_body_was_cut() -> None:
    body = b'{"a": 1}\n\n  \r\n{"b": 2}\r\n' + b"x" * 20 + b'\n{"c": 3}'
    expected = [Line(1, b'{"a": 1}'), Line(4, b'{"b": 2}'), Line(5, None), Line(6, b'{"c": 3}')]
    for size in (1, 2, 3, 7, len(body)):
        cutter = LineCutter(longest=15)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert [line for piece in pieces for line in cutter.feed(piece)] + list(cutter.end()) == expected


def test_no_more_is_read_than_may_wait() -> None:
    async def story() -> None:
        waiting = WaitingLines(most_bytes=1000)
        put = 0

        async def read() -> None:
            nonlocal put
            for number in range(1, 51):
                await waiting.put(Line(number, b"x" * 100))
                put += 1
            waiting.end()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert put == 5  # a line counts a hundred bytes beside its text
            taken: list[int] = []
            while lines := await waiting.take(2):
                taken += [line.number for line in lines]
                await anyio.wait_all_tasks_blocked()
                assert put <= len(taken) + 5
        assert taken == list(range(1, 51))

    anyio.run(story)
