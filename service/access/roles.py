"""Which role an address asks for. What stands in no line here is for administrators alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from service.access.options import WhoReadsMetrics
from tickets.api_keys import Role

Needed = Literal["open"] | Role

# An address ending in "/" stands for all below it; the longest that fits counts. Open ones hold no data, or check a
# signature of their own (webhooks).
_NEEDED: Mapping[str, Needed] = {
    "/livez": "open",
    "/readyz": "open",
    "/v2/health/": "open",
    "/static/": "open",
    "/login": "open",
    "/logout": "open",
    "/sidebar": "open",
    "/webhooks/": "open",
    "/": "agent",
    "/console": "agent",
    "/console/": "agent",
    "/docs": "agent",
    "/openapi.json": "agent",
    "/person": "agent",
    "/pick/": "agent",
    "/v1/": "agent",
    "/v2": "agent",
    "/v2/": "agent",
    "/labels": "labeler",
    "/labels/": "labeler",
    "/labels/people": "admin",
    "/themes": "labeler",
    "/themes/": "labeler",
    "/themes/accept/": "admin",
    "/dashboard": "admin",
    "/dashboard/": "admin",
}


def needed_for(path: str, *, metrics: WhoReadsMetrics) -> Needed:
    """The role that the address asks for. `path` is as the router sees it, decoded once."""
    if path == "/metrics":
        return metrics
    exact = _NEEDED.get(path)
    if exact is not None:
        return exact
    end = path.rfind("/")
    while end > 0:  # "/" itself is the front page, not all that is below it
        found = _NEEDED.get(path[: end + 1])
        if found is not None:
            return found
        end = path.rfind("/", 0, end)
    return "admin"


def role_of_page(address: str) -> Role:
    """The role that a page asks for."""
    needed = _NEEDED.get(address, "admin")
    return "agent" if needed == "open" else needed


def is_strange(path: str) -> bool:
    """Whether the path has empty, `.` or `..` parts. Nothing here lives there, and what reads paths differently must
    not find something else behind them."""
    return "//" in path or "/./" in path or "/../" in path or path.endswith(("/.", "/.."))
