"""`python -m triage.reference [FOLDER]` writes the reference pages anew, into docs/reference of this folder."""

import sys
from pathlib import Path

from triage.reference.pages import write

for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference")):
    sys.stdout.write(f"{path}\n")
