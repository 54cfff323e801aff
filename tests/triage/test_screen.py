"""What a person sees while a command runs: at a terminal how far it is and the time left, elsewhere plain lines."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

from rich.console import Console

from tests.triage.test_command_line import DATASET
from tickets.progress import UnderWay, each, under_way, watched
from triage.screen import Screen


def plain_screen() -> tuple[Screen, StringIO]:
    """Without a terminal."""
    written = StringIO()
    console = Console(file=written, force_terminal=False, width=120)
    return Screen(console), written


def test_nobody_hears_of_work_outside_of_a_screen() -> None:
    heard: list[UnderWay] = []
    under_way("before")
    with watched(heard.append):
        under_way("inside", 1, 2, took=3.0)
    under_way("after")
    assert heard == [UnderWay("inside", 1, 2, 3.0)]


def test_a_loop_tells_each_turn_and_its_end_also_when_it_is_left_early() -> None:
    heard: list[UnderWay] = []
    with watched(heard.append):
        for day in each("days", iter("abc"), 3):
            if day == "b":
                break
    assert [(work.done, work.whole) for work in heard] == [(0, True), (1, True), (3, True)]


def test_without_a_terminal_there_are_lines_and_no_bars() -> None:
    shown, written = plain_screen()
    shown.begin()
    shown.under_way(UnderWay("bytes of a.csv", 1, 10))
    shown.report("import: a.csv: 3 rows")
    shown.progress(10, 10, 0.5)
    shown.end_bar()
    assert [line[7:] for line in written.getvalue().splitlines()] == [
        "import: a.csv: 3 rows",
        "training: step 10 of 10, loss 0.500",
    ]


def test_long_counted_work_is_told_now_and_then_without_a_terminal() -> None:
    shown, written = plain_screen()
    shown.begin()
    shown._last_line -= 11  # as if the last line were so many seconds old
    for done in range(1, 10):
        shown.under_way(UnderWay("tickets read by the model", done, 10))
    assert written.getvalue().count("tickets read by the model: 1 of 10") == 1
    assert written.getvalue().count("\n") == 1


def on_a_terminal(command: list[str], cwd: Path) -> str:
    """What the command writes when its output is a terminal."""
    inside, outside = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdout=outside, stderr=outside, cwd=cwd, env=environment)
    os.close(outside)
    said = b""
    while True:
        try:
            piece = os.read(inside, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(inside)
    assert process.wait(60) == 0, said
    return said.decode()


def test_an_import_at_a_terminal_shows_how_far_it_is_and_the_time_left(tmp_path: Path) -> None:
    body = "Where is my parcel? I have waited for it since Monday. " * 20
    with open(tmp_path / "tickets.csv", "w", encoding="utf-8") as file:
        file.write("id,opened,text,reason\n")
        file.writelines(f"{n},2026-01-{1 + n % 28:02d},{body},Parcels::Lost\n" for n in range(25_000))
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    command = [sys.executable, "-m", "triage", "import", "tickets.csv", "--dataset", "dataset.toml", "-w", "w"]
    said = on_a_terminal(command, tmp_path)
    assert "bytes of tickets.csv" in said
    assert " left" in said
    assert "25,000 rows" in said


def test_a_step_that_ran_before_says_how_long_it_may_take() -> None:
    written = StringIO()
    console = Console(file=written, force_terminal=True, width=120)
    forced = Screen(console)
    forced.begin()
    forced.under_way(UnderWay("clean", took=90.0))
    time.sleep(0.6)
    forced.end_bar()
    assert "about 1:2" in written.getvalue()
