"""The written history is an export that dataset.toml describes, without the truth in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tickets.catalogue import load_templates, load_tree
from tickets.dataset import load_dataset
from tickets.simulate import SimulationConfig, contact_type_tree, new_product, reply_templates, simulate, write_history

CONFIG = SimulationConfig(seed=13, start=date(2026, 2, 2), days=3, tickets_per_day=120)


def reach(row: dict[str, object], dotted: str) -> object:
    value: object = row
    for name in dotted.split("."):
        assert isinstance(value, dict)
        value = value[name]
    return value


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history")
    write_history(CONFIG, path, processes=1)
    return path


def test_dataset_toml_describes_the_export(folder):
    dataset = load_dataset(folder / "dataset.toml")
    rows = [json.loads(line) for line in (folder / dataset.files[0].path).read_text(encoding="utf-8").splitlines()]
    for column in dataset.columns:
        assert any(reach(row, column) is not None for row in rows), column
    assert load_tree(folder / str(dataset.contact_types_file)) == contact_type_tree()
    assert load_templates(folder / str(dataset.templates_file)) == reply_templates()


def test_the_export_holds_every_ticket_raw_and_no_truth(folder):
    rows = [json.loads(line) for line in (folder / "tickets.jsonl").read_text(encoding="utf-8").splitlines()]
    simulated = [ticket for day in simulate(CONFIG) for ticket in day.tickets]
    assert [row["description"] for row in rows] == [t.ticket.body for t in simulated]
    assert [row["category"] for row in rows] == [t.outcome.contact_type for t in simulated]
    assert not any("true" in name or "event" in name or name == "language" for row in rows for name in row)
    truth = pq.read_table(folder / "truth.parquet").to_pylist()
    assert [row["true_contact_type"] for row in truth] == [t.true_contact_type for t in simulated]


def test_the_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    heard: list[tuple[int, int]] = []
    write_history(CONFIG, tmp_path, processes=2, progress=lambda done, total: heard.append((done, total)))

    def digests(path: Path) -> dict[str, str]:
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.iterdir())}

    assert digests(tmp_path) == digests(folder)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert heard[-1][0] == len((folder / "tickets.jsonl").read_bytes().splitlines())


def test_the_tree_knows_the_new_product_only_once_it_is_launched(tmp_path):
    launched = CONFIG.start + timedelta(days=1)
    write_history(replace(CONFIG, events=(new_product(launched),)), tmp_path / "after", processes=1)
    assert load_tree(tmp_path / "after" / "contact_types.json") == contact_type_tree(with_new_product=True)
    write_history(replace(CONFIG, days=1, events=(new_product(launched),)), tmp_path / "before", processes=1)
    assert load_tree(tmp_path / "before" / "contact_types.json") == contact_type_tree()
