"""Logging for the command line: structlog events on standard error, quiet libraries."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logs(*, verbose: bool) -> None:
    """Warnings and worse; with `verbose` also what each part does."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(name)s: %(message)s")
    for noisy in ("py4j", "alembic", "mlflow", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # its retries; what comes of them is told by who asked
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Standard error as it is when something is logged: it may have been another when this was called.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
