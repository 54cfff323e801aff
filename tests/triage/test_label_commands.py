"""`triage labels`: the open queue goes to Label Studio and comes back as labels, once, with what is refused kept."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from pipeline.upkeep.quarantine import Chosen, count_reasons, refused
from tickets.catalogue import write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import label_queue, labels
from tickets.errors import SourceError
from tickets.label_queue import LabelRequest, Share, answer, claim, counts, enqueue, labels_between
from tickets.label_studio import contact_type_at, interface
from tickets.label_work import Hits, gold_hits
from tickets.records import RankedContactType, Suggestion, Ticket
from tickets.workspace import Workspace
from triage.commands.labels import labels_app
from triage.labels import export_labels, import_labels
from triage.settings import Settings

NOW = datetime(2026, 3, 3, 9, tzinfo=UTC)
TREE = ContactTypeTree(
    nodes=(
        ContactType(id="payments", name="Payments & fees"),
        ContactType(id="refund", name="Refund", parent="payments", description='Money is wanted "back" <soon>.'),
        ContactType(id="invoice", name="Invoice", parent="payments"),
        ContactType(id="login", name="Login"),
        ContactType(id="old", name="Old", active=False),
        ContactType(id="gone", name="Gone", active=False),
    ),
    mapping={"old": ("refund",)},
)


@pytest.fixture
def settings(workspace: Workspace, engine: sa.Engine) -> Settings:
    write_tree(workspace, TREE)
    return Settings(workspace=workspace.root, database_url=engine.url.render_as_string(hide_password=False))


def ask(engine: sa.Engine, *items: tuple[str, Share, int]) -> None:
    ranked = RankedContactType(
        contact_type="refund", path="Payments & fees::Refund", probability=0.71234, band="medium"
    )
    requests = [
        LabelRequest(
            ticket=Ticket(
                ticket_id=name, created_at=NOW, body=f"{name}: “wo ist mein Geld?” 🛵", attributes={"city": "Köln"}
            ),
            share=share,
            priority=1.0 - number / 10,
            needed=needed,
            item_id=f"i-{name}",
            suggestion=Suggestion(
                **{"suggestion_id": f"s-{name}", "ticket_id": name, "model_version": "v1", "created_at": NOW},
                contact_types=(ranked,),
                templates=(),
            ),
        )
        for number, (name, share, needed) in enumerate(items)
    ]
    enqueue(engine, requests, at=NOW)


def annotated(task: dict[str, Any], *given: dict[str, Any]) -> dict[str, Any]:
    """A task as Label Studio 1.x exports it, with these annotations."""
    number = int(task["data"]["ticket_id"].removeprefix("t"))
    facts = {"created_at": "2026-03-02T22:16:08.728353Z", "updated_at": "2026-03-02T22:16:08.728378Z", "project": 83}
    return {
        **{"id": 4000 + number, **facts, "inner_id": number, "total_annotations": len(given)},
        **{"cancelled_annotations": 0, "total_predictions": 1, "comment_count": 0, "file_upload": "1a2b-tasks.json"},
        "data": task["data"],
        "meta": {},
        "annotations": [
            {
                **{"id": 9000 + 10 * number + place, "was_cancelled": False, "ground_truth": False, **facts},
                **{"lead_time": 4.288, "draft_created_at": None, "result_count": 1, "task": 4000 + number},
                **{"prediction": {}, "parent_prediction": None, "parent_annotation": None, "unique_id": "x"},
                **one,
            }
            for place, one in enumerate(given)
        ],
        "drafts": [],
        "predictions": [1],
    }


def chose(*paths: list[str], by: object = 10) -> dict[str, Any]:
    region = {"id": "Dx_aB91ISN", "type": "taxonomy", "origin": "manual", "to_name": "ticket"}
    return {
        "result": [{**region, "from_name": "contact_type", "value": {"taxonomy": list(paths)}}],
        "completed_by": by,
    }


def exported(settings: Settings, folder: Path) -> dict[str, dict[str, Any]]:
    export_labels(settings, folder / "tasks.json", folder / "tasks.xml")
    read = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    return {task["data"]["ticket_id"]: task for task in read}


def final(engine: sa.Engine, *, start: datetime = NOW) -> dict[str, tuple[str, str]]:
    rows = labels_between(engine, start, NOW + timedelta(days=300))
    return {row["ticket_id"]: (row["contact_type"], row["labeler"]) for row in rows}


REFUND = ["Payments & fees", "Refund"]
ANN = {"id": 7, "email": "ann@example.com", "first_name": "Ann", "last_name": ""}


def test_the_queue_goes_out_and_comes_back_once(settings: Settings, engine: sa.Engine, tmp_path: Path) -> None:
    ask(engine, *((f"t{number}", "unsure", 1) for number in range(4)), ("t4", "random", 2), ("t5", "unsure", 1))
    answer(engine, "i-t5", contact_type="login", labeler="bob", at=NOW)
    tasks = exported(settings, tmp_path)
    assert list(tasks) == ["t0", "t1", "t2", "t3", "t4"]
    assert tasks["t0"]["data"]["text"] == "t0: “wo ist mein Geld?” 🛵"
    assert "city: Köln" in tasks["t0"]["data"]["about"]
    (said,) = tasks["t0"]["predictions"]
    assert said["result"][0]["value"] == {"taxonomy": [REFUND]}
    assert tasks["t4"]["predictions"] == []  # a label that measures is given blind

    file = tmp_path / "export.json"
    done = [
        annotated(tasks["t0"], chose(REFUND, by=ANN)),
        annotated(tasks["t1"], chose(["Login"]), chose(["Login"], by=11), chose(REFUND, by=12)),
        annotated(tasks["t2"], {**chose(REFUND), "was_cancelled": True}),
        annotated(tasks["t3"]),
        annotated(tasks["t4"], chose(REFUND, by=ANN), chose(["Login"], by=11)),
    ]
    file.write_text(json.dumps(done), encoding="utf-8")
    first = import_labels(settings, file, now=NOW)
    assert (first.kept, first.known, first.cancelled, first.refused) == (6, 0, 1, {})
    assert final(engine) == {
        "t0": ("refund", "ann@example.com"),
        "t1": ("login", "label-studio-11"),
        "t5": ("login", "bob"),
    }
    assert counts(engine) == {"done": 3, "open": 2, "disputed": 1}
    with engine.connect() as connection:
        before = connection.execute(sa.select(labels).order_by(labels.c.label_id)).all()
    assert [row.seconds for row in before].count(4.288) == 6
    again = import_labels(settings, file, now=NOW + timedelta(days=1))
    assert (again.kept, again.known, again.cancelled, again.refused) == (0, 6, 1, {})
    with engine.connect() as connection:
        assert connection.execute(sa.select(labels).order_by(labels.c.label_id)).all() == before
    assert list(exported(settings, tmp_path)) == ["t2", "t3"]


def test_a_label_given_long_ago_reaches_the_next_night(settings: Settings, engine: sa.Engine, tmp_path: Path) -> None:
    ask(engine, ("t1", "unsure", 1))
    file = tmp_path / "export.json"
    task = exported(settings, tmp_path)["t1"]
    file.write_text(json.dumps([annotated(task, chose(REFUND))]), encoding="utf-8")
    import_labels(settings, file, now=NOW + timedelta(days=9))
    (row,) = labels_between(engine, NOW + timedelta(days=9), NOW + timedelta(days=10))
    assert row["at"] == datetime(2026, 3, 2, 22, 16, 8, 728353, tzinfo=UTC)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_ground_truth_becomes_gold_for_others(settings: Settings, engine: sa.Engine, tmp_path: Path) -> None:
    ask(engine, ("t1", "unsure", 1), ("t2", "random", 2))
    tasks, file = exported(settings, tmp_path), tmp_path / "export.json"
    marked = {"ground_truth": True}
    done = [annotated(tasks["t1"], chose(REFUND) | marked), annotated(tasks["t2"], chose(["Login"]) | marked)]
    file.write_text(json.dumps(done), encoding="utf-8")
    assert import_labels(settings, file, now=NOW).gold == 1  # the other waits for its second label
    assert import_labels(settings, file, now=NOW).gold == 0
    assert [item.share for item in claim(engine, "label-studio-10", at=NOW, count=9)] == []
    (gold,) = [item for item in claim(engine, "bob", at=NOW, count=9) if item.share == "gold"]
    form = uuid.UUID(gold.item_id)
    assert (form.version, form.hex) == (4, gold.item_id)  # its id looks like any other
    answer(engine, gold.item_id, contact_type="login", labeler="bob", at=NOW)
    assert import_labels(settings, file, now=NOW).gold == 0
    assert final(engine) == {"t1": ("refund", "label-studio-10")}
    assert gold_hits(engine, TREE, since=NOW) == {"bob": Hits(0, 1)}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_cannot_be_kept_is_in_quarantine_with_its_reason(
    settings: Settings, engine: sa.Engine, workspace: Workspace, tmp_path: Path
) -> None:
    ask(engine, *((f"t{number}", "unsure", 1) for number in range(1, 8)))
    answer(engine, "i-t6", contact_type="login", labeler="bob", at=NOW)
    task = {f"t{number}": {"data": {"item_id": f"i-t{number}", "ticket_id": f"t{number}"}} for number in range(1, 10)}
    task["t7"]["data"].pop("item_id")  # other tools keep the ticket's id alone
    file = tmp_path / "export.json"
    done = [
        annotated(task["t1"], chose(["Payments & fees", "Nothing like it"])),
        annotated(task["t2"], chose(["Payments & fees"])),  # a branch says too little
        annotated(task["t3"], chose(REFUND, ["Login"])),
        annotated(task["t4"], chose()),
        annotated(task["t5"], {"result": [{"type": "choices", "value": {"choices": ["Payments & fees::Invoice"]}}]}),
        annotated(task["t6"], chose(REFUND)),
        annotated(task["t7"], chose(["Old"])),
        annotated(task["t8"], chose(REFUND)),
    ]
    file.write_text(json.dumps(done), encoding="utf-8")
    for day in (0, 3):
        found = import_labels(settings, file, now=NOW + timedelta(days=day))
        assert found.refused == {
            "nothing was asked": 1,
            "no contact type was chosen": 1,
            "several contact types were chosen": 1,
            "unknown contact type": 2,
            "answered already": 1,
        }
    rows = list(refused(workspace, Chosen(step="labels")))
    assert len(rows) == 6
    assert {row["arrived"] for row in rows} == {"2026-03-03"}
    assert rows[0]["fields"]["annotations"][0]["result"][0]["value"] == {
        "taxonomy": [["Payments & fees", "Nothing like it"]]
    }
    assert sum(row["rows"] for row in count_reasons(workspace, Chosen())) == 6
    assert final(engine) == {
        "t5": ("invoice", "label-studio-unknown"),
        "t6": ("login", "bob"),
        "t7": ("refund", "label-studio-10"),
    }
    # An annotator who changed their mind after the import is told, and nothing is overwritten.
    done[4]["annotations"][0]["result"][0]["value"]["choices"] = ["Login"]
    file.write_text(json.dumps(done[4:5]), encoding="utf-8")
    changed = import_labels(settings, file, now=NOW)
    assert changed.refused == {"changed since it was imported": 1}
    assert final(engine)["t5"] == ("invoice", "label-studio-unknown")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{", "no JSON"),
        ('{"data": {}}', "no list of tasks"),
        ('[{"id": 1, "annotation_id": 3, "contact_type": "x"}]', "JSON-MIN"),
        ('[{"id": 1, "annotations": []}]', "no `data`"),
    ],
)
def test_other_formats_are_refused(settings: Settings, tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "export.json"
    file.write_text(written, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        import_labels(settings, file, now=NOW)


def test_the_interface_is_the_tree_and_its_paths_lead_back() -> None:
    view = ElementTree.fromstring(interface(TREE))
    taxonomy = view.find("Taxonomy")
    assert taxonomy is not None
    assert {tag.get("name") for tag in view if tag.get("name")} >= {taxonomy.get("name"), taxonomy.get("toName")}
    found = {(top.get("value"), leaf.get("value")) for top in taxonomy for leaf in top}
    assert found == {("Payments & fees", "Refund"), ("Payments & fees", "Invoice")}
    assert [top.get("value") for top in taxonomy] == ["Payments & fees", "Login"]
    assert contact_type_at(TREE, ("Payments & fees", "Refund")) == "refund"
    assert contact_type_at(TREE, ("old",)) == "refund"
    assert contact_type_at(TREE, ("gone",)) is None


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_commands_say_what_they_did(
    workspace: Workspace, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    write_tree(workspace, TREE)
    ask(engine, ("t1", "unsure", 1))
    file, folder = tmp_path / "tasks.json", ["--workspace", str(workspace.root)]
    out = CliRunner().invoke(labels_app, ["export", str(file), *folder], catch_exceptions=False)
    assert "1 tasks" in out.output
    assert (tmp_path / "tasks.xml").exists()
    (task,) = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps([annotated(task, chose(["?"]), chose(REFUND, by=2))]), encoding="utf-8")
    back = CliRunner().invoke(labels_app, ["import", str(file), *folder], catch_exceptions=False)
    assert "1 labels kept, 0 known already, 0 cancelled." in back.output
    assert "1 refused: unknown contact type" in back.output


def test_names_that_no_database_takes_are_refused_with_a_reason(
    settings: Settings, engine: sa.Engine, workspace: Workspace, tmp_path: Path
) -> None:
    ask(engine, ("t1", "unsure", 1))
    asked = {"item_id": "i-t1", "text": "half \ud83d"}
    done = [{"data": asked, "annotations": [chose(["Nothing like it"])]}]
    for odd in ("\x00", "\ud800"):
        done += [{"data": data, "annotations": [chose(REFUND)]} for data in ({"item_id": odd}, {"ticket_id": odd})]
        for one in (chose(REFUND, by={"email": odd}), chose(REFUND) | {"id": odd}):
            done.append({"data": asked, "annotations": [one]})
    file = tmp_path / "export.json"
    file.write_text(json.dumps(done), encoding="utf-8")
    found = import_labels(settings, file, now=NOW)
    assert found.refused == {"a name that cannot be kept": 8, "unknown contact type": 1}
    rows = list(refused(workspace, Chosen(step="labels")))
    assert (len(rows), rows[0]["fields"]["data"]["text"]) == (9, r"half \ud83d")
    assert final(engine) == {}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_two_annotators_of_a_gold_ticket_are_measured_and_make_no_outcome(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    ask(engine, ("t1", "gold", 1))
    with engine.begin() as connection:
        connection.execute(sa.update(label_queue).values(known_type="refund"))
    file = tmp_path / "export.json"
    done = [annotated(exported(settings, tmp_path)["t1"], chose(REFUND), chose(["Login"], by=11))]
    file.write_text(json.dumps(done), encoding="utf-8")
    assert import_labels(settings, file, now=NOW).kept == 2
    assert counts(engine) == {"done": 1}
    assert final(engine) == {}
    measured = gold_hits(engine, TREE, since=NOW - timedelta(days=1))
    assert measured == {"label-studio-10": Hits(1, 1), "label-studio-11": Hits(0, 1)}


def test_annotations_without_an_id_are_known_again_wherever_they_stand(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    ask(engine, ("t1", "unsure", 1), ("t2", "unsure", 1))
    task = {name: {"data": {"ticket_id": name}, "annotations": [chose(REFUND, by=ANN)]} for name in ("t1", "t2")}
    file = tmp_path / "export.json"
    for order, kept in ((("t1", "t2"), 2), (("t2", "t1"), 0)):
        file.write_text(json.dumps([task[name] for name in order]), encoding="utf-8")
        found = import_labels(settings, file, now=NOW)
        assert (found.kept, found.known) == (kept, 2 - kept)
    with engine.connect() as connection:
        assert len(set(connection.scalars(sa.select(labels.c.label_id)))) == 2


def by_ticket(name: str, *given: dict[str, Any]) -> dict[str, Any]:
    """A task of a project that keeps the ticket's id alone."""
    return {"data": {"ticket_id": name}, "annotations": list(given)}


def test_annotations_of_one_number_from_two_servers_are_two_labels(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    ask(engine, *((f"t{number}", "unsure", 1) for number in range(3)))
    for name, path in (("t0", REFUND), ("t1", REFUND), ("t2", ["Login"])):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps([by_ticket(name, chose(path) | {"id": 17})]), encoding="utf-8")
        for kept in (1, 0):
            done = import_labels(settings, file, now=NOW)
            assert (done.kept, done.known, done.refused) == (kept, 1 - kept, {})
    assert {name: said for name, (said, _) in final(engine).items()} == {"t0": "refund", "t1": "refund", "t2": "login"}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("former", [False, True])
def test_people_who_label_the_same_tasks_on_two_servers_are_two(
    settings: Settings, engine: sa.Engine, tmp_path: Path, former: bool
) -> None:
    ask(engine, ("t0", "random", 2), ("t1", "random", 2))
    file = tmp_path / "export.json"
    bob = {"id": 7, "email": "bob@example.com"}
    for by, second, said in ((ANN, 1, (REFUND, REFUND)), (bob, 2, (["Login"], REFUND))):
        facts = {"created_at": f"2026-03-02T22:16:0{second}.5Z"}
        done = [by_ticket(f"t{one}", chose(said[one], by=by) | facts | {"id": one + 1}) for one in (0, 1)]
        file.write_text(json.dumps(done), encoding="utf-8")
        for kept in (2, 0):
            found = import_labels(settings, file, now=NOW)
            assert (found.kept, found.known, found.refused) == (kept, 2 - kept, {})
            with engine.begin() as connection:
                for one in (1, 2) if former else ():  # as they were kept when the id did not speak of the time
                    own = (labels.c.ticket_id == f"t{one - 1}") & (labels.c.labeler == ANN["email"])
                    name = uuid.uuid5(uuid.NAMESPACE_URL, f"label-studio:None:t{one - 1}:{one}").hex
                    connection.execute(sa.update(labels).where(own).values(label_id=name))
    assert counts(engine) == {"disputed": 1, "done": 1}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_labels_imported_before_their_id_spoke_of_the_ticket_are_known_again(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    ask(engine, ("t1", "random", 2), ("t2", "unsure", 1))
    file = tmp_path / "export.json"
    marked = {"ground_truth": True}
    given = (chose(REFUND) | {"id": 17}, chose(REFUND, by=11) | {"id": 18} | marked)
    file.write_text(json.dumps([by_ticket("t1", *given)]), encoding="utf-8")
    assert import_labels(settings, file, now=NOW).kept == 2
    with engine.begin() as connection:
        for number, annotator in ((17, 10), (18, 11)):
            former = uuid.uuid5(uuid.NAMESPACE_URL, f"label-studio:None:{number}").hex
            own = sa.update(labels).where(labels.c.labeler == f"label-studio-{annotator}")
            connection.execute(own.values(label_id=former))

    # By now the ticket is asked about again: it is gold. What was said of it before is not said of that.
    again = import_labels(settings, file, now=NOW)
    assert (again.kept, again.known, again.refused) == (0, 2, {})
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(labels.c.item_id))) == {"i-t1"}
        assert connection.scalar(sa.select(label_queue.c.needed).where(label_queue.c.share == "gold")) == 1

    # The number 17 of another server is another ticket's.
    file.write_text(json.dumps([by_ticket("t2", chose(REFUND) | {"id": 17})]), encoding="utf-8")
    assert import_labels(settings, file, now=NOW).kept == 1
