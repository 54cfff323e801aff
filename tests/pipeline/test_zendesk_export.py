"""Fetching from Zendesk's API over real HTTP: nothing is lost to limits, cut connections or a kill, and only what
changed is asked for."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.sources.zendesk_api import ZendeskAccount, ZendeskApi
from pipeline.sources.zendesk_export import fetch_export
from tickets.errors import InputError, SourceError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def simulated() -> ModuleType:
    """tests/pipeline/zendesk_server.py; tests are no package, so it is loaded from its file."""
    spec = importlib.util.spec_from_file_location("zendesk_server", HERE / "zendesk_server.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def zendesk(simulated: ModuleType) -> Iterator[Callable[[int], Any]]:
    """`zendesk(tickets)`: an account of so many tickets, served until the test ends."""
    servers = []

    def start(tickets: int) -> Any:
        account = simulated.account(tickets)
        servers.append(simulated.serve(account))
        return account

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(zendesk: Any, folder: Path, waits: list[float] | None = None, token: str = "s3cret-token") -> Any:
    account = ZendeskAccount(url=zendesk.url, email="admin@rondo.example", token=token)
    with ZendeskApi(account, wait=([] if waits is None else waits).append) as api:
        return fetch_export(api, folder)


def stored(folder: Path) -> list[dict[str, Any]]:
    pages = sorted(folder.glob("tickets-*.jsonl"))
    return [json.loads(line) for page in pages for line in page.read_text(encoding="utf-8").splitlines()]


def test_every_ticket_comes_whole_with_all_pages_of_its_audits(zendesk: Callable[[int], Any], tmp_path: Path) -> None:
    account = zendesk(230)

    fetched = fetch(account, tmp_path)

    assert (fetched.tickets, fetched.pages) == (230, 3)
    found = stored(tmp_path)
    assert [ticket["id"] for ticket in found] == list(range(1, 231))
    assert all(ticket["audits"] == account.audits[ticket["id"]] for ticket in found)
    assert len((tmp_path / "macros.jsonl").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "ticket_fields.jsonl").read_text().splitlines()[0])["title"] == "Contact reason"


def test_the_second_run_asks_only_for_what_changed(
    zendesk: Callable[[int], Any], simulated: ModuleType, tmp_path: Path
) -> None:
    account = zendesk(120)
    fetch(account, tmp_path)
    account.paths.clear()
    simulated.add_ticket(account, 7, subject="Corrected")
    account.tickets.append({"id": 8, "status": "deleted", "subject": "SCRUBBED"})

    fetched = fetch(account, tmp_path)

    assert (fetched.tickets, fetched.pages) == (2, 1)
    assert (
        sum("audits" in path for path in account.paths) == 2
    )  # five audits of ticket 7, three a page; none of ticket 8
    assert [ticket["id"] for ticket in stored(tmp_path)][-2:] == [7, 8]
    assert fetch(account, tmp_path).pages == 0


def test_a_limit_is_waited_out_and_nothing_is_lost(zendesk: Callable[[int], Any], tmp_path: Path) -> None:
    account = zendesk(20)
    account.mood = lambda path, times: "429" if times <= 2 and ("cursor.json" in path or "/3/" in path) else None
    waits: list[float] = []

    fetch(account, tmp_path, waits)

    assert [ticket["id"] for ticket in stored(tmp_path)] == list(range(1, 21))
    assert all(len(ticket["audits"]) == 5 for ticket in stored(tmp_path))
    assert set(waits) == {93.0}
    assert len(waits) >= 4


@pytest.mark.parametrize("mood", ["cut", "500"])
def test_a_cut_connection_or_a_failing_server_is_tried_again(
    zendesk: Callable[[int], Any], tmp_path: Path, mood: str
) -> None:
    account = zendesk(12)
    account.mood = lambda path, times: mood if times == 1 else None
    waits: list[float] = []

    fetch(account, tmp_path, waits)

    assert [ticket["id"] for ticket in stored(tmp_path)] == list(range(1, 13))
    assert all(ticket["audits"] == account.audits[ticket["id"]] for ticket in stored(tmp_path))
    assert set(waits) == {1.0}


def test_a_server_that_stays_down_ends_the_run_and_the_next_one_goes_on(
    zendesk: Callable[[int], Any], tmp_path: Path
) -> None:
    account = zendesk(150)
    account.mood = lambda path, times: "500" if "/130/" in path else None
    with pytest.raises(SourceError, match=r"failed 8 times at /api/v2/tickets/130.*goes on"):
        fetch(account, tmp_path)
    assert len(stored(tmp_path)) == 100  # the first page is whole and stays
    account.mood = lambda path, times: None
    account.paths.clear()

    fetch(account, tmp_path)

    assert [ticket["id"] for ticket in stored(tmp_path)] == list(range(1, 151))
    assert not any("/99/" in path for path in account.paths)


def test_killed_in_the_middle_it_goes_on_and_ends_as_if_it_had_not_been(
    zendesk: Callable[[int], Any], tmp_path: Path
) -> None:
    account = zendesk(230)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    fetch(account, whole)
    account.paths.clear()
    account.mood = lambda path, times: time.sleep(0.005)
    script = (
        "import sys; from pathlib import Path; from pipeline.sources.zendesk_api import ZendeskAccount; "
        "from pipeline.sources.zendesk_export import fetch_account; "
        "account = ZendeskAccount(url=sys.argv[1], email='admin@rondo.example', token='s3cret-token'); "
        "fetch_account(account, Path(sys.argv[2]))"
    )
    root = HERE.parents[1]
    running = subprocess.Popen(
        [sys.executable, "-c", script, account.url, str(killed)], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}
    )
    while len(account.paths) < 320 and running.poll() is None:  # in the middle of the second page
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert 0 < len(stored(killed)) < 230

    fetch(account, killed)

    names = [path.name for path in sorted(whole.iterdir())]
    assert [path.name for path in sorted(killed.iterdir()) if not path.name.startswith(".")] == names
    assert all((killed / name).read_bytes() == (whole / name).read_bytes() for name in names)


def test_a_list_without_an_end_is_told(zendesk: Callable[[int], Any], tmp_path: Path) -> None:
    account = zendesk(1)
    account.stuck = True

    with pytest.raises(SourceError, match=r"ticket_fields\.json does not move on"):
        fetch(account, tmp_path)


def test_a_wrong_token_and_a_folder_of_another_account_are_refused(
    zendesk: Callable[[int], Any], tmp_path: Path
) -> None:
    account, other = zendesk(3), zendesk(3)
    with pytest.raises(InputError, match="refuses us") as refused:
        fetch(account, tmp_path, token="wrong-token")
    assert "wrong-token" not in f"{refused.value} {ZendeskAccount(url='u', token='wrong-token')!r}"
    fetch(account, tmp_path)
    with pytest.raises(InputError, match="holds the export of"):
        fetch(other, tmp_path)
