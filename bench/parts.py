"""--only: some parts of a bench instead of all, named by commas."""

from __future__ import annotations

import argparse
from collections.abc import Collection


def add_only(parser: argparse.ArgumentParser, known: Collection[str]) -> None:
    """`only` in what the parser returns is the list of parts; an unknown one is refused before anything is measured."""

    def named(text: str) -> list[str]:
        parts = text.split(",")
        if unknown := [part for part in parts if part not in known]:
            raise argparse.ArgumentTypeError(f"there is no part {unknown[0]!r}; parts: {', '.join(known)}")
        return parts

    parser.add_argument("--only", type=named, default=list(known), metavar="PART,...", help=f"of {', '.join(known)}")
