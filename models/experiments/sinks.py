"""Where runs are recorded: the workspace's own journal always, and whichever others are asked for by name."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from models.experiments.recording import RunEnd, RunStart, Sink
from tickets.errors import InputError, MachineError
from tickets.experiment_log import ExperimentRun, append_run, runs_path
from tickets.workspace import Workspace

DEFAULT_SINKS = ("mlflow",)
_PROJECT = "ticket-triage"  # what the runs stand under in Weights & Biases


def open_sinks(names: Sequence[str], workspace: Workspace, tracking_uri: str | None) -> list[Sink]:
    """Sinks for one run, the journal first. MLflow is left out without a `tracking_uri`; `none` stands for no other.

    Raises InputError for a name that is no sink, MachineError when the package of one is not installed.
    """
    sinks: list[Sink] = [JournalSink(workspace)]
    for name in dict.fromkeys(names):
        if name == "none" or (name == "mlflow" and tracking_uri is None):
            continue
        if name not in _OPEN:
            raise InputError(f"there is no sink {name!r}.", hint=f"Sinks: {', '.join(_OPEN)}, none.")
        package, install = _PACKAGES[name]
        if importlib.util.find_spec(package) is None:
            raise MachineError(
                f"the sink {name} needs the package {package}, which is not installed.",
                hint=f"Install it (`{install}`), or leave {name} out of --sink and TRIAGE_TRACKING__SINKS.",
            )
        sinks.append(_OPEN[name](workspace, tracking_uri or ""))
    return sinks


class JournalSink:
    """A line in experiments/runs.jsonl when a run has ended; the dashboard reads it. Studies have none: their trials
    do."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.name = str(runs_path(workspace))
        self._run: RunStart | None = None

    def start(self, run: RunStart) -> None:
        self._run = run

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Curves are not for the journal."""

    def end(self, end: RunEnd) -> None:
        run = self._run
        if run is None or run.kind == "study":
            return
        line = ExperimentRun(
            id=run.run_id,
            kind=run.kind,
            name=end.product.model[0] if end.product.model else run.name,
            started=run.started,
            seconds=end.seconds,
            status=end.status,
            knobs=run.knobs,
            figures=end.figures,
            data_hash=run.origin.data_hash,
            validation_hash=run.origin.validation_hash,
            git_hash=run.origin.git_hash,
            study=run.parent,
            reason=end.reason,
        )
        append_run(self.workspace, line)


class TensorBoardSink:
    """Event files under experiments/tensorboard/, a folder a run: `tensorboard --logdir` shows them, knobs included."""

    name = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._knobs: dict[str, Any] = {}

    def start(self, run: RunStart) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if run.kind == "study":
            return
        self._knobs = {
            name: value if isinstance(value, bool | int | float) else str(value) for name, value in run.knobs.items()
        }
        self._writer = SummaryWriter(self._folder / (run.parent or "") / run.name, flush_secs=10)
        self._writer.add_text("origin", _as_code({**run.context, **run.origin.facts()}))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in figures.items():
                self._writer.add_scalar(name, value, step)

    def end(self, end: RunEnd) -> None:
        if self._writer is None:
            return
        self._writer.add_text("end", _as_code({"status": end.status, "reason": end.reason, "seconds": end.seconds}))
        figures = {f"end/{name}": value for name, value in end.figures.items()}
        self._writer.add_hparams(self._knobs, figures, run_name=".")
        self._writer.close()


class WandbSink:
    """A Weights & Biases run, its trials grouped by study. WANDB_MODE says whether anything leaves the machine; unless
    told otherwise nothing does, and `wandb sync` sends it later."""

    name = "Weights & Biases"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run: Any = None

    def start(self, run: RunStart) -> None:
        import wandb  # type: ignore[import-not-found, unused-ignore]

        if run.kind == "study":
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=_PROJECT,
            name=run.name,
            group=run.parent,
            job_type=run.kind,
            config={**run.knobs, **run.context, **run.origin.facts()},
            dir=str(self._folder),
            reinit="create_new",
            # Knobs, curves and figures alone: neither what is printed nor code goes along.
            settings=wandb.Settings(console="off", save_code=False, silent=True),
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if self._run is not None:
            self._run.log(dict(figures), step=step)

    def end(self, end: RunEnd) -> None:
        if self._run is None:
            return
        self._run.summary.update({**end.figures, "status": end.status, "reason": end.reason, "seconds": end.seconds})
        self._run.finish(exit_code=int(end.status == "failed"))


def _mlflow(workspace: Workspace, tracking_uri: str) -> Sink:
    from models.registry import MlflowSink

    return MlflowSink(workspace, tracking_uri)


_OPEN: Mapping[str, Callable[[Workspace, str], Sink]] = {
    "mlflow": _mlflow,
    "tensorboard": lambda workspace, _uri: TensorBoardSink(workspace.experiments / "tensorboard"),
    "wandb": lambda workspace, _uri: WandbSink(workspace.experiments / "wandb"),
}
_PACKAGES = {
    "mlflow": ("mlflow", "pip install -c constraints.txt -e '.[models]'"),
    "tensorboard": ("tensorboard", "pip install -c constraints.txt -e '.[tracking]'"),
    "wandb": ("wandb", "pip install wandb"),
}


def _as_code(facts: Mapping[str, Any]) -> str:
    """Facts as an indented block of Markdown."""
    return "\n".join(f"    {line}" for line in json.dumps(facts, indent=1, default=str).splitlines())
