"""The Spark session: two local cores by default, any master by configuration, under `spark-submit` whatever was
submitted; and one clear line when the machine cannot run it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.task_progress import told_tasks
from tickets.errors import MachineError
from tickets.progress import under_way

if TYPE_CHECKING:
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

OLDEST_JAVA = 17
TASK_ATTEMPTS = 4  # what clusters have by default; a plain local[2] gives a night up when one Python worker dies
_INSTALL_JAVA = (
    "Install it (Debian, Ubuntu: apt install openjdk-17-jre-headless; macOS: brew install openjdk@17) or set JAVA_HOME."
)
# Java's optimising compiler competes with the work for a laptop's cores: on 6,480 tickets (two cores, shared with other
# work) it doubled Java's CPU seconds, 39 and 42 against 23 and 23. A night over a million tickets took 98 s with it and
# 93 without: Java handles narrow columns only (pipeline/units.py), so there is little to optimise.
_LAPTOP_JAVA = " -XX:TieredStopAtLevel=1"
_DISK_FULL = ("No space left on device", "Disk quota exceeded")
_MEMORY_FULL = ("java.lang.OutOfMemoryError", "Cannot allocate memory")
_JAVA_GONE = ("Py4JNetworkError", "Answer from Java side is empty")

# What our tables mean follows from these, so they are the same everywhere, whatever a cluster's own defaults say.
_TABLES: dict[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",  # arrived=2026-01-01 stays text
    "spark.sql.sources.partitionOverwriteMode": "static",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # Files are cut for tasks by bytes, never by cores: the same tasks on a laptop and on a cluster. Spark reads narrow
    # columns only (texts stay in Python, pipeline/units.py), so 8 MB of a file are quickly read.
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.files.maxPartitionBytes": str(8 * 1024 * 1024),
    "spark.sql.files.openCostInBytes": str(256 * 1024),
}
# What a cluster or `spark-submit --conf` may say otherwise.
_DEFAULTS: dict[str, str] = {
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(16 * 1024 * 1024),  # a body may hold 1 MB
    "spark.sql.autoBroadcastJoinThreshold": str(32 * 1024 * 1024),
    "spark.python.worker.faulthandler.enabled": "true",  # a worker that crashes in C says where
}
_LOCAL: dict[str, str] = {
    "spark.ui.enabled": "false",
    # A machine without a network, or with a host name it cannot resolve, must still run local Spark.
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
_CLUSTER: dict[str, str] = {
    # As many executors as there are tasks waiting, given back when idle. Shuffle tracking keeps those whose shuffle
    # files are still read, so no external shuffle service is needed.
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    # A Python worker for each core stands beside Java in an executor: YARN's tenth of the memory is too little.
    "spark.executor.memoryOverheadFactor": "0.4",
}


def spark_session(
    *,
    app: str = "ticket-triage",
    master: str | None = None,
    memory: str | None = None,
    executor_memory: str | None = None,
    config: Mapping[str, str] | None = None,
) -> SparkSession:
    """A Spark session set up for our tables: UTC, Arrow, microsecond timestamps, quiet.

    `master` is any Spark master (default `local[2]`), `memory` what the driver may take (default `2g`),
    `executor_memory` what an executor may (default: the cluster's), `config` any other Spark settings, which win over
    our defaults. Under `spark-submit` what was submitted wins over all of these. The settings that the tables' content
    follows from stay ours. Raises MachineError when Java is missing or too old, or when Spark does not start.
    """
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    submitted = "PYSPARK_GATEWAY_PORT" in os.environ  # set by spark-submit, which has started Java
    if not submitted:
        java_version()
    asked = {"spark.master": master or "local[2]", "spark.app.name": app, **(config or {})}
    if executor_memory:
        asked["spark.executor.memory"] = executor_memory
    under_way("starting Spark")
    try:
        # Java starts here with what it must know from the start, and reads the cluster's spark-defaults.conf.
        boot = {} if submitted else _boot(asked["spark.master"], memory or "2g") | asked
        SparkContext._ensure_initialized(conf=SparkConf(loadDefaults=False).setAll(list(boot.items())))
        session: SparkSession = SparkSession.builder.config(conf=_complete(SparkConf(), asked, submitted)).getOrCreate()
    except (PySparkException, Py4JError, OSError) as error:
        raise MachineError(
            f"Spark did not start on {asked['spark.master']}: {_cause(error)}",
            hint="Look at the lines above it; a wrong master or too little memory are the usual reasons.",
        ) from error
    if not submitted:
        session.sparkContext.setLogLevel("ERROR")
    return session


@contextlib.contextmanager
def open_spark(
    *,
    master: str | None = None,
    memory: str | None = None,
    executor_memory: str | None = None,
    config: Mapping[str, str] | None = None,
) -> Iterator[SparkSession]:
    """`spark_session` for as long as the block runs; a session that somebody had started before, as in a notebook, goes
    on after it. Where Java died meanwhile, stopping says nothing more: the error that the block raised is the one to
    read."""
    from py4j.protocol import Py4JError
    from pyspark import SparkContext

    theirs = SparkContext._active_spark_context is not None
    session = spark_session(master=master, memory=memory, executor_memory=executor_memory, config=config)
    try:
        with told_tasks(session.sparkContext):
            yield session
    finally:
        if not theirs:
            with contextlib.suppress(Py4JError, OSError):
                session.stop()


def _complete(conf: SparkConf, asked: Mapping[str, str], submitted: bool) -> SparkConf:
    """What Java was started with, then what was asked, our defaults, and the settings that are ours alone."""
    for key, value in asked.items():
        if submitted:
            conf.setIfMissing(key, value)
        else:
            conf.set(key, value)
    master = _with_retries(conf.get("spark.master", ""))
    defaults = _DEFAULTS | (_LOCAL | _local_shuffles(master) if _is_local(master) else _CLUSTER)
    for key, value in defaults.items():
        conf.setIfMissing(key, value)
    for key, value in (_TABLES | {"spark.master": master}).items():
        conf.set(key, value)
    _choose_python(conf)
    return conf


def _boot(master: str, memory: str) -> dict[str, str]:
    """What Java must know before it starts: its memory, where its own lines go, and to draw no progress bars."""
    logging = Path(__file__).with_name("log4j2.properties").as_uri()
    return {
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging}"
        + (_LAPTOP_JAVA if _is_local(master) else ""),
        "spark.ui.showConsoleProgress": "false",
    }


def _cause(error: Exception) -> str:
    """One line of what Java or Python said; Py4J puts Java's own words on a line that starts with a colon."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return next((line.removeprefix(": ") for line in lines if line.startswith(": ")), lines[0])


def _is_local(master: str) -> bool:
    return re.fullmatch(r"local(\[.*\])?", master) is not None


def _with_retries(master: str) -> str:
    """`local` and `local[N]` never try a task again; `local[N,attempts]` does, as every cluster. A number of attempts
    that was asked for stays."""
    found = re.fullmatch(r"local(?:\[(\d+|\*)\])?", master)
    return f"local[{found.group(1) or 1},{TASK_ATTEMPTS}]" if found else master


def _local_shuffles(master: str) -> dict[str, str]:
    """Two partitions a core, until the pipeline has seen how large its tables are; Spark's 200 suit a cluster."""
    found = re.match(r"local\[(\d+|\*)", master)
    cores = int(found.group(1)) if found and found.group(1) != "*" else os.cpu_count() or 1
    return {"spark.sql.shuffle.partitions": str(2 * cores)}


def _choose_python(conf: SparkConf) -> None:
    """The Python of the workers, where Spark looks for it: one that was named, else that of a packed environment
    (`spark.archives=...#environment`), else this very one, which has our packages (one machine, or a shared disk)."""
    named = conf.get("spark.pyspark.python")
    if not _is_local(conf.get("spark.master", "local")):
        archive = re.search(r"#([\w.-]+)", conf.get("spark.archives", "") or conf.get("spark.yarn.dist.archives", ""))
        named = named or (f"./{archive.group(1)}/bin/python" if archive else os.environ.get("PYSPARK_PYTHON"))
    os.environ["PYSPARK_PYTHON"] = named or sys.executable
    os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable


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


def _java_gone(error: Exception) -> bool:
    """Py4J lets a plain ConnectionRefusedError through (databases and web clients have errors of their own), and where
    an answer breaks off it says what was called and nothing of what came back."""
    told = f"{type(error).__name__} {error}"
    broken_off = told.startswith("Py4JError An error occurred while calling") and "\n" not in told.strip()
    return isinstance(error, ConnectionError) or broken_off or any(sign in told for sign in _JAVA_GONE)


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
        if _java_gone(error):
            raise MachineError(
                "Spark's Java process has gone away.",
                hint="Often the system stopped it for want of memory. Nothing was lost; run again.",
            ) from error
        raise
