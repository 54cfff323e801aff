"""Sinks behind one seam: chosen by name, told everything while a run goes on, and never the end of one."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from models.experiments.origin import Origin, git_state
from models.experiments.recording import Pruned, RunEnd, RunStart, one_line, recorded
from models.experiments.sinks import JournalSink, TensorBoardSink, open_sinks
from tickets.errors import InputError, MachineError
from tickets.experiment_log import read_runs
from tickets.workspace import Workspace

ORIGIN = Origin(
    data_hash="d",
    validation_hash="v",
    tickets={"train": 10},
    git_hash=None,
    git_dirty=None,
    device="cpu",
    device_name="a CPU",
    cores=2,
    memory_gb=8.0,
    libraries={"torch": "2.13.0"},
)


@dataclass
class Notebook:
    """A sink that keeps what it is told, and fails where it is told to."""

    fails: tuple[str, ...] = ()
    name: str = "notebook"
    told: list[tuple[str, object]] = field(default_factory=list)

    def _note(self, word: str, content: object) -> None:
        self.told.append((word, content))
        if word in self.fails:
            raise ConnectionError(f"no {word}")

    def start(self, run: RunStart) -> None:
        self._note("start", run.name)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        self._note("log", (step, dict(figures)))

    def end(self, end: RunEnd) -> None:
        self._note("end", end)

    def points(self) -> list[tuple[int, dict[str, float]]]:
        return [content for word, content in self.told if word == "log"]  # type: ignore[misc]


def start_of(name: str = "r1", **other: object) -> RunStart:
    facts: dict[str, object] = {"kind": "trial", "knobs": {"epochs": 2, "encoder": "tiny", "trainable_layers": None}}
    return RunStart(run_id=name, name=name, origin=ORIGIN, **(facts | other))  # type: ignore[arg-type]


def test_a_long_curve_is_thinned_and_keeps_its_mean() -> None:
    sink = Notebook()
    with recorded(start_of(), [sink], report=print) as run:
        for step in range(1, 2001):
            run.step(step, 2000, {"loss": float(step), "rate": 0.5})
    points = sink.points()
    assert len(points) == 200
    assert points[0] == (10, {"step/loss": 5.5, "step/rate": 0.5})
    assert points[-1][0] == 2000


@pytest.mark.parametrize(("steps", "points"), [(199, 199), (200, 200), (399, 200), (401, 134)])
def test_no_curve_has_more_than_two_hundred_points(steps: int, points: int) -> None:
    sink = Notebook()
    with recorded(start_of(), [sink], report=print) as run:
        for step in range(1, steps + 1):
            run.step(step, steps, {"loss": 1.0})
    assert len(sink.points()) == points
    assert sink.points()[-1][0] == steps


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("request to https://me:pass@word@host:5000/api failed", "request to https://host:5000/api failed"),
        ("postgresql+psycopg://me@host/db and http://a:b@c", "postgresql+psycopg://host/db and http://c"),
        ("https://host/a@b, mail to me@host", "https://host/a@b, mail to me@host"),
    ],
)
def test_what_an_error_says_is_told_without_passwords(said: str, kept: str) -> None:
    assert one_line(RuntimeError(said)) == f"RuntimeError: {kept}"


def test_the_figures_of_the_best_look_are_those_of_the_run() -> None:
    sink = Notebook()
    with recorded(start_of(), [sink], report=print) as run:
        for step, mrr in ((1, 0.5), (2, 0.75), (3, 0.625)):
            run.look({"step": step, "loss": 1.0, "validation_mrr": mrr, "validation_accuracy": mrr - 0.25})
    end = sink.told[-1][1]
    assert isinstance(end, RunEnd)
    assert (end.status, end.figures) == ("finished", {"validation_mrr": 0.75, "validation_accuracy": 0.5})
    assert sink.points()[0] == (
        1,
        {"training/loss": 1.0, "training/validation_mrr": 0.5} | {"training/validation_accuracy": 0.25},
    )


@pytest.mark.parametrize(
    ("raised", "status", "reason"),
    [
        (Pruned("0.2 at look 2"), "pruned", "0.2 at look 2"),
        (RuntimeError("out of\n memory."), "failed", "RuntimeError: out of memory"),
        (MachineError("no disk.", hint="Free some."), "failed", "no disk. Free some"),
        (KeyboardInterrupt(), "failed", "interrupted"),
    ],
)
def test_a_run_that_is_ended_early_says_how_and_why(
    workspace: Workspace, raised: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(raised)), recorded(start_of(parent="s1"), [JournalSink(workspace)], report=print) as run:
        run.look({"step": 1, "loss": 1.0, "validation_mrr": 0.5})
        raise raised
    ((line,), damaged) = read_runs(workspace)
    assert (line.status, line.reason, line.study, damaged) == (status, reason, "s1", 0)
    assert line.figures == {"validation_mrr": 0.5}
    assert line.knobs == {"epochs": 2, "encoder": "tiny", "trainable_layers": None}
    assert (line.data_hash, line.validation_hash, line.git_hash) == ("d", "v", None)


def test_a_sink_that_cannot_start_is_told_once_and_left_alone() -> None:
    lines: list[str] = []
    broken, sound = Notebook(fails=("start",), name="broken"), Notebook()
    with recorded(start_of(), [broken, sound], report=lines.append) as run:
        run.look({"step": 1, "loss": 1.0, "validation_mrr": 0.5})
    assert lines == ["Warning: broken: nothing of r1 is recorded there: ConnectionError: no start."]
    assert [word for word, _ in broken.told] == ["start"]
    assert [word for word, _ in sound.told] == ["start", "log", "end"]


def test_a_sink_that_is_away_for_a_while_is_tried_again() -> None:
    lines: list[str] = []
    away = Notebook(fails=("log",), name="away")
    with recorded(start_of(), [away], report=lines.append) as run:
        for step in range(1, 6):
            run.step(step, 5, {"loss": 1.0, "rate": 0.5})
    assert lines == ["Warning: away: r1 is not recorded there for now: ConnectionError: no log."]
    assert [word for word, _ in away.told] == ["start", *["log"] * 5, "end"]


def test_a_sink_is_chosen_by_name(workspace: Workspace) -> None:
    def names(*asked: str, uri: str | None = "sqlite:///x.db") -> list[str]:
        return [type(sink).__name__ for sink in open_sinks(asked, workspace, uri)]

    assert names("mlflow", "tensorboard", "mlflow") == ["JournalSink", "MlflowSink", "TensorBoardSink"]
    assert names("none") == names("mlflow", uri=None) == ["JournalSink"]
    with pytest.raises(InputError, match=r"no sink 'ml-flow'.*mlflow, tensorboard, wandb"):
        names("ml-flow")


def test_a_sink_whose_package_is_missing_says_which(workspace: Workspace) -> None:
    if importlib.util.find_spec("wandb") is not None:
        pytest.skip("wandb is installed here")
    with pytest.raises(MachineError, match=r"wandb needs the package wandb.*pip install wandb"):
        open_sinks(["wandb"], workspace, None)


@pytest.fixture
def scalars() -> Callable[..., dict[str, list[tuple[int, float]]]]:
    """Curves as TensorBoard itself reads them from a folder."""

    def read(folder: object) -> dict[str, list[tuple[int, float]]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder))
        events.Reload()
        return {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}

    return read


def test_tensorboard_has_the_curves_of_a_run_that_crashed(workspace: Workspace, scalars) -> None:
    sink = TensorBoardSink(workspace.experiments / "tensorboard")
    with pytest.raises(ZeroDivisionError), recorded(start_of(parent="s1"), [sink], report=pytest.fail) as run:
        for step in (1, 2):
            run.step(step, 10, {"loss": 1.0 / step, "rate": 0.25})
        run.look({"step": 2, "loss": 0.75, "validation_mrr": 0.5})
        raise ZeroDivisionError("division by zero")
    curves = scalars(workspace.experiments / "tensorboard" / "s1" / "r1")
    assert curves["step/loss"] == [(1, 1.0), (2, 0.5)]
    assert curves["step/rate"] == [(1, 0.25), (2, 0.25)]
    assert curves["training/validation_mrr"] == [(2, 0.5)]
    assert curves["end/validation_mrr"][0][1] == 0.5


def test_the_code_of_a_run_is_known_inside_a_checkout() -> None:
    commit, dirty = git_state()
    assert commit is not None
    assert len(commit) == 40
    assert dirty in (True, False)


def test_weights_and_biases_keeps_a_run_without_a_network(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is optional and not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name, kind in (("s1", "study"), ("r1", "trial")):
        start = start_of(name, kind=kind, parent=None if kind == "study" else "s1")
        with recorded(start, open_sinks(["wandb"], workspace, None), report=pytest.fail) as run:
            run.look({"step": 1, "loss": 1.0, "validation_mrr": 0.5})
    (written,) = (workspace.experiments / "wandb").glob("wandb/offline-run-*/run-*.wandb")  # a study has none
    waiting = time.monotonic() + 20  # its own process writes the file
    while b"validation_mrr" not in written.read_bytes() and time.monotonic() < waiting:
        time.sleep(0.1)
    assert b"validation_mrr" in written.read_bytes()
