"""The company's support agents: how they resolve a ticket, mislabel it, edit replies, and treat a suggestion."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from tickets.records import FeedbackAction, ReplyTemplate, Suggestion
from tickets.simulate.catalogue import (
    FAMILY,
    PRODUCTS,
    Situation,
    fitting_replies,
    replies,
    situation_by_path,
    situations,
)
from tickets.simulate.customers import person_name
from tickets.simulate.writing import Occasion, money

if TYPE_CHECKING:
    from tickets.simulate.stream import SimulatedTicket

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_ADDED = (
    "I have also left a note on your account.",
    "Once again, sorry for this.",
    "If anything is unclear, just reply to this message.",
    "I know how annoying that is.",
    "Have a good day!",
)
OTHER_REPLY = 0.08  # of replies: agents differ in which template they think fits
ANCHORING = {"high": 0.18, "medium": 0.08, "low": 0.03}  # agents who take a wrong first suggestion, by its band
RIGHT_TYPE_TIME, RIGHT_REPLY_TIME, WRONG_TYPE_TIME = 0.82, 0.76, 1.08  # factors on handling time


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAction:
    """What an agent did. `edit_distance` is the share of the template's text that changed, 0 to 1."""

    action: FeedbackAction
    contact_type: str
    template_id: str
    edit_distance: float
    handle_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """How an agent without help closed a ticket."""

    contact_type: str
    right_template: ReplyTemplate
    template: ReplyTemplate
    handle_seconds: float
    reply: str
    agent: str


def resolve(occasion: Occasion, status: str, tenure: int, mislabel_rate: float, rng: Random) -> Resolution:
    """Close a ticket without any suggestion on the screen."""
    situation, customer = occasion.situation, occasion.customer
    outcome = resolution(
        situation.policy,
        amount=occasion.amount,
        status=status,
        tenure=tenure,
        member=customer.member,
        platform=customer.platform,
    )
    right = _pick(fitting_replies(situation.path, outcome, customer.language), rng)
    recorded = situation.path
    if rng.random() < mislabel_rate:
        recorded = mistaken(situation, rng)
    sent = right
    if rng.random() < OTHER_REPLY:
        sent = _pick(_siblings(situation.path, customer.language), rng)
    seconds = situation.minutes * 60 * rng.lognormvariate(0.0, 0.4)
    seconds *= (1.35 if occasion.second is not None else 1.0) * (1.25 if occasion.vague else 1.0)
    agent = f"agent-{int(rng.random() * 40) + 1:02d}"
    return Resolution(
        contact_type=recorded,
        right_template=right,
        template=sent,
        handle_seconds=round(seconds, 1),
        reply=_reply_text(sent, occasion, rng),
        agent=agent,
    )


def resolution(  # noqa: PLR0911  # a table of rules, one return each
    policy: str, *, amount: float | None, status: str, tenure: int, member: bool, platform: str
) -> str:
    """The company's rules: what a policy grants to whom. The outcome decides which template fits."""
    sum_in_question = amount or 0.0
    match policy:
        case "refund":
            if sum_in_question <= 15 or (sum_in_question <= 45 and (member or tenure >= 400)):
                return "approved"
            return "denied" if tenure < 150 or sum_in_question > 60 else "credit"
        case "credit":
            return "credit" if member or tenure >= 120 or sum_in_question >= 30 else "sorry"
        case "inquiry":
            return "investigate" if tenure >= 60 or sum_in_question >= 25 else "ask"
        case "lost":
            return "contact" if tenure >= 90 else "ask"
        case "guide":
            return "guide_web" if platform == "web" else "guide_app"
        case "safety":
            return "escalate" if status in ("in_progress", "not_started") or sum_in_question >= 40 else "report"
        case "verify":
            return "done" if tenure >= 200 else "verify"
        case "refund_check":
            return "waiting" if status == "completed" else "resend"
        case "partner":
            return "paid" if sum_in_question < 120 else "review"
        case "review":
            return "ask" if tenure < 90 else "review"
    return policy  # `done` and `explain` know one outcome only


def mistaken(situation: Situation, rng: Random) -> str:
    """The wrong contact type an agent picks: a neighbour in the tree, one that sounds the same, seldom any other."""
    siblings, sounding_alike = _confusable(situation.path)
    draw = rng.random()
    if sounding_alike and draw < 0.3:
        return sounding_alike[int(rng.random() * len(sounding_alike))]
    if siblings and draw < 0.85:
        return siblings[int(rng.random() * len(siblings))]
    others = situations()
    path = others[int(rng.random() * len(others))].path
    return path if path != situation.path else siblings[0]


def respond(simulated: SimulatedTicket, suggestion: Suggestion | None, rng: Random) -> AgentAction:
    """What the agent who got this ticket does when the suggestion is shown (None: none was).

    A right first suggestion is accepted nearly always, a wrong one sometimes, the more often the surer it looks;
    otherwise the agent records what they would have recorded without it. Good suggestions save time, bad ones cost it.
    """
    own, right = simulated.outcome.contact_type, simulated.true_contact_type
    alone = float(simulated.outcome.handle_seconds or 0.0)
    template = simulated.outcome.template_id or simulated.right_template_id
    edited = _edit_share(rng)
    first = suggestion.contact_types[0] if suggestion is not None and suggestion.contact_types else None
    if suggestion is None or first is None or rng.random() < 0.04:
        return AgentAction(
            action="ignored", contact_type=own, template_id=template, edit_distance=edited, handle_seconds=alone
        )
    anchored = 0.01 if suggestion.abstained else ANCHORING[first.band]
    accepted = rng.random() < (0.97 if first.contact_type == right else anchored) or first.contact_type == own
    time = RIGHT_TYPE_TIME if first.contact_type == right else WRONG_TYPE_TIME
    if simulated.right_template_id in {ranked.template_id for ranked in suggestion.templates[:3]}:
        template, edited, time = simulated.right_template_id, edited * 0.6, time * RIGHT_REPLY_TIME
    return AgentAction(
        action="accepted" if accepted else "corrected",
        contact_type=first.contact_type if accepted else own,
        template_id=template,
        edit_distance=round(edited, 3),
        handle_seconds=round(alone * time, 1),
    )


@cache
def _confusable(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    here = situation_by_path()[path]
    others = [other for other in situation_by_path().values() if other.path != path]
    siblings = tuple(other.path for other in others if other.group == here.group)
    alike = tuple(other.path for other in others if here.shares is not None and other.shares == here.shares)
    return siblings, alike


@cache
def _siblings(path: str, spoken: str) -> tuple[ReplyTemplate, ...]:
    """Every template an agent could think of for this contact type, in the customer's language where there are any."""
    serving = [reply.template for reply in replies() if path in reply.template.contact_types or not reply.serves]
    fitting = tuple(template for template in serving if template.language == spoken)
    return fitting or tuple(serving)


def _pick(templates: tuple[ReplyTemplate, ...], rng: Random) -> ReplyTemplate:
    return templates[int(rng.random() * len(templates))]


def _edit_share(rng: Random) -> float:
    return round(rng.betavariate(1.2, 6), 3) if rng.random() < 0.45 else 0.0


def _reply_text(template: ReplyTemplate, occasion: Occasion, rng: Random) -> str:
    """The template with its placeholders filled in, sometimes edited: a sentence dropped, one added, or both."""
    customer = occasion.customer
    amount = money(occasion.amount or 10.0, customer.city.currency, customer.language)
    values = {
        "customer_name": customer.first,
        "agent_name": person_name(rng),
        "amount": amount,
        "city": customer.city.name,
        "product": PRODUCTS[occasion.product],
        "order_id": occasion.order,
        "days": str(3 + int(rng.random() * 8)),
        "link": f"https://help.rondo.example/{FAMILY[occasion.product]}",
    }
    body = template.body.removesuffix("{{agent_name}}").rstrip()
    draw = rng.random()
    if draw < 0.2:
        sentences = body.split(". ")
        if len(sentences) > 2:
            del sentences[1 + int(rng.random() * (len(sentences) - 2))]
        body = ". ".join(sentences)
    if 0.12 < draw < 0.36:
        body = f"{body} {_ADDED[int(rng.random() * len(_ADDED))]}"
    return _PLACEHOLDER.sub(lambda match: values[match.group(1)], body + " {{agent_name}}")
