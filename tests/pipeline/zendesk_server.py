"""A small Zendesk on loopback: real HTTP, with the moods of the real one (429, cut connections, wrong passwords)."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "s3cret-token"
REASON = 360001


@dataclass
class Zendesk:
    """What the account holds. A ticket changed again goes to the end of `tickets`, as in Zendesk's own export."""

    tickets: list[dict[str, Any]] = field(default_factory=list)
    audits: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    macros: list[dict[str, Any]] = field(default_factory=list)
    fields: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)  # asked for, in order
    mood: Callable[[str, int], str | None] = lambda path, times: None  # "429", "cut" or "500" for the n-th time
    stuck: bool = False  # its lists have a second page that comes again and again
    url: str = ""
    _times: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, target: str) -> tuple[str, dict[str, Any] | None, str | None]:
        """The path, what stands there (None: nothing), and how the server feels about it."""
        split = urlsplit(target)
        asked = {name: values[0] for name, values in parse_qs(split.query).items()}
        with self._lock:
            self.paths.append(target)
            self._times[target] = times = self._times.get(target, 0) + 1
        return split.path, self._found(split.path, asked), self.mood(target, times)

    def _found(self, path: str, asked: dict[str, str]) -> dict[str, Any] | None:
        if path == "/api/v2/incremental/tickets/cursor.json":
            if "cursor" not in asked and "start_time" not in asked:
                return None
            start, size = int(asked.get("cursor", "c0")[1:]), int(asked["per_page"])
            end = min(start + size, len(self.tickets))
            rest = {"after_cursor": f"c{end}", "end_of_stream": end == len(self.tickets)}
            return {"tickets": self.tickets[start:end], **rest}
        if path.endswith("/audits.json"):
            number = int(path.split("/")[4])
            return _listed("audits", self.audits[number], asked, 3) if number in self.audits else None
        lists = {
            "/api/v2/macros.json": ("macros", self.macros),
            "/api/v2/ticket_fields.json": ("ticket_fields", self.fields),
        }
        if path not in lists:
            return None
        page = _listed(*lists[path], asked, 100)
        return page | {"meta": {"has_more": True, "after_cursor": "1"}} if self.stuck else page


def _listed(name: str, rows: list[dict[str, Any]], asked: dict[str, str], size: int) -> dict[str, Any]:
    start = int(asked.get("page[after]", "0"))
    end = start + size
    return {name: rows[start:end], "meta": {"has_more": end < len(rows), "after_cursor": str(end)}}


def serve(zendesk: Zendesk) -> ThreadingHTTPServer:
    """Serve the account on a free port; its address goes into `zendesk.url`."""
    expected = "Basic " + base64.b64encode(f"admin@rondo.example/token:{TOKEN}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes

        def do_GET(self) -> None:  # the name http.server calls
            path, found, mood = zendesk.answer(self.path)
            if self.headers.get("authorization") != expected:
                self._send(401, {"error": "Couldn't authenticate you"})
            elif mood == "429":
                self._send(429, {"error": "TooManyRequests"}, {"retry-after": "93"})
            elif mood == "500":
                self._send(500, {"error": "oops"})
            elif found is None:
                self._send(404, {"error": "RecordNotFound", "path": path})
            else:
                self._send(200, found, cut=mood == "cut")

        def _send(
            self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None, *, cut: bool = False
        ) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)
            self.close_connection = cut

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name http.server has
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    zendesk.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def add_ticket(zendesk: Zendesk, number: int, **changed: Any) -> dict[str, Any]:
    """A solved ticket about a cleaning fee, answered with macro 25; added at the end, as if it had just changed."""
    requester, agent = 9_000 + number, 77
    ticket = {
        "id": number,
        "subject": f"Cleaning fee {number}",
        "description": f"I never left the car dirty on trip {number}.",
        "status": "solved",
        "requester_id": requester,
        "submitter_id": requester,
        "assignee_id": agent,
        "collaborator_ids": [],
        "tags": ["payments__refund__cleaning_fee"],
        "via": {"channel": "web"},
        "brand_id": 4,
        "created_at": f"2026-01-{1 + number % 28:02d}T10:00:00Z",
        "updated_at": f"2026-02-{1 + number % 28:02d}T10:00:00Z",
        "custom_fields": [{"id": REASON, "value": "payments__refund__cleaning_fee"}, {"id": 360002, "value": "fr"}],
        **changed,
    }
    reply = f"Hello, I refunded the fee of trip {number}."
    zendesk.audits[number] = [
        audit(1, requester, comment(f"I never left the car dirty on trip {number}.", requester)),
        audit(2, -1, comment("We got your message.", -1), {"type": "Notification", "body": "We got your message."}),
        audit(3, agent, comment("Looks like a refund to me.", agent, public=False)),
        audit(
            4, agent, comment(reply, agent), {"type": "AgentMacroReference", "macro_id": "25", "macro_title": "Refund"}
        ),
        audit(5, agent, {"type": "Change", "field_name": "status", "value": "solved", "previous_value": "open"}),
    ]
    zendesk.tickets.append(ticket)
    return ticket


def audit(number: int, author: int, *events: dict[str, Any]) -> dict[str, Any]:
    return {"id": number, "author_id": author, "created_at": f"2026-02-01T10:{number:02d}:00Z", "events": list(events)}


def comment(body: str, author: int, *, public: bool = True) -> dict[str, Any]:
    return {"type": "Comment", "author_id": author, "body": body, "html_body": f"<p>{body}</p>", "public": public}


def account(tickets: int) -> Zendesk:
    """An account with two fields, three macros and so many tickets."""
    zendesk = Zendesk(
        fields=[
            {
                "id": REASON,
                "title": "Contact reason",
                "type": "tagger",
                "custom_field_options": [
                    {"name": "Payments::Refund::Cleaning fee", "value": "payments__refund__cleaning_fee"},
                    {"name": "Rides::Lost item", "value": "rides__lost_item"},
                ],
            },
            {
                "id": 360002,
                "title": "Country",
                "type": "tagger",
                "custom_field_options": [{"name": "France", "value": "fr"}],
            },
        ],
        macros=[
            _macro(
                25,
                "Refund",
                [
                    {
                        "field": "comment_value_html",
                        "value": "<p>Hello {{ticket.requester.first_name}},</p><p>I refunded the fee.</p>",
                    }
                ],
            ),
            _macro(26, "Close", [{"field": "status", "value": "solved"}]),
            _macro(
                27,
                "Note",
                [
                    {"field": "comment_value", "value": ["channel:all", "For colleagues"]},
                    {"field": "comment_mode_is_public", "value": "false"},
                ],
            ),
        ],
    )
    for number in range(1, tickets + 1):
        add_ticket(zendesk, number)
    return zendesk


def _macro(number: int, title: str, actions: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": number, "title": title, "active": True, "actions": actions, "updated_at": "2026-01-01T00:00:00Z"}
