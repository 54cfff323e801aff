"""Workspaces: atomic publication, the run lock, reading with the declared schema, manifests."""

import fcntl
import multiprocessing
import os
import sys
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickets.errors import LockedError, MachineError, MissingStepError, WorkspaceError
from tickets.manifests import Manifest, file_hash, manifests, read_manifest, write_manifest
from tickets.run_lock import lock_holder
from tickets.tables import QUARANTINE
from tickets.workspace import Workspace, write_text


def write_rows(folder: Path, reasons: list[str]) -> None:
    folder.mkdir(parents=True)
    rows = [
        {"source": "f", "row": n, "fields": "{}", "step": "clean", "reason": r, "detail": ""}
        for n, r in enumerate(reasons)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=QUARANTINE.schema), folder / "part-0.parquet")


def reasons(workspace: Workspace) -> list[str]:
    return sorted(workspace.read(QUARANTINE, ["reason"]).column("reason").to_pylist())


def test_publishing_replaces_only_the_given_partitions(workspace: Workspace) -> None:
    with workspace.aside("first") as aside:
        write_rows(aside / "arrived=2026-01-01", ["a"])
        write_rows(aside / "arrived=2026-01-02", ["b"])
        workspace.publish(aside, QUARANTINE)
    with workspace.aside("second") as aside:
        write_rows(aside / "arrived=2026-01-02", ["c", "d"])
        workspace.publish(aside, QUARANTINE, ["2026-01-02"])
    assert reasons(workspace) == ["a", "c", "d"]
    assert workspace.partitions(QUARANTINE) == ["2026-01-01", "2026-01-02"]
    assert workspace.read(QUARANTINE).column("arrived").to_pylist() == ["2026-01-01", "2026-01-02", "2026-01-02"]


def test_a_partition_that_was_written_empty_is_emptied(workspace: Workspace) -> None:
    with workspace.aside("first") as aside:
        write_rows(aside / "arrived=2026-01-01", ["a"])
        workspace.publish(aside, QUARANTINE)
    with workspace.aside("second") as aside:
        workspace.publish(aside, QUARANTINE, ["2026-01-01"])
    assert reasons(workspace) == []


def test_a_step_that_fails_leaves_the_last_good_table(workspace: Workspace) -> None:
    with workspace.aside("first") as aside:
        write_rows(aside / "arrived=2026-01-01", ["a"])
        workspace.publish(aside, QUARANTINE)
    with pytest.raises(RuntimeError), workspace.aside("second") as aside:
        write_rows(aside / "arrived=2026-01-01", ["half"])
        raise RuntimeError("killed")
    assert reasons(workspace) == ["a"]
    assert list(workspace.aside_root.iterdir()) == []


def test_a_table_nobody_wrote_is_a_missing_step(workspace: Workspace) -> None:
    with pytest.raises(MissingStepError, match="quarantine"):
        workspace.read(QUARANTINE)


def test_a_folder_that_is_no_workspace_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="is not a workspace"):
        Workspace.open(tmp_path)


def hold_lock(root: Path, held: Event, end: Event) -> None:
    with Workspace(root).lock("nightly"):
        held.set()
        end.wait(30)


def test_the_lock_keeps_other_processes_out_and_names_the_holder(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    held, end = context.Event(), context.Event()
    holder = context.Process(target=hold_lock, args=(workspace.root, held, end))
    holder.start()
    assert held.wait(30)
    with pytest.raises(LockedError, match=f"nightly, process {holder.pid}"), workspace.lock("import"):
        pass
    holder.kill()
    holder.join()
    with workspace.lock("import"):
        pass


def test_who_only_asks_who_holds_the_lock_keeps_no_run_out(workspace: Workspace) -> None:
    (workspace.root / "run.lock").write_text("nightly 2026-03-09, process 1", encoding="utf-8")  # it was killed
    with open(workspace.root / "run.lock", encoding="utf-8") as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        answered = threading.Timer(0.01, asking.close)
        answered.start()
        with workspace.lock("import"):
            assert lock_holder(workspace.root) == f"import, process {os.getpid()}"
        answered.join()


def test_a_lock_that_cannot_be_written_says_where(workspace: Workspace) -> None:
    for taken in ("run.lock", "catalogue.lock", "releases/.lock"):
        (workspace.root / taken).mkdir()  # as good as no right to write it, which tests run as root always have
    for lock in (workspace.lock("import"), workspace.catalogue_lock(), workspace.releases_lock()):
        with pytest.raises(MachineError, match=f"cannot write to {workspace.root}"), lock:
            pass


@pytest.mark.parametrize("marker", ["[]", "7", "{"])
def test_a_damaged_marker_says_how_to_mend_it(workspace: Workspace, marker: str) -> None:
    write_text(workspace.root / "workspace.json", marker)
    with pytest.raises(WorkspaceError, match=r"write \{\} into it"):
        workspace.identity()


def test_a_run_that_begins_waits_for_a_challenger_that_is_being_copied(workspace: Workspace) -> None:
    def run() -> None:
        with workspace.lock("nightly"):
            pass

    with workspace.releases_lock(), workspace.aside("release") as aside:
        (aside / "model.onnx").touch()
        begun = threading.Thread(target=run)
        begun.start()
        begun.join(0.3)
        assert (aside / "model.onnx").exists()
    begun.join(30)
    assert not begun.is_alive()


def die_at_rename(root: Path, number: int, exchanges: bool) -> None:
    """Publish "new" in place of the table, and die just before the `number`th rename. Without `exchanges` the system
    has no call by which two folders trade places."""
    workspace = Workspace(root)
    done = 0

    def watch(event: str, _arguments: object) -> None:
        nonlocal done
        if event == "ctypes.dlopen" and not exchanges:
            raise OSError("no such library")
        done += event == "os.rename"
        if done == number:
            os._exit(9)

    with workspace.lock("publish"), workspace.aside("second") as aside:
        write_rows(aside / "arrived=2026-01-01", ["new"])
        sys.addaudithook(watch)
        workspace.publish(aside, QUARANTINE, ["2026-01-01"])


def publish_and_die(workspace: Workspace, number: int, *, exchanges: bool) -> None:
    with workspace.aside("first") as aside:
        write_rows(aside / "arrived=2026-01-01", ["old"])
        workspace.publish(aside, QUARANTINE)
    killed = multiprocessing.get_context("spawn").Process(
        target=die_at_rename, args=(workspace.root, number, exchanges)
    )
    killed.start()
    killed.join(60)
    assert killed.exitcode == 9
    assert list(workspace.aside_root.iterdir()) != []


@pytest.mark.parametrize(("number", "expected"), [(1, "old"), (2, "old"), (3, "new")])
def test_a_run_killed_while_it_publishes_leaves_the_old_rows_or_the_new(
    workspace: Workspace, number: int, expected: str
) -> None:
    publish_and_die(workspace, number, exchanges=False)

    with workspace.lock("next"):
        assert reasons(workspace) == [expected]
        assert list(workspace.aside_root.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets folders trade places here")
def test_where_folders_can_trade_places_a_killed_run_leaves_the_table_in_place(workspace: Workspace) -> None:
    publish_and_die(workspace, 1, exchanges=True)

    assert reasons(workspace) == ["new"]
    with workspace.lock("next"):
        assert reasons(workspace) == ["new"]
        assert list(workspace.aside_root.iterdir()) == []


def test_a_folder_that_cannot_be_replaced_stays(workspace: Workspace) -> None:
    with workspace.aside("first") as aside:
        write_rows(aside / "arrived=2026-01-01", ["old"])
        workspace.publish(aside, QUARANTINE)
    with pytest.raises(FileNotFoundError):
        workspace.replace_folder(workspace.aside_root / "absent", workspace.table_path(QUARANTINE))
    assert reasons(workspace) == ["old"]


def test_the_champion_can_change_while_a_run_goes_on(workspace: Workspace) -> None:
    with workspace.lock("nightly"), workspace.releases_lock():
        assert workspace.releases.is_dir()


def test_manifests_are_kept_by_step_and_date(workspace: Workspace) -> None:
    for day in ("2026-01-02", "2026-01-01"):
        write_manifest(workspace, Manifest(step="clean", as_of=day, counts={"tickets": 3}))
    assert [manifest.as_of for manifest in manifests(workspace, "clean")] == ["2026-01-01", "2026-01-02"]
    found = read_manifest(workspace, "clean", "2026-01-02")
    assert found is not None
    assert found.counts == {"tickets": 3}
    assert read_manifest(workspace, "clean", "2026-01-03") is None


def test_text_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "current"
    write_text(path, "one")
    write_text(path, "two")
    assert path.read_text() == "two"
    assert list(tmp_path.iterdir()) == [path]
    assert file_hash(path) == "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"
