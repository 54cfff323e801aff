"""The Python client: `TriageClient`, and `AsyncTriageClient` with the same methods to await.

    with TriageClient("http://127.0.0.1:8000") as triage:
        suggestion = triage.suggest({"body": "I was charged twice."})
        triage.give_feedback(suggestion.suggestion_id, "accepted", agent="Ana")

Calls are tried again while the service is busy, restarting or out of reach, up to a deadline; feedback carries an
Idempotency-Key, so it is kept once. Needs httpx and pydantic, and nothing of the server.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from json import JSONDecodeError
from types import TracebackType
from typing import Any, Self

import httpx

from service.async_client import AsyncTriageClient
from service.client_calls import (
    IN_A_BATCH,
    IN_A_STREAM,
    AnswerLines,
    Attempts,
    Busy,
    Call,
    Retries,
    Settings,
    TicketLike,
    TriageProblem,
    TriageUnreachable,
    as_json,
    away,
    contact_types_from_json,
    feedback_from_json,
    feedback_json,
    in_parts,
    line_from_json,
    new_key,
    pause_after,
    post,
    post_lines,
    problem_of,
    request_of,
    templates_from_json,
)
from service.schemas import ModelAnswer
from tickets.contact_types import ContactType
from tickets.records import Feedback, FeedbackAction, ReplyTemplate, Suggestion, suggestion_from_json

__all__ = ["AsyncTriageClient", "Retries", "TriageClient", "TriageProblem", "TriageUnreachable"]


class TriageClient:
    """A client of one service. `key` is an API key; `timeout` (seconds) is for one try, `retries` for all of a call.

    Every method raises TriageProblem for an error that the service answers with, and TriageUnreachable when none comes.
    """

    def __init__(
        self, base_url: str, *, key: str | None = None, timeout: float = 30.0, retries: Retries | None = None
    ) -> None:
        self._settings = Settings(base_url, key=key, timeout=timeout, retries=retries)
        self._http = httpx.Client(base_url=base_url, timeout=timeout, headers=self._settings.headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def suggest(
        self, ticket: TicketLike, *, top_types: int = 3, top_templates: int = 3, key: str | None = None
    ) -> Suggestion:
        """A suggestion for one ticket, a record or the fields of /v1/suggestions. With a `key` the
        service keeps it once, however often it is sent; asking for the key costs it a look into its log."""
        asked = {"ticket": as_json(ticket), "top_types": top_types, "top_templates": top_templates}
        answer = self._send(post("/v1/suggestions", asked, key=key))
        return suggestion_from_json(answer.json())

    def suggest_many(
        self, tickets: Iterable[TicketLike], *, top_types: int = 3, top_templates: int = 3
    ) -> list[Suggestion]:
        """A suggestion a ticket, in order, asked for in batches. A ticket that is refused ends it; see `stream`."""
        made: list[Suggestion] = []
        for part in in_parts(tickets, IN_A_BATCH):
            asked = {"tickets": [as_json(one) for one in part], "top_types": top_types, "top_templates": top_templates}
            answer = self._send(post("/v1/suggestions/batch", asked))
            made += [suggestion_from_json(one) for one in answer.json()["suggestions"]]
        return made

    def stream(
        self, tickets: Iterable[TicketLike], *, top_types: int = 3, top_templates: int = 3
    ) -> Iterator[Suggestion | TriageProblem]:
        """For each ticket, in order, its suggestion or why it is refused; any number, taken and answered bit by bit.

        A stream that breaks goes on with the first ticket that was not answered.
        """
        for part in in_parts(tickets, IN_A_STREAM):
            left, attempts = part, Attempts(self._settings.retries)
            broke: Exception | None = None
            while left:
                done = 0
                try:
                    for found in self._lines(post_lines(left, top_types, top_templates), attempts):
                        done += 1
                        yield found
                    pause = attempts.pause(None) if done < len(left) else 0.0
                except Busy as busy:
                    pause = busy.pause
                except (httpx.TransportError, JSONDecodeError) as error:
                    pause, broke = attempts.pause(None), error
                if pause is None:
                    raise away(self._settings.base_url) from broke
                time.sleep(pause)
                left, attempts = left[done:], Attempts(self._settings.retries) if done else attempts

    def give_feedback(
        self,
        suggestion_id: str,
        action: FeedbackAction,
        *,
        contact_type: str | None = None,
        template_id: str | None = None,
        edit_distance: float | None = None,
        handle_seconds: float | None = None,
        agent: str | None = None,
        key: str | None = None,
    ) -> Feedback:
        """Keep what an agent did with a suggestion. Returned means committed, once, however often it was sent."""
        given = feedback_json(
            suggestion_id,
            action,
            contact_type=contact_type,
            template_id=template_id,
            edit_distance=edit_distance,
            handle_seconds=handle_seconds,
            agent=agent,
        )
        return feedback_from_json(self._send(post("/v1/feedback", given, key=key or new_key())).json())

    def contact_types(self) -> list[ContactType]:
        """The contact types that feedback may name, in tree order."""
        return contact_types_from_json(self._get("/v1/contact-types"))

    def templates(self) -> list[ReplyTemplate]:
        """The reply templates, the inactive ones too."""
        return templates_from_json(self._get("/v1/templates"))

    def model(self) -> ModelAnswer:
        """The release that is served."""
        return ModelAnswer.model_validate(self._get("/v1/model"))

    def ready(self) -> bool:
        """Whether a release is loaded and the process is not about to end, now: it is asked once."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _get(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = self._send(Call(method="GET", path=path)).json()
        return content

    def _send(self, call: Call) -> httpx.Response:
        attempts = Attempts(self._settings.retries)
        while True:
            try:
                answer = self._http.send(request_of(self._http, call, attempts, self._settings.timeout))
            except httpx.TransportError as error:
                if (pause := attempts.pause(None)) is None:
                    raise away(self._settings.base_url) from error
            else:
                if answer.is_success:
                    return answer
                if (pause := pause_after(answer, attempts)) is None:
                    raise problem_of(answer)
            time.sleep(pause)

    def _lines(self, call: Call, attempts: Attempts) -> Iterator[Suggestion | TriageProblem]:
        answer = self._http.send(request_of(self._http, call, attempts, self._settings.timeout), stream=True)
        try:
            if not answer.is_success:
                answer.read()
                if (pause := pause_after(answer, attempts)) is None:
                    raise problem_of(answer)
                raise Busy(pause)
            lines = AnswerLines()
            for piece in answer.iter_bytes():
                for line in lines.feed(piece):
                    yield line_from_json(line, attempts)
        finally:
            answer.close()
