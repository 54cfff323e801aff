"""The company's contact types and reply templates, read from phrases/*.toml and replies/*.toml beside this file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any

from tickets.contact_types import SEPARATOR, ContactType, ContactTypeTree
from tickets.errors import InputError
from tickets.records import ReplyTemplate
from tickets.simulate.grammar import Phrases, Wording, parse_all, worded

BRANCHES = ("rides", "orders", "parcels", "payments", "account", "safety", "partners")
NEW_PRODUCT = "scooters"
LANGUAGES = ("en", "es", "fr", "de")

PRODUCTS = {  # the value of the attribute -> what customers call it
    "go": "Rondo Go",
    "pool": "Rondo Pool",
    "black": "Rondo Black",
    "eats": "Rondo Eats",
    "market": "Rondo Market",
    "send": "Rondo Send",
    "scoot": "Rondo Scoot",
}
FAMILY = {
    **dict.fromkeys(("go", "pool", "black"), "rides"),
    **dict.fromkeys(("eats", "market"), "orders"),
    "send": "parcels",
    "scoot": "scooters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A contact type as customers live it: how often, with which product and status, and in which words.

    `amount` is the range of the sum involved (0 to 0: none), `minutes` the median time an agent needs without help,
    `vague` what someone says who does not say what it is about, `shared` a wording other contact types use too.
    """

    path: str
    weight: float
    products: tuple[str, ...]
    status: tuple[str, ...]
    amount: tuple[float, float]
    platform: tuple[str, ...] | None
    payment: tuple[str, ...] | None
    member: bool
    policy: str
    minutes: float
    subjects: Phrases
    says: Phrases
    details: Phrases
    asks: Phrases
    vague: Phrases
    shares: str | None
    shared_subjects: Phrases
    shared_says: Phrases

    @property
    def group(self) -> str:
        return self.path.rpartition(SEPARATOR)[0]

    def worded(self, wording: Wording) -> Situation:
        """With the phrases of one wording alone."""
        kinds = ("subjects", "says", "details", "asks", "vague", "shared_subjects", "shared_says")
        chosen: dict[str, Any] = {kind: worded(getattr(self, kind), wording) for kind in kinds}
        return replace(self, **chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply template with when agents send it: the nodes it serves (none: all) and the resolutions it fits."""

    template: ReplyTemplate
    serves: tuple[str, ...]
    when: frozenset[str]


def read_toml(folder: str, name: str) -> dict[str, Any]:
    """A data file of this package."""
    text = resources.files("tickets.simulate").joinpath(folder, f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def read_branch(name: str) -> dict[str, Any]:
    """A top-level contact type with all its groups, also those in the file that continues it."""
    top = read_toml("phrases", name)
    more = read_toml("phrases", top["continued"])["groups"] if "continued" in top else []
    return {**top, "groups": [*top["groups"], *more]}


def contact_type_tree(*, with_new_product: bool = False) -> ContactTypeTree:
    """The tree at the start (version 1), or as it is once the new product has been launched (version 2).

    Ids are the written paths; every node has a description.
    """
    nodes: list[ContactType] = []
    for branch in (*BRANCHES, NEW_PRODUCT) if with_new_product else BRANCHES:
        top = read_branch(branch)
        nodes.append(_node(top, None))
        for group in top["groups"]:
            nodes.append(_node(group, top["name"]))
            nodes.extend(_node(leaf, SEPARATOR.join((top["name"], group["name"]))) for leaf in group["leaves"])
    return ContactTypeTree(nodes=tuple(nodes), version=2 if with_new_product else 1)


def reply_templates(*, with_new_product: bool = False) -> tuple[ReplyTemplate, ...]:
    """Every reply template; those of the new product only when asked."""
    start = {*(leaf.id for leaf in contact_type_tree().leaves())}
    return tuple(
        reply.template
        for reply in replies()
        if with_new_product or not reply.serves or start & set(reply.template.contact_types)
    )


@cache
def situations(*, new_product: bool = False) -> tuple[Situation, ...]:
    """The situations of the tree at the start, or those of the new product alone."""
    shared = read_toml("phrases", "shared")
    names = (NEW_PRODUCT,) if new_product else BRANCHES
    return tuple(situation for name in names for situation in _situations(read_branch(name), shared))


@cache
def situation_by_path() -> Mapping[str, Situation]:
    return {situation.path: situation for situation in (*situations(), *situations(new_product=True))}


@cache
def replies() -> tuple[Reply, ...]:
    leaves = tuple(situation_by_path())
    files = ("rides", "orders", "payments", "account", NEW_PRODUCT, "translations")
    return tuple(_reply(entry, leaves) for name in files for entry in read_toml("replies", name)["templates"])


@cache
def fitting_replies(path: str, resolution: str, language: str) -> tuple[ReplyTemplate, ...]:
    """The most specific templates an agent may send; English where the language has none. Raises InputError."""
    for spoken in (language, "en"):
        fitting = [
            (max((len(node) for node in reply.serves if _is_under(path, node)), default=0), reply.template)
            for reply in replies()
            if resolution in reply.when
            and reply.template.language == spoken
            and (not reply.serves or any(_is_under(path, node) for node in reply.serves))
        ]
        if fitting:
            depth = max(length for length, _ in fitting)
            return tuple(template for length, template in fitting if length == depth)
    raise InputError(
        f"no reply template serves {path!r} with the resolution {resolution!r}.",
        hint="Add one to the catalogue, or remove the resolution.",
    )


def _node(entry: Mapping[str, Any], parent: str | None) -> ContactType:
    path = entry["name"] if parent is None else SEPARATOR.join((parent, entry["name"]))
    return ContactType(id=path, name=entry["name"], parent=parent, description=entry["description"])


def _is_under(path: str, node: str) -> bool:
    return path == node or path.startswith(node + SEPARATOR)


def _situations(top: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Situation]:
    for group in top["groups"]:
        asks, vague = parse_all(group["asks"]), parse_all(group["vague"])
        for leaf in group["leaves"]:
            common = shared[leaf["shares"]] if "shares" in leaf else {"subjects": (), "says": ()}
            low, high = leaf["amount"]
            yield Situation(
                path=SEPARATOR.join((top["name"], group["name"], leaf["name"])),
                weight=float(leaf["weight"]),
                products=tuple(leaf.get("products", top["products"])),
                status=tuple(leaf["status"]),
                amount=(float(low), float(high)),
                platform=_optional(leaf.get("platform", top.get("platform"))),
                payment=_optional(leaf.get("payment")),
                member=leaf.get("member", False),
                policy=leaf["policy"],
                minutes=float(leaf["minutes"]),
                subjects=parse_all(leaf["subjects"]),
                says=parse_all(leaf["says"]),
                details=parse_all(leaf["details"]),
                asks=asks,
                vague=vague,
                shares=leaf.get("shares"),
                shared_subjects=parse_all(common["subjects"]),
                shared_says=parse_all(common["says"]),
            )


def _reply(entry: Mapping[str, Any], leaves: tuple[str, ...]) -> Reply:
    serves = tuple(entry.get("serves", ()))
    when = entry["when"]
    template = ReplyTemplate(
        template_id=entry["id"],
        title=entry["title"],
        body=entry["body"],
        language=entry.get("language", "en"),
        contact_types=tuple(leaf for leaf in leaves if any(_is_under(leaf, node) for node in serves)),
    )
    return Reply(template=template, serves=serves, when=frozenset((when,) if isinstance(when, str) else when))


def _optional(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
