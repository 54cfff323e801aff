"""`triage debug` as a person meets it: what it prints, what it leaves, how it ends."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tickets.catalogue import write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.workspace import Workspace, write_text

NAMES = {"refund": "money", "invoice": "bill", "late": "waiting", "lost": "missing"}
DATASET = """
name = "small"
created_at_constant = 2026-01-01T00:00:00Z
[ticket]
body = "text"
[attributes]
categorical = ["queue"]
[outcome]
contact_type = "type"
"""


def row(number: int, deal: random.Random, *, leak: bool) -> dict[str, Any]:
    name = deal.choice(sorted(NAMES))
    words = [NAMES[name], *deal.choices(["order", "please", "hello", "today", "again", "my"], k=4)]
    deal.shuffle(words)
    queue = f"queue {name}" if leak else f"queue {deal.randint(1, 3)}"
    return {
        "ticket_id": f"t{number:04d}",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
        "text": " ".join(words),
        "language": "en",
        "channel": "web",
        "attributes": json.dumps({"queue": queue}),
        "statistics": json.dumps({"words": len(words) + number % 3}),
        "contact_type": name,
        "template_id": None,
        "outcome_source": "import",
    }


@pytest.fixture
def make_workspace(tmp_path: Path, write_examples: Callable[..., None]) -> Callable[..., Workspace]:
    def make(*, leak: bool) -> Workspace:
        workspace = Workspace.create(tmp_path / "w")
        write_text(workspace.catalogue / "dataset.toml", DATASET)
        write_tree(workspace, ContactTypeTree(nodes=tuple(ContactType(id=name, name=name) for name in NAMES)))
        deal = random.Random(3)
        sizes = (("train", 240, 0), ("validation", 60, 300), ("test", 60, 400))
        splits = {split: [row(first + n, deal, leak=leak) for n in range(count)] for split, count, first in sizes}
        write_examples(workspace, splits)
        return workspace

    return make


def debug(workspace: Workspace, encoder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    write_text(workspace.root / "knobs.toml", "max_tokens = 32\n")
    given = ["-w", str(workspace.root), "--encoder", str(encoder), "--knobs", str(workspace.root / "knobs.toml")]
    command = [sys.executable, "-m", "triage", "debug", *given, *options]
    environment = os.environ | {"COLUMNS": "200", "TRIAGE_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)


def test_an_attribute_that_is_the_answer_fails_the_checklist(
    make_workspace: Callable[..., Workspace], small_encoder: Path
) -> None:
    workspace = make_workspace(leak=True)
    said = debug(workspace, small_encoder)
    assert said.returncode == 1, said.stderr
    assert "FAILED: no attribute is the answer. queue tells most" in said.stdout
    assert "never_inputs in dataset.toml" in said.stdout
    record = json.loads((workspace.experiments / "debug.json").read_text(encoding="utf-8"))
    failed = [finding["check"] for finding in record["checklist"]["found"] if not finding["passed"]]
    assert "no attribute is the answer" in failed


def test_where_errors_come_from_and_how_much_history_is_needed(
    make_workspace: Callable[..., Workspace], small_encoder: Path
) -> None:
    workspace = make_workspace(leak=False)
    options = ("--bias-variance", "--learning-curve", "--target", "0.9", "--seeds", "1")
    said = debug(workspace, small_encoder, *options)
    assert said.returncode == 0, said.stderr
    for words in ("Where errors come from", "Largest:", "How much history is needed", "The target of 90.0%"):
        assert words in said.stdout
    assert "no attribute is the answer" not in said.stdout
    for name in ("bias-variance.svg", "learning-curve.svg", "debug.json"):
        assert f"Written: {workspace.experiments / name}" in said.stdout
        assert (workspace.experiments / name).stat().st_size > 1_000


def test_a_target_that_is_no_accuracy_is_one_line(
    make_workspace: Callable[..., Workspace], small_encoder: Path
) -> None:
    said = debug(make_workspace(leak=False), small_encoder, "--learning-curve", "--target", "85")
    assert said.returncode == 2
    assert said.stderr.strip().splitlines()[-1].startswith("triage: the target is 85")


def test_before_the_features_there_is_nothing_to_look_at(tmp_path: Path, small_encoder: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    said = debug(workspace, small_encoder)
    assert said.returncode == 4, said.stderr
    assert said.stderr.startswith("triage: ")
