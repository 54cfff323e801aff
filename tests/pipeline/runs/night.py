"""`python -m pipeline`, which ends itself by kill -9 at a rename: `night.py KILL_BEFORE WORKSPACE ...`.

With 5 it dies, Java and all, just before it renames something of the workspace for the fifth time: between the steps of
a publish, where no clock would hit.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from pipeline.__main__ import main


def die_before(number: int, folder: Path) -> None:
    done = 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal done
        if event == "os.rename" and str(arguments[1]).startswith(str(folder)):
            done += 1
            if done == number:
                os.killpg(0, signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    die_before(int(sys.argv[1]), Path(sys.argv[2]))
    sys.exit(main(sys.argv[2:]))
