"""The Spark session: two local cores by default, any master by argument, and one clear line when the machine cannot
run it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.errors import MachineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OLDEST_JAVA = 17
_INSTALL_JAVA = (
    "Install it (Debian, Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) or set JAVA_HOME."
)
# Java's optimising compiler competes with the work for a laptop's cores: on 6,480 tickets (two cores, shared with other
# work) it doubled Java's CPU seconds, 39 and 42 against 23 and 23. Not measured at a million tickets, where it may pay.
_LAPTOP_JAVA = " -XX:TieredStopAtLevel=1"
_DISK_FULL = ("No space left on device", "Disk quota exceeded")
_MEMORY_FULL = ("java.lang.OutOfMemoryError", "Cannot allocate memory")


def spark_session(*, app: str = "ticket-triage", master: str | None = None, memory: str | None = None) -> SparkSession:
    """A Spark session set up for our tables: UTC, Arrow, microsecond timestamps, no web page, quiet.

    `master` is any Spark master (default `local[2]`), `memory` what the driver may take (default `2g`). Raises
    MachineError when Java is missing or too old, or when Spark does not start.
    """
    java_version()
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    master = master or "local[2]"
    # Spark starts workers with this Python; any other would lack our packages.
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    builder: Any = SparkSession.builder.appName(app).master(master)
    for key, value in _settings(master, memory or "2g").items():
        builder = builder.config(key, value)
    try:
        session: SparkSession = builder.getOrCreate()
    except (PySparkException, OSError) as error:
        raise MachineError(
            f"Spark did not start on {master}: {str(error).strip().splitlines()[0]}",
            hint="Look at the lines above it; a wrong master or too little memory are the usual reasons.",
        ) from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def _settings(master: str, memory: str) -> dict[str, str]:
    logging = Path(__file__).with_name("log4j2.properties")
    local = master.startswith("local")
    return {
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging.as_uri()}"
        + (_LAPTOP_JAVA if local else ""),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",  # a body may hold 1 MB
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.compression.codec": "zstd",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # arrived=2026-01-01 stays text
        "spark.sql.shuffle.partitions": str(2 * (_local_cores(master) if local else 8)),
        "spark.sql.autoBroadcastJoinThreshold": str(32 * 1024 * 1024),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        # A machine without a network, or with a host name it cannot resolve, must still run local Spark.
        **({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} if local else {}),
    }


def _local_cores(master: str) -> int:
    found = re.fullmatch(r"local\[(\d+|\*)(?:,\d+)?\]", master)
    if found is None:
        return 1
    return (os.cpu_count() or 1) if found.group(1) == "*" else int(found.group(1))


def java_version(java_home: str | None = None) -> int:
    """The major version of the Java that Spark will start. Raises MachineError when there is none or it is too old.

    `java_home` overrides the environment; Spark's launcher itself reads JAVA_HOME, so we look where it will look.
    """
    home = java_home if java_home is not None else os.environ.get("JAVA_HOME", "")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    needed = f"Spark needs Java {OLDEST_JAVA} or newer."
    if java is None or (home and not Path(java).exists()):
        where = f"JAVA_HOME is {home}, which holds no bin/java" if home else "no `java` was found on the PATH"
        raise MachineError(f"{where}; {needed}", hint=_INSTALL_JAVA)
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(f"{java} does not run; {needed}", hint=_INSTALL_JAVA) from error
    version = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    if version is None:
        raise MachineError(f"{java} does not tell its version; {needed}", hint=_INSTALL_JAVA)
    if (major := int(version.group(1))) < OLDEST_JAVA:
        raise MachineError(f"{java} is Java {major}; {needed}", hint=_INSTALL_JAVA)
    return major


@contextlib.contextmanager
def machine_limits(place: Path) -> Iterator[None]:
    """Tell a full disk or full memory, wherever below it was met (Java, a worker, here), as one MachineError."""
    try:
        yield
    except Exception as error:
        text = str(error)
        if any(sign in text for sign in _DISK_FULL) or (
            isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        ):
            raise MachineError(
                f"the disk of {place} is full.", hint="Free some space and run again; nothing was lost."
            ) from error
        if any(sign in text for sign in _MEMORY_FULL):
            raise MachineError(
                "Spark ran out of memory.", hint="Give it more (TRIAGE_SPARK__MEMORY) and run again."
            ) from error
        raise
