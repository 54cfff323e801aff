"""Where deploy/ is, and what its files are checked against."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from triage.reference.settings import every_setting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return ROOT / "deploy"


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def settings() -> set[str]:
    """The names of all variables that the product reads."""
    return {name for name, _, _ in every_setting()}


@pytest.fixture(scope="session")
def manifests(deploy: Path) -> dict[str, dict[str, Any]]:
    """File name -> Kubernetes manifest; each file holds one."""
    folder = deploy / "kubernetes"
    return {path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.yaml"))}
