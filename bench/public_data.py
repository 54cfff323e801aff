"""Where the public data lies that some benches read: the folder that TRIAGE_BENCH_DATA names, or shared/data beside the
checkout. docs/experiments.md says where each file comes from."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ.get("TRIAGE_BENCH_DATA") or Path(__file__).parents[2] / "shared" / "data")
CFPB = FOLDER / "cfpb"
COMPLAINTS = CFPB / "complaints.csv.gz"
BANKING77 = FOLDER / "banking77"
