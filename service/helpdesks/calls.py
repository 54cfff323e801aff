"""One request to a helpdesk, and what its answer means: done, try later, or never.

Waiting is not done here: who writes back keeps the next try in the database, so that a restart forgets none.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from service.retry_after import seconds_to_wait

_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY})


class TryLater(Exception):  # noqa: N818  # it is scheduled, not an error of ours
    """The helpdesk is busy or away. `wait` is what it asks for, in seconds; None where it asks for nothing."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait


class Refused(Exception):  # noqa: N818  # it is noted, not an error of ours
    """The helpdesk will not take this however often it is sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HelpdeskApi:
    """A helpdesk's REST API: JSON out, JSON back. Redirects are not followed: they would carry the token elsewhere."""

    def __init__(self, client: httpx.AsyncClient, url: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._headers = {"accept": "application/json", **headers}

    async def send(self, method: str, path: str, content: Mapping[str, Any] | None = None) -> Any:
        """The answer as data, None where it is no JSON. Raises TryLater, Refused; neither repeats what was answered."""
        try:
            answer = await self._client.request(method, self._url + path, json=content, headers=self._headers)
        except httpx.TransportError as error:
            raise TryLater(f"{type(error).__name__} at {method} {path}") from error
        except httpx.InvalidURL as error:
            raise Refused("the helpdesk's address is none") from error
        status = answer.status_code
        if answer.is_success:
            try:
                return answer.json()
            except ValueError:
                return None
        told = f"{status} at {method} {path}"
        if status == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error or status in _PASSING:
            raise TryLater(told, seconds_to_wait(answer.headers.get("retry-after")))
        raise Refused(told)
