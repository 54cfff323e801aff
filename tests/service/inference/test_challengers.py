"""A challenger beside the champion, and the holdout: who answers, what is shown, what is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from models.challenger import begin_challenge, current_challenge, end_challenge
from models.release import ONNX, current_version, promote
from service.app import create_app, running
from tests.service.conftest import OPTIONS, admit
from tests.service.conftest import Service as RunningService
from tests.waiting import soon
from tickets.database import challenger_answers
from tickets.errors import InputError, ReleaseError
from tickets.feedback_log import find_suggestion
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Service


def ask(service: Service, number: int) -> dict[str, object]:
    ticket = {"ticket_id": f"T-{number}", "body": "Hello, I cannot sign in. What can I do?"}
    answer = service.client.post("/v1/suggestions", json={"ticket": ticket})
    assert answer.status_code == 200, answer.text
    made: dict[str, object] = answer.json()
    return made


def taken_up(service: Service, version: str) -> bool:
    return soon(lambda: (service.client.get("/v1/model").json()["challenger"] or {}).get("version") == version)


def test_a_canary_answers_its_share_and_each_ticket_stays_where_it_fell(service: Service, second_version: str) -> None:
    champion = current_version(service.workspace)
    begin_challenge(service.workspace, second_version, shadow=0, canary=0.4)
    assert taken_up(service, second_version)
    made = [ask(service, number) for number in range(40)]
    by_version = {str(one["model_version"]) for one in made}
    assert by_version == {champion, second_version}
    assert {(one["arm"], one["model_version"]) for one in made} == {("champion", champion), ("canary", second_version)}
    assert [ask(service, number)["arm"] for number in range(40)] == [one["arm"] for one in made]
    end_challenge(service.workspace)
    assert soon(lambda: service.client.get("/v1/model").json()["challenger"] is None)
    assert {ask(service, number)["model_version"] for number in range(40)} == {champion}


def test_a_shadow_is_asked_too_and_its_agreement_measured(service: Service, second_version: str) -> None:
    champion = current_version(service.workspace)
    begin_challenge(service.workspace, second_version, shadow=1.0, canary=0)
    assert taken_up(service, second_version)
    made = [ask(service, number) for number in range(5)]
    assert {one["model_version"] for one in made} == {champion}

    def answers() -> list[sa.Row[tuple[object, ...]]]:
        with service.engine.connect() as connection:
            return list(connection.execute(sa.select(challenger_answers)).all())

    assert soon(lambda: len(answers()) == 5)
    assert {row.suggestion_id for row in answers()} == {one["suggestion_id"] for one in made}
    assert {(row.model_version, row.agreed) for row in answers()} == {
        (second_version, True)
    }  # the same model by another name
    counted = f'triage_challenger_answers_total{{agreed="true",version="{second_version}"}} 5.0'
    assert counted in service.client.get("/metrics").text


def test_a_broken_challenger_is_refused_and_the_champion_answers_all(service: Service, second_version: str) -> None:
    champion = current_version(service.workspace)
    begin_challenge(service.workspace, second_version, shadow=0, canary=1.0)
    assert taken_up(service, second_version)
    end_challenge(service.workspace)
    assert soon(lambda: service.client.get("/v1/model").json()["challenger"] is None)
    graph = service.workspace.releases / second_version / ONNX
    graph.unlink()
    graph.write_bytes(b"no graph")
    file = service.workspace.releases / "challenger.json"
    file.write_text(f'{{"version": "{second_version}", "canary": 1.0, "shadow": 0, "since": ""}}', encoding="utf-8")
    assert soon(lambda: service.client.get("/v1/model").json()["refused"] is not None)
    assert {ask(service, number)["model_version"] for number in range(3)} == {champion}
    assert service.client.get("/readyz").status_code == 200
    file.write_text("nonsense", encoding="utf-8")
    assert ask(service, 4)["model_version"] == champion


def test_a_challenger_that_is_promoted_challenges_nobody(served: Workspace, second_version: str) -> None:
    begin_challenge(served, second_version, shadow=0.1, canary=0)
    promote(served, second_version)
    assert current_challenge(served) is None


def test_what_is_no_challenge_is_told(served: Workspace, second_version: str) -> None:
    with pytest.raises(InputError, match="no shares"):
        begin_challenge(served, second_version, shadow=0, canary=0)
    with pytest.raises(InputError, match="no shares"):
        begin_challenge(served, second_version, shadow=0, canary=1.5)
    with pytest.raises(ReleaseError, match="is the champion"):
        begin_challenge(served, str(current_version(served)), shadow=1, canary=0)
    with pytest.raises(ReleaseError, match="there is no model"):
        begin_challenge(served, "unknown", shadow=1, canary=0)
    assert end_challenge(served) is None


@pytest.fixture
def holding_out(connect: Connect, served: Workspace, engine: sa.Engine) -> Iterator[Service]:
    """A service that withholds half of its suggestions."""
    app = create_app(served, engine, dataclasses.replace(OPTIONS, holdout_share=0.5))
    admit(engine)
    with running(app) as address, connect(address) as client:
        yield RunningService(address, served, engine, client, app)


def test_the_holdout_sees_nothing_and_what_the_model_said_is_kept(holding_out: Service) -> None:
    made = [ask(holding_out, number) for number in range(30)]
    withheld = [one for one in made if one["arm"] == "holdout"]
    assert 0 < len(withheld) < len(made)
    for one in withheld:
        assert (one["contact_types"], one["templates"], one["similar"], one["words"]) == ([], [], [], [])
        assert one["abstained"] and "withheld" in str(one["abstain_reason"])
    holding_out.settle()
    found = find_suggestion(holding_out.engine, str(withheld[0]["suggestion_id"]))
    assert found is not None
    assert found[1].contact_types[0].contact_type == "login"
    page = holding_out.client.get(f"/console/suggestions/{withheld[0]['suggestion_id']}").text
    assert 'name="suggested_type"' not in page


def test_of_the_holdout_a_choice_is_feedback_and_accepting_is_not(holding_out: Service) -> None:
    one = next(made for made in (ask(holding_out, number) for number in range(60)) if made["arm"] == "holdout")
    given = {"suggestion_id": one["suggestion_id"], "action": "accepted", "contact_type": "login"}
    assert holding_out.client.post("/v1/feedback", json=given).status_code == 422
    chosen = given | {"action": "corrected"}
    assert holding_out.client.post("/v1/feedback", json=chosen).status_code == 201
