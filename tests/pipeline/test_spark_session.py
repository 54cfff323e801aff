"""What a person reads when the machine cannot run Spark."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.session import java_version, machine_limits
from tickets.errors import MachineError


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
    ],
)
def test_a_full_disk_or_memory_becomes_one_line(tmp_path: Path, met: Exception, said: str) -> None:
    with pytest.raises(MachineError, match=said), machine_limits(tmp_path):
        raise met
