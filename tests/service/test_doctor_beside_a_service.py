"""`triage doctor` on the machine of a running service."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.service.conftest import Service
from triage.doctor.examine import examine, well
from triage.settings import Settings


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_running_service_and_its_model_are_well(service: Service) -> None:
    settings = Settings(workspace=service.workspace.root, port=urlsplit(service.address).port)
    checks = examine(settings)
    by_name = {check.name: check for check in checks}
    assert "is a running `triage serve`" in by_name["port"].found
    assert "opens and answered a ticket" in by_name["model"].found
    assert by_name["rights"].state == "ok"
    assert well(checks)
