"""Pack the Python that the pipeline runs in, for executors that have none of it: `python deploy/spark/package.py`.

The archive holds this interpreter, its standard library, our packages and what they require as installed here: the
driver and the executors run the same versions, and nothing is downloaded. Unpacked anywhere it runs as
`bin/python`. venv-pack would leave a link to an interpreter that the executors' machines may not have. Spark itself
stays out: every executor has its own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = "ticket-triage"
PACKAGES = ("tickets", "pipeline", "models", "service", "monitoring", "triage")
SPARK = {"pyspark", "py4j"}
UNUSED = ("__pycache__", "site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip")
CHECK = "import sys, pyarrow, pandas, pipeline.nightly, pipeline.session, tickets.workspace; print(sys.prefix)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the archive, and say where it is."""
    parser = argparse.ArgumentParser(description="Pack the pipeline's Python environment for Spark executors.")
    parser.add_argument("--output", type=Path, default=Path("ticket-triage-environment.tar.gz"))
    parser.add_argument(
        "--extras", default="pipeline", help="extras of ticket-triage, by commas; pipeline,service also scores tickets"
    )
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / "environment"
        libraries = copy_interpreter(environment)
        names = copy_distributions(required(OURS, set(asked.extras.split(","))), libraries)
        copy_ours(libraries)
        check(environment)
        with tarfile.open(asked.output, "w:gz", compresslevel=1) as archive:
            archive.add(environment, arcname=".")
    sys.stdout.write(f"{asked.output}: {asked.output.stat().st_size / 2**20:.0f} MB, {len(names)} packages\n")
    return 0


def required(name: str, extras: Iterable[str]) -> dict[str, Distribution]:
    """What the distribution needs, directly or not, as installed here, Spark and itself aside. Raises SystemExit for
    one that is missing."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [(name, frozenset(extras))]
    while waiting:
        now = waiting.pop()
        if now in seen or now[0] in SPARK:
            continue
        seen.add(now)
        try:
            installed = distribution(now[0])
        except PackageNotFoundError as error:
            raise SystemExit(f"{now[0]} is not installed; install ticket-triage with its extras first.") from error
        if now[0] != OURS:
            found[now[0]] = installed
        for line in installed.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or any(
                requirement.marker.evaluate({"extra": extra}) for extra in ("", *now[1])
            ):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def copy_interpreter(environment: Path) -> Path:
    """Copy this interpreter and its standard library; returns the folder for packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    base = Path(sys.base_prefix)
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(base)}))
    target = environment / library.relative_to(base)
    shutil.copytree(library, target, ignore=shutil.ignore_patterns(*UNUSED, "config-*", "*.a"))
    programs = environment / "bin"
    programs.mkdir()
    shutil.copy2(Path(sys.executable).resolve(), programs / version)
    for link in ("python", "python3"):
        (programs / link).symlink_to(version)
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        for shared in Path(sysconfig.get_config_var("LIBDIR")).glob(f"lib{version}*.so*"):
            shutil.copy2(shared, environment / "lib" / shared.name)
    packages = target / "site-packages"
    packages.mkdir()
    (target / "dist-packages").symlink_to("site-packages")  # where Debian's Python looks
    return packages


def copy_distributions(distributions: dict[str, Distribution], target: Path) -> list[str]:
    """Copy each distribution's files but its scripts and caches; returns the names. Raises SystemExit for one that does
    not tell its files: it would be missing on the executors."""
    for name, installed in distributions.items():
        if installed.files is None:
            raise SystemExit(f"{name} was installed without a list of its files; install it anew with pip.")
        for file in installed.files:
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(str(file.locate()), place)
    return sorted(distributions)


def copy_ours(target: Path) -> None:
    """Our packages, from a checkout or as installed."""
    for name in PACKAGES:
        found = find_spec(name)
        if found is None or found.origin is None:
            raise SystemExit(f"the package {name} is not installed; install ticket-triage first.")
        shutil.copytree(Path(found.origin).parent, target / name, ignore=shutil.ignore_patterns("__pycache__"))


def check(environment: Path) -> None:
    """Run the copy where it was not made for, with nothing of this environment in sight. Raises SystemExit."""
    command = [str(environment / "bin" / "python"), "-I", "-B", "-c", CHECK]
    ran = subprocess.run(command, env={}, capture_output=True, text=True, check=False, cwd="/")
    if ran.returncode or Path(ran.stdout.strip()).resolve() != environment.resolve():
        said = (ran.stderr.strip() or f"sys.prefix is {ran.stdout.strip()}").splitlines()[-1]
        raise SystemExit(
            f"the packed Python does not run away from home: {said}\n"
            "Install ticket-triage on the executors, or in their image, and name its Python in spark.pyspark.python."
        )


if __name__ == "__main__":
    sys.exit(main())
