"""What every page shares: the one Jinja environment, the base template, and small words for times and confidence.

A page module calls `render(request, "name.html", ...)`; its template extends `base.html` and is escaped throughout. The
content security policy forbids inline scripts, inline styles and eval: scripts and styles live in static/.
"""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import Headers

from service.access import caller_of
from service.access.roles import role_of_page
from service.pages import words
from service.pages.branches import branches
from service.pages.person import LONGEST_BACK, names_itself, person_of
from service.pages.shown_text import is_html, shown_text

_SERVICE = Path(__file__).resolve().parents[1]
_TEMPLATE_FOLDERS = (
    *("pages", "access/templates", "console/templates", "labels/templates", "dashboard/templates"),
    *("helpdesks/templates", "themes/templates"),
)
_SECTIONS = ("/console", "/labels", "/themes", "/dashboard")
BAND_WORDS = {"high": "very likely", "medium": "likely", "low": "a guess"}


def render(request: Request, name: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """The template `name` as a page. Each is given `here` (its path), `back` (where to return to), `person` (who
    works), `names_itself` (whether that is a name they wrote), `signed_in`, `theme` (light or dark where chosen), and
    `may` (whether who works here may open a page).
    """
    caller = caller_of(request)
    given = {
        "here": request.url.path,
        "can_be_asked_again": _can_be_asked_again(request),
        "back": _back(request),
        "person": person_of(request),
        "names_itself": names_itself(request),
        "signed_in": caller is not None and caller.how == "session",
        "theme": _theme(request),
        "may": lambda address: caller is None or caller.may(role_of_page(address)),
    }
    return HTMLResponse(environment().get_template(name).render(given | context), status_code=status_code)


@cache
def environment() -> Environment:
    """One environment for all pages. Template names are unique across the folders of pages."""
    made = Environment(
        loader=FileSystemLoader([_SERVICE / folder for folder in _TEMPLATE_FOLDERS]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(percent=percent, chance=chance, when=when, confidence=confidence)
    made.filters.update(branches=branches, shown_text=shown_text)
    made.tests["html"] = is_html
    made.globals["band_words"] = BAND_WORDS
    made.filters.update(detector=words.detector, event=words.event, commands=words.commands)
    return made


def _can_be_asked_again(request: Request) -> bool:
    return request.method in {"GET", "HEAD"}


def _back(request: Request) -> str:
    """The page itself with what its address asks for, or its section where the page answers a form and cannot be asked
    for again."""
    if _can_be_asked_again(request):
        whole = f"{request.url.path}?{request.url.query}".rstrip("?")
        return whole if len(whole) <= LONGEST_BACK else request.url.path
    section = "/" + request.url.path.split("/")[1]
    return section if section in _SECTIONS else "/console"


def _theme(request: Request) -> str:
    """What theme.js keeps in a cookie; empty follows the system."""
    chosen = request.cookies.get("triage_theme", "")
    return chosen if chosen in {"light", "dark"} else ""


def wants_page(headers: Headers) -> bool:
    """Whether whoever asks reads pages: a browser."""
    return "text/html" in headers.get("accept", "")


def percent(share: float | None) -> str:
    """0.834 -> `83 %`"""
    return "unknown" if share is None else f"{share:.0%}".replace("%", " %")


def chance(probability: float) -> str:
    """A probability to the per cent; what is all but sure, or all but impossible, is not said to be."""
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else percent(probability)


def when(time: datetime | None) -> str:
    """A time in UTC, to the minute."""
    return "" if time is None else time.strftime("%Y-%m-%d %H:%M")


def confidence(band: str) -> str:
    """The band of a probability in words that an agent uses."""
    return BAND_WORDS[band]
