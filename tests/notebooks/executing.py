"""How a test runs a notebook: its knobs turned down as a reader turns them, its variables read after the last cell."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

Execute = Callable[[str], Any]  # name -> the notebook after its run
FOLDER = Path(__file__).resolve().parents[2] / "notebooks"

# What is read of a notebook's variables after its last cell.
PROBES = {
    "03-drift-and-relabelling": """
import json
print(json.dumps({
    "workspace": WORKSPACE, "seed": SEED, "start": start.isoformat(), "changed": changed.isoformat(),
    "tickets_a_day": TICKETS_A_DAY, "days": config.days, "share": SHARE, "labels_a_night": LABELS_A_NIGHT,
    "nights": len(nights), "drifted": [sorted(names) for names in drifted],
    "alarmed": [alarm.detector for alarm in alarms],
    "words": sorted({word for _, why in explained for word in why.words}), "promoted": verdict.promote,
    "usual": usual, "recovery": recovery.to_dict("index"),
    "estimates": table[["truth", "estimate", "low", "high"]].dropna().to_dict("records"),
}))
""",
    "04-cost": """
print(json.dumps({
    "owned": dataclasses.asdict(owned), "rented": dataclasses.asdict(rented), "month": month, "needed": needed,
    "load": dataclasses.asdict(load), "slower": SLOWER, "headroom": HEADROOM, "spare": SPARE, "source": source,
}))
""",
}


def turn_down(notebook: Any, knobs: dict[str, Any]) -> None:
    """A cell that sets knobs, after the one that is tagged `parameters`."""
    (place,) = [number for number, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
    told = "\n".join(f"{name} = {value!r}" for name, value in knobs.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(told or "pass"))


def probed(notebook: Any) -> dict[str, Any]:
    """What the probe printed."""
    (output,) = notebook.cells[-1].outputs
    found: dict[str, Any] = json.loads(output.text)
    return found


def executed(name: str, knobs: dict[str, Any], environment: dict[str, str]) -> Any:
    """The notebook after a run from top to bottom in a kernel of its own."""
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    turn_down(notebook, knobs)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBES.get(name, "print('{}')")))
    return NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}).execute(env=environment)


def shown(notebook: Any) -> str:
    """All that a run printed or displayed, as plain text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
