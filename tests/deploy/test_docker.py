"""The Dockerfile and compose file, as far as they can be checked without building: what they name exists."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tickets.errors import ContractError, InputError, LockedError, MachineError
from triage.settings import ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
PINNED = re.compile(r".+:v?\d+\.\d+(\.\d+)?[\w.-]*")  # an image's tag that names a version
TRAINING = {"torch", "transformers", "pyspark", "pandas", "mlflow", "evidently", "scikit-learn", "scipy"}


class Instruction(NamedTuple):
    name: str
    flags: dict[str, str]
    text: str


def instructions(file: Path) -> list[Instruction]:
    """A Dockerfile's instructions, continuation lines joined."""
    text = "\n".join(line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        name, rest = line.split(maxsplit=1)
        words, flags = rest.split(), {}
        while words and words[0].startswith("--") and name in {"COPY", "FROM", "RUN", "ADD"}:
            key, _, value = words.pop(0)[2:].partition("=")
            flags[key] = value
        found.append(Instruction(name, flags, " ".join(words) if flags else rest))
    return found


def stages(file: Path) -> dict[str, list[Instruction]]:
    made: dict[str, list[Instruction]] = {}
    for one in instructions(file):
        if one.name == "FROM":
            made[one.text.split()[-1]] = []
        if made:
            list(made.values())[-1].append(one)
    return made


def test_every_instruction_is_one_of_docker_and_every_stage_has_a_base(deploy: Path) -> None:
    building = {"ARG", "FROM", "LABEL", "RUN", "COPY", "ENV", "USER", "WORKDIR"}
    running = {"VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    found = instructions(deploy / "docker" / "Dockerfile")
    assert {one.name for one in found} <= building | running
    (image,) = [one.text.partition("=")[2] for one in found if one.text.startswith("PYTHON_IMAGE=")]
    assert PINNED.fullmatch(image)
    earlier = {"${PYTHON_IMAGE}"}
    for one in (one for one in found if one.name == "FROM"):
        base, _, name = one.text.split()
        assert base in earlier
        earlier.add(name)


def test_what_is_copied_is_there_and_not_ignored(deploy: Path, project: dict[str, Any]) -> None:
    patterns = (deploy / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in patterns if line.startswith("!")}
    made = stages(deploy / "docker" / "Dockerfile")
    copied = set()
    for one in (one for stage in made.values() for one in stage if one.name == "COPY"):
        *sources, target = one.text.split()
        if "from" in one.flags:
            assert one.flags["from"] in made
            assert sources == [target] == ["/opt/triage"]
            continue
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, pattern) for pattern in kept), f"{source} is ignored"
            copied.add(source)
    assert copied >= set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert copied == kept
    assert patterns[1] == "*", "what is not named stays out: workspaces hold customers' tickets"


def test_extras_that_are_installed_exist(deploy: Path, project: dict[str, Any]) -> None:
    for one in instructions(deploy / "docker" / "Dockerfile"):
        for extras in re.findall(r"'\.\[(.*?)\]'", one.text):
            assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])
            assert "-c constraints.txt" in one.text


def test_both_images_run_as_nobody_in_particular(deploy: Path, settings: set[str]) -> None:
    made = stages(deploy / "docker" / "Dockerfile")
    for name in ("serve", "batch"):
        by_name = {one.name: one.text for one in made[name]}
        assert by_name["USER"] == "10001:10001"
        assert "org.opencontainers.image.licenses" in by_name["LABEL"]
        assert by_name["VOLUME"] == "/var/lib/triage"
        assert set(re.findall(r"\b(TRIAGE_\w+)=", by_name["ENV"])) <= settings
        assert yaml.safe_load(by_name["ENTRYPOINT"])[-1] == "triage"
    probe = next(one.text for one in made["serve"] if one.name == "HEALTHCHECK")
    assert "/livez" in probe
    compile(yaml.safe_load(probe.partition("CMD ")[2])[-1], "HEALTHCHECK", "exec")


def test_the_serving_image_holds_nothing_that_trains(project: dict[str, Any]) -> None:
    needed = _needed(project, {"service", "telemetry"})
    assert needed >= {"fastapi", "onnxruntime", "orjson", "psycopg", "opentelemetry-exporter-otlp-proto-http"}
    assert not needed & TRAINING


def _needed(project: dict[str, Any], extras: set[str]) -> set[str]:
    """What these extras install, directly or not, by what is installed here."""
    ours = project["project"]
    waiting = [Requirement(line) for line in ours["dependencies"]]
    waiting += [Requirement(line) for extra in extras for line in ours["optional-dependencies"][extra]]
    found: set[str] = set()
    while waiting:
        now = waiting.pop()
        if now.marker is not None and not any(now.marker.evaluate({"extra": one}) for one in ("", *now.extras)):
            continue
        name = canonicalize_name(now.name)
        if name == "ticket-triage":
            waiting += [Requirement(line) for extra in now.extras for line in ours["optional-dependencies"][extra]]
        elif name not in found:
            found.add(name)
            for line in distribution(name).requires or ():
                requirement = Requirement(line)
                wanted = ("", *now.extras)
                if requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in wanted):
                    requirement.marker = None
                    waiting.append(requirement)
    return found


class Nights:
    """The scripts of the batch image, where `triage` notes each try and ends with the next of the exit codes given."""

    def __init__(self, folder: Path, scripts: Path, codes: Sequence[int]) -> None:
        self.folder, self.scripts = folder, scripts
        (folder / "codes").write_text("\n".join(map(str, [*codes, 0])), encoding="utf-8")
        self.program("triage", 'echo "$@" >> tries; exit "$(sed -n "$(wc -l < tries)p" codes)"')
        self.program("one-night", f'exec sh {scripts}/one-night.sh "$@"')

    def program(self, name: str, does: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\ncd {self.folder}\n{does}\n", encoding="utf-8")
        (self.folder / name).chmod(0o755)

    def start(self, script: str, *arguments: str, **given: str) -> subprocess.Popen[str]:
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["sh", str(self.scripts / script), *arguments],
            env={"PATH": path, "NIGHTLY_RETRY_SECONDS": "0.1", **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def tries(self) -> list[str]:
        noted = self.folder / "tries"
        return noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []


@pytest.mark.parametrize(("code", "failed"), [(1, "the night failed with exit code 1\n"), (LockedError.exit_code, "")])
def test_the_night_comes_every_night_and_a_failed_one_does_not_end_it(
    deploy: Path, tmp_path: Path, code: int, failed: str
) -> None:
    nights = Nights(tmp_path, deploy / "docker", [code])
    soon = (datetime.now(UTC) + timedelta(seconds=2)).strftime("%H:%M:%S")
    process = nights.start("every-night.sh", "--preset", "cpu", NIGHTLY_AT=soon)
    expected, deadline = 1 if failed else 2, time.monotonic() + 8
    while len(nights.tries()) < expected and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.terminate()
    said, errors = process.communicate(timeout=5)
    assert process.returncode == 0
    assert nights.tries() == ["--verbose nightly --preset cpu"] * expected
    assert said.count("next night at") == 2
    assert errors == failed


@pytest.mark.parametrize("code", [LockedError.exit_code, MachineError.exit_code])
def test_a_night_that_may_pass_by_itself_is_tried_again_as_often_as_told(
    deploy: Path, tmp_path: Path, code: int
) -> None:
    nights = Nights(tmp_path, deploy / "docker", [code] * 6)
    process = nights.start("one-night.sh", NIGHTLY_TRIES="6")
    process.communicate(timeout=20)
    assert (process.returncode, len(nights.tries())) == (code, 6)
    process = nights.start("one-night.sh", "--json")
    process.communicate(timeout=20)
    assert (process.returncode, nights.tries()[6:]) == (0, ["--verbose nightly --json"])


@pytest.mark.parametrize("code", [1, InputError.exit_code, ContractError.exit_code])
def test_a_night_that_a_person_must_mend_is_not_tried_again(deploy: Path, tmp_path: Path, code: int) -> None:
    nights = Nights(tmp_path, deploy / "docker", [code])
    process = nights.start("one-night.sh")
    process.communicate(timeout=20)
    assert (process.returncode, len(nights.tries())) == (code, 1)


def test_a_night_that_is_stopped_stops_its_work(deploy: Path, tmp_path: Path) -> None:
    nights = Nights(tmp_path, deploy / "docker", [])
    nights.program("triage", "trap 'echo ended >> tries; exit 1' TERM; echo begun >> tries; sleep 9 >&- 2>&- & wait")
    process = nights.start("one-night.sh")
    deadline = time.monotonic() + 8
    while not nights.tries() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 143
    assert nights.tries() == ["begun", "ended"]


def test_compose_names_only_what_there_is(deploy: Path, settings: set[str]) -> None:
    compose = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    made = stages(deploy / "docker" / "Dockerfile")
    for name, service in services.items():
        assert PINNED.fullmatch(service["image"]), name
        if build := service.get("build"):
            assert (deploy / build["context"]).resolve() == ROOT
            assert (ROOT / build["dockerfile"]).is_file()
            assert build["target"] in made
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert service["depends_on"]["postgres"]["condition"] == "service_healthy"
            assert "workspace:/var/lib/triage" in service["volumes"]
        assert set(service.get("depends_on", ())) <= set(services)
        for variable in service.get("environment", {}):
            assert not variable.startswith(("TRIAGE_", "OTEL_")) or variable in settings, variable
        for mount in service.get("volumes", ()):
            source = re.sub(r"^\$\{.*?:-(.*?)\}", r"\1", mount).split(":")[0]
            assert source in compose["volumes"] or source == "./data" or (deploy / source).exists(), mount
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), f"{name}: published to the world"
    assert "healthcheck" in services["postgres"]
    assert services["collector"]["profiles"] == ["traces"]


def test_compose_lets_the_service_drain(deploy: Path) -> None:
    service = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))["services"]["service"]
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace > float(service["environment"]["TRIAGE_DRAIN_SECONDS"]) + ServiceSettings().stop_seconds + 5


def test_passwords_have_no_default(deploy: Path) -> None:
    text = (deploy / "compose.yaml").read_text(encoding="utf-8")
    for name in re.findall(r"\$\{(\w*PASSWORD\w*)", text):
        assert f"${{{name}:?" in text
    assert not re.search(r"^ *\w*PASSWORD\w*: *[^$ \n]", text, re.MULTILINE)


def test_the_collector_takes_what_the_service_sends(deploy: Path) -> None:
    config = yaml.safe_load((deploy / "otel" / "collector.yaml").read_text(encoding="utf-8"))
    pipeline = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(pipeline[kind]) <= set(config[kind])
    assert config["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith(":4318")
