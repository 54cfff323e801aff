"""The Zendesk app holds what Zendesk asks of a package: https://developer.zendesk.com/documentation/apps/app-developer-guide/manifest/"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

APP = Path(__file__).resolve().parents[3] / "deploy" / "helpdesks" / "zendesk"


def test_manifest_and_translations_belong_together() -> None:
    manifest = json.loads((APP / "manifest.json").read_text(encoding="utf-8"))
    words = json.loads((APP / "translations" / "en.json").read_text(encoding="utf-8"))["app"]
    assert manifest["frameworkVersion"] == "2.0"
    assert {"name", "email"} <= set(manifest["author"])
    assert manifest["defaultLocale"] == "en"
    assert (APP / manifest["location"]["support"]["ticket_sidebar"]["url"]).is_file()
    parameters = {one["name"] for one in manifest["parameters"]}
    assert set(words["parameters"]) == parameters
    assert {"name", "short_description", "long_description", "installation_instructions"} <= set(words)
    assert parameters == set(re.findall(r"settings\.(\w+)", (APP / "assets" / "app.js").read_text(encoding="utf-8")))


def test_the_logos_have_the_sizes_that_are_asked_for() -> None:
    for name, size in (("logo.png", 320), ("logo-small.png", 128)):
        head = (APP / "assets" / name).read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:24]) == (size, size)
