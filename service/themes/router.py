"""The list of new themes, and one theme as a contact type that is proposed, accepted or dismissed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.access import caller_of
from service.pages import render
from service.pages.person import person_of
from service.problems import Problem, as_problem
from service.serving import Held, Serving
from service.themes.accepting import Decider, accept, decided_already, note
from service.themes.proposal import Proposal, proposed
from tickets import theme_log
from tickets.contact_types import ContactTypeTree
from tickets.errors import ContactTypeError, InputError
from tickets.monitor_log import recent_runs
from tickets.taxonomy_versions import branches_of
from tickets.theme_log import Theme, ThemeStatus

router = APIRouter(prefix="/themes", include_in_schema=False)


@router.get("")
def themes(
    request: Request,
    held: Held,
    dismissed: Annotated[str, Query(max_length=200)] = "",
    accepted: Annotated[str, Query(max_length=200)] = "",
    queued: Annotated[int, Query(ge=0)] = 0,
) -> HTMLResponse:
    """Open themes, biggest first, then what was decided last. `dismissed` and `accepted` name what was just done."""
    decided = theme_log.decided_themes(held.engine)
    by_id = {theme.theme_id: theme for theme in decided}
    return render(
        request,
        "themes.html",
        themes=theme_log.open_themes(held.engine),
        decided=decided,
        dismissed=_if(by_id.get(dismissed), "dismissed"),
        accepted=_if(by_id.get(accepted), "accepted"),
        queued=queued,
        path=held.choices.path,
        watched=bool(recent_runs(held.engine, limit=1)),
    )


@router.get("/{theme_id}")
def theme(request: Request, held: Held, theme_id: str) -> Response:
    """One open theme, with a contact type proposed for it; one that is decided leads back to the list."""
    found = _find(held, theme_id)
    if found.status != "open":
        return RedirectResponse("/themes", status_code=303)
    return _form(request, held, found, proposed(found, held.choices))


@router.post("/accept/{theme_id}")
def accept_theme(request: Request, held: Held, theme_id: str, form: Annotated[Proposal, Form()]) -> Response:
    """Make the contact type; where it cannot be, the form comes back with what is wrong. For administrators: it changes
    the tree for everybody."""
    by = _decider(request)
    found = _find(held, theme_id)
    try:
        done = accept(held, theme_id, form, by=by)
    except ContactTypeError as error:
        problem = as_problem(error, retry_after=held.options.retry_after_seconds)
        return _form(request, held, found, form, problem=problem)
    return RedirectResponse(f"/themes?accepted={found.theme_id}&queued={done.queued}", status_code=303)


@router.post("/{theme_id}/dismiss")
def dismiss(request: Request, held: Held, theme_id: str) -> RedirectResponse:
    """Set a theme aside; it does not come back when it is found again."""
    by = _decider(request)
    found = _find(held, theme_id)
    with held.workspace.catalogue_lock():  # whoever accepts it holds the lock until the theme says so
        dismissed = theme_log.decide(held.engine, theme_id, "dismissed", by=by.person, at=held.options.clock())
    if not dismissed:
        raise decided_already(_find(held, theme_id))
    note(held, "theme dismissed", found, by=by)
    return RedirectResponse(f"/themes?dismissed={found.theme_id}", status_code=303)


@router.post("/{theme_id}/undo")
def undo(request: Request, held: Held, theme_id: str) -> RedirectResponse:
    """Open a dismissed theme again. A theme that is open already stays so."""
    by = _decider(request)
    found = _find(held, theme_id)
    if theme_log.decide(held.engine, theme_id, "open", by=by.person, at=held.options.clock()):
        note(held, "theme opened again", found, by=by)
    elif found.status == "accepted":
        raise decided_already(found)
    return RedirectResponse("/themes", status_code=303)


def _if(theme: Theme | None, status: ThemeStatus) -> Theme | None:
    """The theme, if that is what was decided about it: an address may say anything."""
    return theme if theme is not None and theme.status == status else None


def _find(held: Serving, theme_id: str) -> Theme:
    """Raises Problem (404) for an unknown theme."""
    try:
        return theme_log.find_theme(held.engine, theme_id)
    except InputError as error:
        raise Problem(404, "no-theme", error.message, hint=error.hint) from error


def _decider(request: Request) -> Decider:
    """Raises Problem (422) for somebody without a name."""
    person, caller = person_of(request), caller_of(request)
    if person is None:
        raise Problem(422, "no-name", "a decision needs the name of who made it.", hint="Write your name at the top.")
    return Decider(
        person=person, actor=caller.name if caller else person, request_id=request.scope.get("request_id", "")
    )


def _form(
    request: Request, held: Serving, theme: Theme, proposal: Proposal, *, problem: Problem | None = None
) -> HTMLResponse:
    return render(
        request,
        "theme.html",
        status_code=problem.status_code if problem else 200,
        theme=theme,
        proposal=proposal,
        branches=_branch_paths(held.choices.tree()),
        problem=problem,
        path=held.choices.path,
    )


def _branch_paths(tree: ContactTypeTree) -> list[tuple[str, str]]:
    """(id, path) of every branch a contact type can stand under, sorted by path."""
    return sorted(((branch.id, tree.path(branch.id)) for branch in branches_of(tree)), key=lambda pair: pair[1])
