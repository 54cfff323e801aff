"""`triage baselines`, `triage tune`: what it costs to be how good, and which knobs matter."""

from __future__ import annotations

import typer


def add_experiment_commands(app: typer.Typer) -> None:
    """Top-level commands, not a group: they stand beside `train`."""
