"""docs/how-to/alarms.md has an answer to every alarm that can be raised, and to none that cannot."""

from __future__ import annotations

import re
from pathlib import Path

from monitoring.alarms import SIGNS

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "alarms.md"


def test_every_detector_that_raises_alarms_has_a_section_and_no_other() -> None:
    sections = re.findall(r"^### (\S+)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(sections) == sorted(SIGNS)
