"""The service under load, over real HTTP, with real texts: BANKING77's test questions, about twelve words each.

    python bench/serving.py [--quick] [--soak MINUTES]

Needs public data (bench/public_data.py). Server and load generator share the machine's cores. The model
is MiniLM in int8 with a head learned in one pass over BANKING77, 99 reply templates and 9,002 resolved tickets to
compare with; an answer is whole (types, templates, similar tickets, words) and is written to the suggestion log, which
goes to SQLite. Requests carry an API key.

Beside it, in the same run: ONNX Runtime alone (as many processes as cores, one thread each, batches tokenised and
padded before the clock starts), and what a team would write first (bench/naive_server.py, the same encoder).
`share_of_bare_onnxruntime` is batch tickets a second against the former; `times_naive_throughput` and `times_naive_p99`
compare single requests with the latter at the same number of connections (times_naive_p99: its p99 over ours).
`core_ms_<n>_words` is what a whole suggestion for a ticket of so many words takes of one core, without HTTP, in batches
of eight; `_alone`, one by one.

`--soak` adds soak_growth_percent: resident memory after so many minutes at half of saturation, against that after the
first minute of it.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import banking77
import httpx
from bench_record import record
from http_load import Measured, closed_loop, open_loop, request_bytes
from promoted import promoted_workspace
from public_data import BANKING77
from scoring_rate import bare_rate

from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.machine import cores
from models.predictions import inputs_of
from models.release import FACTS, current_release, promote
from models.suggest import Suggester
from service.options import utc_now
from tickets.api_keys import create_key
from tickets.catalogue import write_templates
from tickets.database import open_database
from tickets.records import Ticket
from tickets.simulate import reply_templates
from tickets.workspace import Workspace

Figures = dict[str, float | int]

BATCH = 64  # tickets of a batch request
_RECOVERS_WITHIN = 60.0  # seconds, or it never does
CONNECTIONS = 16  # of a closed loop at saturation
_CONFIG = TrainConfig(epochs=1, trainable_layers=0, max_tokens=128)


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """Our service while it runs, and requests to it."""

    port: int
    key: str
    process: subprocess.Popen[bytes]
    cold_start: float  # seconds
    single: Sequence[bytes]
    batches: Sequence[bytes]

    @property
    def resident_mb(self) -> int:
        """Memory the process holds now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        (line,) = [row for row in status.splitlines() if row.startswith("VmRSS")]
        return round(int(line.split()[1]) / 1024)


@dataclasses.dataclass(frozen=True, slots=True)
class Lengths:
    """Seconds of each part."""

    one_client: float
    open_loop: float
    saturation: float
    overload: float


FULL, QUICK = Lengths(20, 300, 20, 15), Lengths(5, 20, 6, 5)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="seconds instead of minutes")
    arguments.add_argument("--soak", type=float, default=0.0, metavar="MINUTES", help="watch memory for so long")
    given = arguments.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        workspace = served_workspace(Path(folder))
        texts = [text for text, _ in banking77.questions(BANKING77, "test")]
        figures = serving_figures(workspace, texts, QUICK if given.quick else FULL, soak=given.soak)
    record("serving", figures, seconds=time.perf_counter() - started)


def served_workspace(folder: Path) -> Workspace:
    """A workspace under `folder` whose release knows BANKING77's intents and the simulated company's templates."""
    asked, test = (banking77.questions(BANKING77, part) for part in ("train", "test"))
    validation, train = banking77.drawn(asked, 13, seed=17)
    tokenizer = load_tokenizer(_CONFIG.encoder, _CONFIG.max_tokens)
    templates = tuple(dataclasses.replace(template, contact_types=()) for template in reply_templates())
    data = banking77.data_of(train, validation, test, tokenizer, _CONFIG, templates=templates)
    workspace = promoted_workspace(folder, data, _CONFIG)
    write_templates(workspace, templates)
    return workspace


def serving_figures(workspace: Workspace, texts: Sequence[str], lengths: Lengths, *, soak: float) -> Figures:
    """Every figure of the bench."""
    with server(workspace, texts) as ours:
        figures: Figures = {"cold_start_seconds": round(ours.cold_start, 2)}
        closed_loop(ours.port, ours.single, connections=2, seconds=2)
        figures |= one_client(ours, lengths.one_client) | steady(ours, lengths.open_loop)
        saturated = closed_loop(ours.port, ours.single, connections=CONNECTIONS, seconds=lengths.saturation)
        rate = saturated.per_second()
        figures |= {"requests_per_second": round(rate, 1), "saturated_p99_ms": _ms(saturated, 99)}
        batched = closed_loop(ours.port, ours.batches, connections=4, seconds=lengths.saturation)
        figures |= {"batch_tickets_per_second": round(BATCH * batched.per_second(), 1)}
        figures |= {"resident_mb": ours.resident_mb}
        figures |= overload(ours, rate=3 * rate, seconds=lengths.overload) | reload_under_load(workspace, ours)
        figures |= soaked(ours, minutes=soak, rate=rate / 2) if soak else {}
    bare = bare_onnxruntime(workspace)
    figures |= {"bare_tickets_per_second": round(bare, 1)}
    figures |= {"share_of_bare_onnxruntime": round(figures["batch_tickets_per_second"] / bare, 3)}
    figures |= by_length(workspace, texts)
    return figures | beside_naive(workspace, texts, saturated, seconds=lengths.saturation)


@contextlib.contextmanager
def server(workspace: Workspace, texts: Sequence[str]) -> Iterator[Server]:
    """`triage serve` in a process of its own."""
    engine = open_database(workspace.default_database_url)
    _, key = create_key(engine, "bench", "agent", at=utc_now())
    engine.dispose()
    port = _free_port()
    environment = {**os.environ, "TRIAGE_ACCESS__REQUESTS_PER_MINUTE": "10000000"}
    command = [sys.executable, "-m", "triage", "serve", "-w", str(workspace.root), "--port", str(port)]
    with (workspace.root / "service.log").open("wb") as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/readyz", process)
        cold_start = time.perf_counter() - started
        bodies = [{"body": text} for text in texts]
        many = [bodies[at : at + BATCH] for at in range(0, len(bodies) - BATCH, BATCH)]
        yield Server(
            port,
            key,
            process,
            cold_start,
            single=[_request("/v1/suggestions", {"ticket": body}, key) for body in bodies],
            batches=[_request("/v1/suggestions/batch", {"tickets": some}, key) for some in many],
        )
    finally:
        _end(process)


def one_client(ours: Server, seconds: float) -> Figures:
    measured = closed_loop(ours.port, ours.single, connections=1, seconds=seconds)
    if set(measured.statuses) != {200}:
        raise SystemExit(f"not all requests were answered: {measured.statuses}, {measured.bodies}")
    return {"p50_ms": _ms(measured, 50), "p99_ms": _ms(measured, 99)}


def steady(ours: Server, seconds: float) -> Figures:
    """A hundred tickets a second, whatever the server does."""
    measured = open_loop(ours.port, ours.single, per_second=100, seconds=seconds)
    return {
        "open_loop_p50_ms": _ms(measured, 50),
        "open_loop_p99_ms": _ms(measured, 99),
        "open_loop_errors": _failed(measured),
    }


def overload(ours: Server, *, rate: float, seconds: float) -> Figures:
    """Three times what it can do. Accepted and refused requests, memory, and how soon it is itself again."""
    before = ours.resident_mb
    measured = open_loop(ours.port, ours.single, per_second=rate, seconds=seconds)
    ended = time.perf_counter()
    while time.perf_counter() - ended < _RECOVERS_WITHIN and not _itself_again(ours):
        pass
    recovered = time.perf_counter() - ended
    refusals = {status: body for status, body in measured.bodies.items() if status != 200}
    if set(refusals) - {503} or not all("code" in json.loads(body) for body in refusals.values()):
        raise SystemExit(f"ill-formed refusals: {refusals}")
    return {
        "overload_offered_per_second": round(rate, 1),
        "overload_accepted_per_second": round(measured.per_second(), 1),
        "overload_p99_ms": _ms(measured, 99),
        "overload_refused_p99_ms": _ms(measured, 99, 503) if 503 in measured.seconds else 0.0,
        "overload_growth_mb": ours.resident_mb - before,
        "overload_recovery_seconds": round(recovered, 2),
    }


def _itself_again(ours: Server) -> bool:
    measured = closed_loop(ours.port, ours.single[:1], connections=1, seconds=0.05)
    return set(measured.statuses) == {200} and measured.milliseconds(50) < 20


def reload_under_load(workspace: Workspace, ours: Server) -> Figures:
    """Another release is promoted while requests come in; how many of them failed."""
    (first,) = [path.parent for path in workspace.models.glob(f"*/{FACTS}")]
    second = first.with_name("20990101-000000-000002")
    shutil.copytree(first, second)
    facts = json.loads((second / FACTS).read_text(encoding="utf-8"))
    (second / FACTS).write_text(json.dumps({**facts, "version": second.name}), encoding="utf-8")
    promotion = threading.Timer(1.0, promote, (workspace, second.name))
    promotion.start()
    measured = closed_loop(ours.port, ours.single, connections=4, seconds=8)
    promotion.join()
    key = {"Authorization": f"Bearer {ours.key}"}
    if httpx.get(f"http://127.0.0.1:{ours.port}/v1/model", headers=key).json()["version"] != second.name:
        raise SystemExit("the new release was not taken up")
    return {"reload_failed_requests": _failed(measured), "reload_p99_ms": _ms(measured, 99)}


def soaked(ours: Server, *, minutes: float, rate: float) -> Figures:
    """Memory at the end of a long steady load against that after its first minute."""
    open_loop(ours.port, ours.single, per_second=rate, seconds=60)
    before = ours.resident_mb
    measured = open_loop(ours.port, ours.single, per_second=rate, seconds=60 * minutes)
    return {
        "soak_minutes": minutes,
        "soak_requests": sum(measured.statuses.values()),
        "soak_errors": _failed(measured),
        "soak_growth_percent": round(100 * (ours.resident_mb - before) / before, 2),
    }


def bare_onnxruntime(workspace: Workspace) -> float:
    """Tickets a second of ONNX Runtime alone, the better of two runs."""
    inputs = inputs_of(banking77.examples("test", banking77.questions(BANKING77, "test")))
    return max(bare_rate(current_release(workspace), inputs, processes=cores()) for _ in range(2))


def by_length(workspace: Workspace, texts: Sequence[str]) -> Figures:
    """CPU time of a ticket by its words, up to the 128 tokens that are read; longer texts are questions joined."""
    suggester, words = Suggester.load(current_release(workspace), threads=1), " ".join(texts).split()
    figures: Figures = {}
    for length in (10, 100):
        bodies = [" ".join(words[at : at + length]) for at in range(0, 256 * length, length)]
        tickets = [Ticket(ticket_id=f"t{n}", created_at=utc_now(), body=body) for n, body in enumerate(bodies)]
        for size, name in ((8, ""), (1, "_alone")):
            suggester.suggest(tickets[:size])
            began = time.process_time()
            for at in range(0, len(tickets), size):
                suggester.suggest(tickets[at : at + size])
            figures[f"core_ms_{length}_words{name}"] = round(1000 * (time.process_time() - began) / len(tickets), 2)
    return figures


def beside_naive(workspace: Workspace, texts: Sequence[str], ours: Measured, *, seconds: float) -> Figures:
    with naive_server(workspace) as port:
        ask = [_request("/v1/suggestions", {"ticket": {"body": text}}, None) for text in texts]
        closed_loop(port, ask, connections=2, seconds=2)
        naive = closed_loop(port, ask, connections=CONNECTIONS, seconds=seconds)
    return {
        "naive_requests_per_second": round(naive.per_second(), 1),
        "naive_p99_ms": _ms(naive, 99),
        "times_naive_throughput": round(ours.per_second() / naive.per_second(), 2),
        "times_naive_p99": round(naive.milliseconds(99) / ours.milliseconds(99), 2),
    }


@contextlib.contextmanager
def naive_server(workspace: Workspace) -> Iterator[int]:
    """The same encoder with a plain classification head, as a team would save it after a first fine-tuning."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    encoder = current_release(workspace).path("encoder")
    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=77)
    folder, port = workspace.root.parent / "naive", _free_port()
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(folder)
    command = [sys.executable, str(Path(__file__).with_name("naive_server.py")), str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}/openapi.json", process)
        yield port
    finally:
        _end(process)


def _request(path: str, content: object, key: str | None) -> bytes:
    return request_bytes(path, json.dumps(content).encode(), key=key)


def _failed(measured: Measured) -> int:
    return sum(count for status, count in measured.statuses.items() if status != 200)


def _ms(measured: Measured, percent: float, status: int = 200) -> float:
    return round(measured.milliseconds(percent, status), 2)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server of {address} ended early")
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(address).status_code == 200:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing answers at {address}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make it when it does not within half a minute."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
