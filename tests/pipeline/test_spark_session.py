"""The Spark session by configuration, and what a person reads when the machine cannot run it."""

from __future__ import annotations

import errno
import json
import os
import runpy
import signal
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark
import pytest
from py4j.protocol import Py4JError, Py4JNetworkError

from pipeline.session import _cause, java_version, machine_limits
from tickets.errors import MachineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SPARK_HOME = Path(pyspark.__file__).parent
ZONE, ROWS, BYTES = (
    "spark.sql.session.timeZone",
    "spark.sql.execution.arrow.maxRecordsPerBatch",
    "spark.sql.execution.arrow.maxBytesPerBatch",
)
SHOW = """
import json
from pipeline.session import spark_session
spark = spark_session(config={"spark.sql.execution.arrow.maxRecordsPerBatch": "500"})
print(json.dumps(dict(spark.sparkContext.getConf().getAll())))
"""


def test_the_java_of_this_machine_is_new_enough() -> None:
    assert java_version() >= 17


def test_a_java_home_without_java_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"JAVA_HOME is .*no bin/java; Spark needs Java 17.*apt install") as error:
        java_version(str(tmp_path))

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('openjdk version "11.0.2" 2019', "Java 11"),
        ('java version "1.8.0_402"', "Java 8"),
        ("nonsense", "does not tell"),
    ],
)
def test_an_old_java_is_named(tmp_path: Path, said: str, expected: str) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n", encoding="utf-8")
    java.chmod(0o755)

    with pytest.raises(MachineError, match=expected):
        java_version(str(tmp_path))


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "the disk of .* is full"),
        (RuntimeError("java.io.IOException: No space left on device\n\tat org.apache.spark"), "the disk of .* is full"),
        (RuntimeError("java.lang.OutOfMemoryError: Java heap space"), "out of memory"),
        (Py4JNetworkError("Answer from Java side is empty"), "Java process has gone away"),
        (Py4JError("An error occurred while calling o854.add"), "Java process has gone away"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Java process has gone away"),
    ],
)
def test_a_full_disk_or_memory_becomes_one_line(tmp_path: Path, met: Exception, said: str) -> None:
    with pytest.raises(MachineError, match=said), machine_limits(tmp_path):
        raise met


@pytest.fixture
def shown(tmp_path: Path) -> Any:
    """`shown(*launcher)`: the settings of a session in a process of its own, where the cluster's defaults say another
    time zone and other batches."""
    (tmp_path / "spark-defaults.conf").write_text(f"{ZONE} Asia/Tokyo\n{ROWS} 1000\n{BYTES} 7m\n", encoding="utf-8")
    (tmp_path / "show.py").write_text(SHOW, encoding="utf-8")

    def show(*launcher: str) -> dict[str, str]:
        environment = {**os.environ, "SPARK_CONF_DIR": str(tmp_path), "SPARK_HOME": str(SPARK_HOME)}
        environment["PYSPARK_DRIVER_PYTHON"] = sys.executable
        command = [*launcher, str(tmp_path / "show.py")]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        settings: dict[str, str] = json.loads(next(line for line in ran.stdout.splitlines() if line.startswith("{")))
        return settings

    return show


@pytest.mark.slow
def test_what_is_asked_wins_over_the_clusters_defaults_and_these_over_ours(shown: Any) -> None:
    settings = shown(sys.executable)

    assert (settings[ROWS], settings[BYTES]) == ("500", "7m")
    assert settings[ZONE] == "UTC"  # the tables' times follow from it
    assert settings["spark.master"] == "local[2,4]"


@pytest.mark.slow
def test_what_was_submitted_wins_over_all_but_what_the_tables_follow_from(shown: Any) -> None:
    submit = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", "local[1]", "--conf", f"{ROWS}=77"]
    settings = shown(*submit, "--conf", f"{ZONE}=Europe/Berlin")

    assert (settings[ROWS], settings[BYTES]) == ("77", "7m")
    assert settings[ZONE] == "UTC"
    assert settings["spark.master"] == "local[1,4]"


def test_a_distribution_that_does_not_tell_its_files_is_not_packed_as_nothing(tmp_path: Path) -> None:
    """Packages of a Linux distribution may be such: executors would meet an ImportError in the middle of a night."""
    facts = tmp_path / "thing-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n", encoding="utf-8")
    package = runpy.run_path(str(Path(__file__).parents[2] / "deploy" / "spark" / "package.py"))

    with pytest.raises(SystemExit, match="thing was installed without a list"):
        package["copy_distributions"]({"thing": PathDistribution(facts)}, tmp_path)


def test_a_task_whose_python_worker_is_killed_is_tried_again(spark: SparkSession) -> None:
    def die_once(number: int) -> int:
        from pyspark import TaskContext

        context = TaskContext.get()
        if number == 1 and context is not None and context.attemptNumber() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert spark.sparkContext.parallelize(range(3), 3).map(die_once).collect() == [0, 1, 2]


def test_an_error_without_words_is_told_by_its_kind() -> None:
    assert _cause(ConnectionResetError()) == "ConnectionResetError"
    assert _cause(Py4JError("An error occurred.\n: java.lang.Problem: in Java's words\n\tat x")).startswith("java.lang")


def test_a_master_that_cannot_be_is_told_in_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "from pipeline.session import spark_session; spark_session(master='local[2')"],
        capture_output=True,
        text=True,
        check=False,
    )

    said = ran.stderr.splitlines()[-1]
    assert "MachineError: Spark did not start on local[2: " in said
    assert "Could not parse Master URL" in said
