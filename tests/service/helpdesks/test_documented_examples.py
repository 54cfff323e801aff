"""The commands in docs/helpdesks.md work as they stand there, but for the address."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from pydantic import SecretStr

if TYPE_CHECKING:
    from tests.service.helpdesks.conftest import Connect

PAGE = Path(__file__).resolve().parents[3] / "docs" / "helpdesks.md"


def test_the_signed_examples_are_taken(connect: Connect, lite: sa.Engine) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    with connect(lite, each={"webhook_secret": SecretStr("s3cret-for-trying"), "url": ""}) as service:
        for block in blocks:
            command = block.replace("http://127.0.0.1:8000", service.address)
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
            answer = json.loads(done.stdout)
            assert answer["status"] == "taken", answer
        service.until(*["written back"] * 4)
        assert service.desk.asked == [], "without an address nothing is written"
        assert len(service.suggested()) == 4
