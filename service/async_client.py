"""The Python client for asyncio: the methods of `service.client.TriageClient`, to be awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from json import JSONDecodeError
from types import TracebackType
from typing import Any, Self

import httpx

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


class AsyncTriageClient:
    """`TriageClient` for asyncio: the same methods, to be awaited; `stream` takes either kind of iterable."""

    def __init__(
        self, base_url: str, *, key: str | None = None, timeout: float = 30.0, retries: Retries | None = None
    ) -> None:
        self._settings = Settings(base_url, key=key, timeout=timeout, retries=retries)
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout, headers=self._settings.headers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._http.aclose()

    async def suggest(
        self, ticket: TicketLike, *, top_types: int = 3, top_templates: int = 3, key: str | None = None
    ) -> Suggestion:
        """As TriageClient.suggest."""
        asked = {"ticket": as_json(ticket), "top_types": top_types, "top_templates": top_templates}
        answer = await self._send(post("/v1/suggestions", asked, key=key))
        return suggestion_from_json(answer.json())

    async def suggest_many(
        self, tickets: Iterable[TicketLike], *, top_types: int = 3, top_templates: int = 3
    ) -> list[Suggestion]:
        """As TriageClient.suggest_many."""
        made: list[Suggestion] = []
        for part in in_parts(tickets, IN_A_BATCH):
            asked = {"tickets": [as_json(one) for one in part], "top_types": top_types, "top_templates": top_templates}
            answer = await self._send(post("/v1/suggestions/batch", asked))
            made += [suggestion_from_json(one) for one in answer.json()["suggestions"]]
        return made

    async def stream(
        self,
        tickets: Iterable[TicketLike] | AsyncIterable[TicketLike],
        *,
        top_types: int = 3,
        top_templates: int = 3,
    ) -> AsyncIterator[Suggestion | TriageProblem]:
        """As TriageClient.stream."""
        async for part in _parts(tickets):
            left, attempts = part, Attempts(self._settings.retries)
            broke: Exception | None = None
            while left:
                done = 0
                try:
                    async for found in self._lines(post_lines(left, top_types, top_templates), attempts):
                        done += 1
                        yield found
                    pause = attempts.pause(None) if done < len(left) else 0.0
                except Busy as busy:
                    pause = busy.pause
                except (httpx.TransportError, JSONDecodeError) as error:
                    pause, broke = attempts.pause(None), error
                if pause is None:
                    raise away(self._settings.base_url) from broke
                await asyncio.sleep(pause)
                left, attempts = left[done:], Attempts(self._settings.retries) if done else attempts

    async def give_feedback(
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
        """As TriageClient.give_feedback."""
        given = feedback_json(
            suggestion_id,
            action,
            contact_type=contact_type,
            template_id=template_id,
            edit_distance=edit_distance,
            handle_seconds=handle_seconds,
            agent=agent,
        )
        return feedback_from_json((await self._send(post("/v1/feedback", given, key=key or new_key()))).json())

    async def contact_types(self) -> list[ContactType]:
        """As TriageClient.contact_types."""
        return contact_types_from_json(await self._get("/v1/contact-types"))

    async def templates(self) -> list[ReplyTemplate]:
        """As TriageClient.templates."""
        return templates_from_json(await self._get("/v1/templates"))

    async def model(self) -> ModelAnswer:
        """As TriageClient.model."""
        return ModelAnswer.model_validate(await self._get("/v1/model"))

    async def ready(self) -> bool:
        """As TriageClient.ready."""
        try:
            return (await self._http.get("/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def _get(self, path: str) -> dict[str, Any]:
        content: dict[str, Any] = (await self._send(Call(method="GET", path=path))).json()
        return content

    async def _send(self, call: Call) -> httpx.Response:
        attempts = Attempts(self._settings.retries)
        while True:
            try:
                answer = await self._http.send(request_of(self._http, call, attempts, self._settings.timeout))
            except httpx.TransportError as error:
                if (pause := attempts.pause(None)) is None:
                    raise away(self._settings.base_url) from error
            else:
                if answer.is_success:
                    return answer
                if (pause := pause_after(answer, attempts)) is None:
                    raise problem_of(answer)
            await asyncio.sleep(pause)

    async def _lines(self, call: Call, attempts: Attempts) -> AsyncIterator[Suggestion | TriageProblem]:
        answer = await self._http.send(request_of(self._http, call, attempts, self._settings.timeout), stream=True)
        try:
            if not answer.is_success:
                await answer.aread()
                if (pause := pause_after(answer, attempts)) is None:
                    raise problem_of(answer)
                raise Busy(pause)
            lines = AnswerLines()
            async for piece in answer.aiter_bytes():
                for line in lines.feed(piece):
                    yield line_from_json(line, attempts)
        finally:
            await answer.aclose()


async def _parts(tickets: Iterable[TicketLike] | AsyncIterable[TicketLike]) -> AsyncIterator[list[TicketLike]]:
    if not isinstance(tickets, AsyncIterable):
        for part in in_parts(tickets, IN_A_STREAM):
            yield part
        return
    gathered: list[TicketLike] = []
    async for ticket in tickets:
        gathered.append(ticket)
        if len(gathered) == IN_A_STREAM:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
