"""The tests of the documentation find what they are there to find."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.checks import problems_of_block, problems_of_prose
from tests.docs.command_lines import triage_calls
from tests.docs.links import dead_links
from tests.docs.pages import Page, anchor_of
from tests.docs.running import BlockError, run_page, shows


def page(*parts: str) -> Page:
    return Page("page.md", "\n".join(parts) + "\n")


def fence(language: str, text: str, steer: str = "") -> str:
    comment = f"<!-- {steer} -->\n" if steer else ""
    return f"{comment}```{language}\n{text}\n```\n"


def problems(language: str, text: str, steer: str = "") -> str:
    (block,) = page(fence(language, text, steer)).blocks()
    return "\n".join(problems_of_block(block))


@pytest.mark.parametrize(
    ("language", "text", "told"),
    [
        ("sh", "triage train --promte", "No such option: --promte"),
        ("sh", "triage trian", "no command 'trian'"),
        ("sh", "triage keys make ana --role agent", "no command 'make'"),
        ("sh", "triage keys create ana", "Missing option"),
        ("sh", "triage keys", "needs a command"),
        ("sh", "triage --instal-completion", "no option --instal-completion"),
        ("sh", "triage features --as-of yesterday", "--as-of"),
        ("sh", "cd demo && TRIAGE_PORT=0 triage serve --prot 1 > log 2>&1 &", "--prot"),
        ("sh", 'KEY="$(triage keys crate ana --role agent)"', "no command 'crate'"),
        ("sh", "sudo -u triage env A=b /opt/x/bin/triage nightly --agian", "--agian"),
        ("sh", "torchrun --nproc-per-node 4 -m triage train --gpu", "--gpu"),
        ("sh", "triage train \\\n  --epoch 3", "--epoch"),
        ("sh", "for x in 1 2; do echo $x", "bash cannot read it"),
        ("console", "$ triage doctr\nJava is there", "no command 'doctr'"),
        ("console", "triage doctor", "after `$ `"),
        ("sh", "export TRIAGE_SPARK__MASTERS=local", "no setting TRIAGE_SPARK__MASTERS"),
        ("python", "from tickets.records import Tickets", "no Tickets in tickets.records"),
        ("python", "import tickets.record", "no tickets.record"),
        ("python", "print(", "Python cannot read it"),
        ("json", '{"a": 1,}', "JSON cannot be read"),
        ("toml", "a = ", "TOML cannot be read"),
        ("toml", 'name = "x"\nformat = "csv"\n[ticket]\nbody = "b"\nbdy = "c"', "bdy"),
        ("toml", '[[change]]\non = 2026-03-01\nfrom = "Fax"\nfrm = []', "frm"),
        ("yaml", "a: [", "YAML cannot be read"),
        ("", "triage serve", "does not name its language"),
        ("shell", "triage serve", "'shell' is not known"),
    ],
)
def test_what_is_wrong_in_a_block_is_told(language: str, text: str, told: str) -> None:
    assert told in problems(language, text)
    assert problems(language, text).startswith("page.md:2: ")


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "triage import tickets.csv --dataset dataset.toml  # a comment that isn't closed"),
        ("sh", "useradd --shell /usr/sbin/nologin triage\nsudo -u triage psql"),
        ("sh", "triage nightly --as-of YYYY-MM-DD\ntriage nightly --as-of $(date -u +%F)"),
        ("sh", "triage labels import export.json"),
        ("sh", "triage\ntriage -w demo\ntriage --install-completion"),
        ("sh", "cat > x.toml <<'END'\ntriage is not called here\nEND\ntriage doctor"),
        ("sh", 'curl -d \'{\n  "body": "it"\n}\' http://127.0.0.1:8000/v1/suggestions | triage-not-ours'),
        ("console", "$ triage doctor\nJava 17 is there"),
        ("python", "from tickets import records\nfrom service.client import TriageClient\nimport anything.else_"),
        ("json", '{"a": 1}\n{"b": 2}'),
        ("text", "anything ( at all"),
    ],
)
def test_what_is_right_is_left_alone(language: str, text: str) -> None:
    assert problems(language, text, "not run: it is an example") == ""


def test_a_comment_that_steers_nothing_is_told() -> None:
    assert "steers nothing" in problems("sh", "true", "rum")
    assert "steers nothing" in problems("sh", "true", "not run")
    assert "only sh and python are run" in problems("toml", "a = 1", "run")
    assert problems("sh", "true", "not run: it takes a day") == ""


@pytest.mark.parametrize("language", ["sh", "bash", "console", "python"])
def test_a_block_that_does_not_say_who_runs_it_is_told(language: str) -> None:
    text = "$ true" if language == "console" else "print"
    assert "who runs it" in problems(language, text)
    assert problems("json", "1") == ""


def test_a_test_that_is_said_to_run_a_block_must_read_its_page() -> None:
    guide = Page("docs/http-api.md", fence("sh", "true", "run by: tests/service/api/test_guide.py"))
    assert [problem for block in guide.blocks() for problem in problems_of_block(block)] == []
    assert "reads page.md" in problems("sh", "true", "run by: tests/service/api/test_guide.py")
    assert "reads page.md" in problems("sh", "true", "run by: tests/gone.py")


def test_running_text_is_read_too() -> None:
    said = problems_of_prose(
        page("Run `triage promte VERSION`, then `triage train --promote`; `triage keys` has more.")
    )
    assert len(said) == 1
    assert "promte" in said[0]
    assert "TRIAGE_LOG__LEVLE" in problems_of_prose(page("Set `TRIAGE_LOG__LEVLE`."))[0]


def test_an_indented_command_counts_as_a_block() -> None:
    (block,) = page("Then", "", "    triage serv", "", "and look.").blocks()
    told = "\n".join(problems_of_block(block))
    assert "no command 'serv'" in told
    assert "between fences" in told
    assert page("- an item", "", "    that goes on with triage serv").blocks() == []


def test_calls_are_found_wherever_a_shell_would_run_them() -> None:
    shell = "A=1 triage a; (triage b | tee x) && triage c > triage\necho triage d; time triage serve"
    assert triage_calls(shell) == [["a"], ["b"], ["c"], ["serve"]]


def test_dead_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# Here\n\n## What's `new`, and old\n\n```sh\n# no heading\n```\n")
    whole = page("[a](other.md) [b](other.md#whats-new-and-old) [c](#up) [d](https://example.org/x)", "# Up")
    assert dead_links(whole, tmp_path) == []
    broken = page("[a](otter.md) ![b](pic.png) [c](other.md#no-heading) [d](#down)", "`[e](f.md)`", "[x]: gone.md")
    told = dead_links(broken, tmp_path)
    assert [line.split(":")[0].removeprefix("page.md links to ") for line in told] == [
        *("otter.md", "pic.png", "other.md#no-heading", "#down", "gone.md")
    ]


def test_anchors_are_those_of_github_and_the_site() -> None:
    assert anchor_of("The `/v1` API, & more") == "the-v1-api--more"
    assert page("## Twice", "## Twice").anchors() == {"twice", "twice-1"}


def test_a_page_runs_from_top_to_bottom_in_its_folder(tmp_path: Path) -> None:
    story = page(
        fence("toml", 'name = "x"', "file: kept/settings.toml"),
        fence("sh", "export GREETING=hello\nmkdir deeper && cd deeper\ncp /bin/sleep .\n$PWD/sleep 60 &", "run"),
        fence("sh", 'echo "$GREETING from $(basename "$PWD")"; cat ../kept/settings.toml; echo one two three', "run"),
        fence("text", 'hello from deeper\nname = "x"\none … three', "output"),
        fence("python", "import os, tomllib\nprint(os.environ['GREETING'], os.path.basename(os.getcwd()))", "run"),
        fence("text", "hello deeper", "output"),
        fence("sh", "exit 9", "not run: it would fail"),
        fence("sh", "type triage | grep -o .bin/triage && echo 127.0.0.1:8000 && echo $TRIAGE_PORT", "run"),
        fence("text", ".bin/triage\n127.0.0.1:8000", "output"),
    )
    assert run_page(story, tmp_path) == 4
    sleeping = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert sleeping.stdout == "", "what a page started does not outlive it"


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (fence("sh", "echo before\nfalse\necho after", "run"), "page.md:3 ended with 1"),
        (fence("sh", "false | cat", "run"), "ended with 1"),
        (fence("sh", "triage doctr", "run"), "No such command"),
        (fence("python", "raise SystemExit(4)", "run"), "ended with 4"),
        (fence("sh", "echo one", "run") + fence("text", "two", "output"), "page.md:7 shows"),
    ],
)
def test_a_block_that_fails_or_prints_something_else_is_told(tmp_path: Path, block: str, told: str) -> None:
    with pytest.raises(BlockError, match=told):
        run_page(page(block), tmp_path)


def test_what_is_shown_is_compared_loosely() -> None:
    assert shows("trained … in … s\n…\ndone", "x\n  trained  v1 in 3.5 s\nmore\nlines\ndone\n")
    assert not shows("trained … minutes", "trained v1 in 3 s")
    assert not shows("one two", "one three two")
