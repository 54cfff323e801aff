"""A script that torchrun starts in several processes: fit on a workspace and leave the loss of every step.

    torchrun --nproc-per-node 2 fit_in_processes.py <workspace> <knobs.json> <folder> [<step to fail at>]

Every process writes its final weights as <folder>/weights-<rank>.safetensors, the first also steps.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.training.data import load_training_data
from models.training.distributed import meet
from models.training.fit import fit
from tickets.errors import TriageError
from tickets.workspace import Workspace


def main(workspace: Path, knobs: Path, folder: Path, fail_at: int) -> None:
    config = TrainConfig(**json.loads(knobs.read_text(encoding="utf-8")))
    workers = meet(config.device)
    steps: list[float] = []

    def progress(step: int, _total: int, loss: float) -> None:
        steps.append(loss)
        if workers.rank == workers.count - 1 and step == fail_at:
            raise MemoryError("no memory left in the last process")

    tokenizer = load_tokenizer(config.encoder, config.max_tokens)
    data = load_training_data(Workspace.open(workspace), tokenizer, config, report=lambda _line: None)
    result = fit(data, config, folder=folder / "run", report=lambda _line: None, progress=progress, workers=workers)
    workers.leave()
    state = {name: tensor.contiguous() for name, tensor in result.network.state_dict().items()}
    save_file(state, folder / f"weights-{workers.rank}.safetensors")
    if workers.first:
        found = {"steps": steps, "history": result.history, "processes": workers.count}
        (folder / "steps.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    except TriageError as error:
        sys.exit(f"triage: {error}")
