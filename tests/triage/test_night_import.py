"""The first step of a night: TRIAGE_NIGHTLY_IMPORT, over a real HTTP server that stands for Zendesk."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from models.config import TrainConfig
from pipeline.datasets import ready_dataset
from tickets.errors import DatasetError
from tickets.night_record import NightRecord
from tickets.tables import RAW
from tickets.workspace import Workspace
from triage.nightly import Did, Night, bring_in
from triage.settings import Settings, ZendeskSettings

DAY = dt.date(2026, 3, 9)


@pytest.fixture(scope="module")
def simulated() -> ModuleType:
    """tests/pipeline/zendesk_server.py; tests are no package, so it is loaded from its file."""
    path = Path(__file__).parents[1] / "pipeline" / "zendesk_server.py"
    spec = importlib.util.spec_from_file_location("zendesk_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def zendesk(simulated: ModuleType) -> Iterator[Any]:
    account = simulated.account(4)
    server = simulated.serve(account)
    yield account
    server.shutdown()
    server.server_close()


@pytest.fixture
def night(workspace: Workspace) -> Callable[[Settings, dt.date], Night]:
    def begin(settings: Settings, as_of: dt.date) -> Night:
        return Night(
            settings=settings,
            workspace=workspace,
            engine=sa.create_engine("sqlite://"),
            spark=lambda: pytest.fail("an import needs no Spark"),
            config=TrainConfig(),
            as_of=as_of,
            record=NightRecord.open(workspace, as_of),
            report=lambda _: None,
            progress=lambda *_: None,
        )

    return begin


def test_each_night_fetches_what_changed_and_brings_it_into_its_own_day(
    workspace: Workspace, night: Callable[..., Night], simulated: ModuleType, zendesk: Any, tmp_path: Path
) -> None:
    written = ready_dataset("zendesk").read_text(encoding="utf-8")
    (tmp_path / "my.toml").write_text(f'files = [{{ path = "export" }}]\n{written}', encoding="utf-8")
    account = ZendeskSettings(url=zendesk.url, email="admin@rondo.example", token=SecretStr(simulated.TOKEN))
    settings = Settings(workspace=workspace.root, nightly_import=tmp_path / "my.toml", zendesk=account)

    first = bring_in(night(settings, DAY))
    simulated.add_ticket(zendesk, 90)
    second = bring_in(night(settings, DAY + dt.timedelta(days=1)))
    third = bring_in(night(settings, DAY + dt.timedelta(days=2)))

    assert (first, second, third) == (Did("4 rows"), Did("1 rows"), Did("0 rows"))
    arrived = workspace.read(RAW, ["arrived"])["arrived"].to_pylist()
    assert (arrived.count("2026-03-09"), arrived.count("2026-03-10")) == (4, 1)


def test_a_source_that_is_away_is_told_and_the_night_goes_on(
    workspace: Workspace, night: Callable[..., Night], tmp_path: Path
) -> None:
    rows = 'name = "own"\nformat = "csv"\nfiles = [{ path = "away.csv" }]\n[ticket]\nticket_id = "id"\nbody = "text"\n'
    (tmp_path / "own.toml").write_text(rows + 'created_at = "opened"\n', encoding="utf-8")
    settings = Settings(workspace=workspace.root, nightly_import=tmp_path / "own.toml")
    assert bring_in(night(settings, DAY)).summary.startswith("nothing came in: cannot read")
    (tmp_path / "away.csv").write_text("id,text,opened\n1,Where is my refund?,2026-03-01\n", encoding="utf-8")
    assert bring_in(night(settings, DAY)) == Did("1 rows")
    assert bring_in(night(settings, DAY)) == Did("no new files")


def test_a_wrong_dataset_ends_the_night_and_without_one_nothing_is_imported(
    workspace: Workspace, night: Callable[..., Night], tmp_path: Path
) -> None:
    (tmp_path / "own.toml").write_text("name = 7", encoding="utf-8")
    with pytest.raises(DatasetError):
        bring_in(night(Settings(workspace=workspace.root, nightly_import=tmp_path / "own.toml"), DAY))
    assert "TRIAGE_NIGHTLY_IMPORT" in bring_in(night(Settings(workspace=workspace.root), DAY)).summary
