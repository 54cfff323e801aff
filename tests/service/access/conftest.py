"""A service without a model, as access is the same with one, and a key of each role."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from service.access.options import AccessOptions
from service.app import create_app, running
from service.options import ServiceOptions
from tickets.api_keys import ROLES, create_key
from tickets.database import open_database
from tickets.workspace import Workspace


@dataclass(frozen=True)
class House:
    """A running service. `keys` are written, by role."""

    address: str
    workspace: Workspace
    engine: sa.Engine
    keys: dict[str, str]

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    def ask(self, method: str, path: str, key: str | None = None, **more: Any) -> httpx.Response:
        """One request with a key, or with none."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        headers |= more.pop("headers", {})
        return httpx.request(method, self.address + path, headers=headers, timeout=30, **more)

    def say(self, *pieces: bytes, seconds: float = 10) -> bytes:
        """Write raw bytes to the service, and read until it closes the connection or the time is over."""
        host, _, port = self.host.partition(":")
        with socket.create_connection((host, int(port)), timeout=seconds) as line:
            answer = b""
            with contextlib.suppress(OSError):
                for piece in pieces:
                    line.sendall(piece)
                while more := line.recv(65536):
                    answer += more
            return answer


OpenHouse = Callable[..., AbstractContextManager[House]]


@pytest.fixture(scope="session")
def open_house(tmp_path_factory: pytest.TempPathFactory) -> OpenHouse:
    """`open_house(engine=None, **access options)` serves while a `with` lasts."""

    @contextlib.contextmanager
    def serve(engine: sa.Engine | None = None, **asked: Any) -> Iterator[House]:
        folder: Path = tmp_path_factory.mktemp("house")
        workspace = Workspace.create(folder / "workspace")
        opened = open_database(workspace.default_database_url) if engine is None else engine
        now = datetime.now(UTC)
        keys = {role: create_key(opened, f"the {role}", role, at=now)[1] for role in ROLES} if engine is None else {}
        options = ServiceOptions(access=AccessOptions(**asked), release_check_seconds=0.5)
        with running(create_app(workspace, opened, options)) as address:
            yield House(address, workspace, opened, keys)
        opened.dispose()

    return serve


@pytest.fixture(scope="session")
def house(open_house: OpenHouse) -> Iterator[House]:
    """One service for the tests that leave it as it was. It looks keys up often and waits a second for what is slow."""
    with open_house(fresh_seconds=0.1, failures_per_minute=100_000, body_seconds=1.0, header_seconds=1.0) as opened:
        yield opened
