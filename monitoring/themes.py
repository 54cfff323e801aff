"""New themes: groups of tickets about something that no contact type stands for.

Unsure and overridden tickets of the reference and of the current window are clustered together, without regard to
where they come from (HDBSCAN: Campello, Moulavi and Sander 2013). A cluster is a theme when far more of it is current
than chance explains (Fisher's exact test): on quiet days both windows are draws from the same tickets, so the test
says how often a theme is found where there is none. A cluster that is close to what the reference holds is an
existing contact type that grew, and is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.policy import ThemeLimits
from monitoring.theme_words import snippet, theme_name, theme_words
from monitoring.windows import Window, sample

Doubles = NDArray[np.float64]
Rows = NDArray[np.int64]
_EXAMPLES = 5
_NEAREST = 3  # contact types told of a theme
_NEIGHBOURS = 3  # that make a place dense
_ONE = 0.75  # cosine of the centroids of what is one thing
_CLOSER = 1.15  # times the cosine to any ticket of the reference
_BLOCK = 2000
_ROUNDS = 2  # of gathering tickets around a theme's centroid


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTheme:
    """A theme in one window. `rows` are its tickets there, most typical first; `nearest` holds the contact types they
    got, with their shares; `p_value` is before correction."""

    name: str
    words: tuple[str, ...]
    rows: Rows
    examples: tuple[Mapping[str, str], ...]
    nearest: Mapping[str, float]
    centroid: Doubles
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pool:
    """What is clustered: rows of the reference and of the current window, and the embeddings of both, of length 1.

    `closest` is each current ticket's cosine to the nearest ticket of the reference. Tickets with `usual` and more are
    as close to what is known as most of the reference's unsure tickets are to each other: a theme that is as close is
    a contact type that more people write about.
    """

    before: Rows
    now: Rows
    before_vectors: Doubles
    now_vectors: Doubles
    closest: Doubles
    usual: float


def find_themes(
    reference: Window,
    current: Window,
    *,
    overridden: Mapping[str, str | None],
    customers: Sequence[str] = (),
    limits: ThemeLimits | None = None,
    seed: int = 0,
) -> list[FoundTheme]:
    """The new themes of a window, most tickets first; the same ones every time. [] where there is too little to see.

    `overridden` are tickets that people gave another contact type than was suggested, with that type; `customers` says
    who wrote each ticket of the window, where known, so that one person who writes often makes no theme.
    """
    limits = limits or ThemeLimits()
    customers = customers or current.ticket_ids
    reference = sample(reference, limits.most, seed=seed)
    looked_at = np.sort(np.random.default_rng(seed).permutation(len(current))[: limits.most])
    if min(len(looked_at), len(reference)) < limits.least:
        return []
    pool = _unsure(reference, current, overridden.keys(), limits)
    pool = replace(pool, now=np.intersect1d(pool.now, looked_at))
    clusters = _cluster(pool, limits)
    themes = [
        (rows, p_value)
        for rows, p_value in _grown(clusters, pool, (len(reference), len(looked_at)), limits)
        if len({customers[row] for row in rows.tolist()}) >= limits.least
        and float(np.median(pool.closest[rows])) < pool.usual
    ]
    whole = _with_those_near(themes, pool)
    words = theme_words(current.texts, reference.texts, [rows for rows, _, _ in whole])
    found = [
        FoundTheme(
            name=theme_name(telling),
            words=telling,
            rows=rows,
            examples=_examples(current, rows, telling),
            nearest=_nearest(current, rows, overridden),
            centroid=centroid,
            p_value=p_value,
        )
        for (rows, centroid, p_value), telling in zip(whole, words, strict=True)
    ]
    return sorted(found, key=lambda theme: (-len(theme.rows), theme.name))


def _unsure(reference: Window, current: Window, overridden: Set[str], limits: ThemeLimits) -> _Pool:
    """The tickets that are looked at. The same rule for both windows: doubt as in the reference, or a wrong answer."""
    doubt = _doubt(reference)
    limit = float(np.quantile(doubt, 1 - limits.unsure))
    wrong = np.array(
        [
            true is not None and true != said
            for said, true in zip(reference.predicted, reference.contact_types or reference.predicted, strict=True)
        ]
    )
    judged = np.array([ticket_id in overridden for ticket_id in current.ticket_ids])
    before = np.flatnonzero((doubt >= limit) | wrong)
    before_vectors, now_vectors = _unit(reference.embeddings), _unit(current.embeddings)
    others = before_vectors[before] @ before_vectors.T
    others[np.arange(len(before)), before] = -1.0  # no ticket is its own neighbour
    return _Pool(
        before=before,
        now=np.flatnonzero((_doubt(current) >= limit) | judged),
        before_vectors=before_vectors,
        now_vectors=now_vectors,
        closest=_closest(now_vectors, before_vectors),
        usual=float(np.quantile(others.max(axis=1), limits.known)),
    )


def _closest(vectors: Doubles, others: Doubles) -> Doubles:
    """(n,) the greatest cosine to any of the others, some rows at a time: a window may be large."""
    starts = range(0, len(vectors), _BLOCK)
    return np.concatenate([(vectors[start : start + _BLOCK] @ others.T).max(axis=1) for start in starts])


def _doubt(window: Window) -> Doubles:
    doubt: Doubles = np.maximum(1 - window.probability, window.out_of_scope)
    return doubt


def _unit(vectors: NDArray[np.floating[Any]]) -> Doubles:
    longer = vectors.astype(np.float64)
    scaled: Doubles = longer / np.maximum(np.linalg.norm(longer, axis=1, keepdims=True), 1e-12)
    return scaled


def _cluster(pool: _Pool, limits: ThemeLimits) -> NDArray[np.int64]:
    """The cluster of each ticket of the pool, the reference's first; -1 for those in none.

    Leaves of the cluster tree are taken, since its larger branches join what is only alike in being unsure. Leaves
    are the dense middle of something, or several dense places in it: those that are nearly in the same place become
    one, and tickets around them join.
    """
    from sklearn.cluster import HDBSCAN

    vectors = np.concatenate([pool.before_vectors[pool.before], pool.now_vectors[pool.now]])
    least = max(limits.least, int(limits.least_share * len(vectors)))
    if len(vectors) <= least:
        return np.full(len(vectors), -1, dtype=np.int64)
    cosines = vectors @ vectors.T
    distances = np.sqrt(np.maximum(0.0, 2 - 2 * cosines))
    np.fill_diagonal(distances, 0.0)
    leaves: NDArray[np.int64] = HDBSCAN(
        min_cluster_size=least,
        min_samples=_NEIGHBOURS,
        cluster_selection_method="leaf",
        metric="precomputed",
        algorithm="brute",
        copy=False,
    ).fit_predict(distances)
    return _with_those_around(_merged(leaves, vectors), vectors)


def _merged(clusters: NDArray[np.int64], vectors: Doubles) -> NDArray[np.int64]:
    """Clusters whose centroids nearly agree become one, the closest first."""
    clusters = clusters.copy()
    while (count := int(clusters.max(initial=-1)) + 1) > 1:
        centroids = _centroids([np.flatnonzero(clusters == cluster) for cluster in range(count)], vectors)
        cosines = centroids @ centroids.T - 2 * np.eye(count)
        kept, gone = sorted(divmod(int(cosines.argmax()), count))
        if cosines[kept, gone] < _ONE:
            break
        clusters[clusters == gone] = kept
        clusters[clusters > gone] -= 1
    return clusters


def _with_those_around(clusters: NDArray[np.int64], vectors: Doubles) -> NDArray[np.int64]:
    """Tickets in no cluster join the closest one if they are as close to its centroid as its own are."""
    count = int(clusters.max(initial=-1)) + 1
    if not count:
        return clusters
    members = [np.flatnonzero(clusters == cluster) for cluster in range(count)]
    cosines = vectors @ _centroids(members, vectors).T
    reach = np.array([cosines[rows, cluster].min() for cluster, rows in enumerate(members)])
    closest = cosines.argmax(axis=1)
    near = cosines.max(axis=1) >= reach[closest]
    return np.where((clusters < 0) & near, closest, clusters)


def _grown(
    clusters: NDArray[np.int64], pool: _Pool, sizes: tuple[int, int], limits: ThemeLimits
) -> list[tuple[Rows, float]]:
    """The current rows of each cluster that is far more frequent now than in the reference, and its p-value."""
    from scipy.stats import fisher_exact

    before, now = clusters[: len(pool.before)], clusters[len(pool.before) :]
    count = int(clusters.max(initial=-1)) + 1
    grown = []
    for cluster in range(count):
        rows = pool.now[now == cluster]
        earlier = int(np.sum(before == cluster))
        table = np.array([[len(rows), sizes[1] - len(rows)], [earlier, sizes[0] - earlier]])
        p_value = float(fisher_exact(table, alternative="greater").pvalue)
        often = len(rows) / sizes[1] >= limits.lift * earlier / sizes[0]
        if len(rows) >= limits.least and often and p_value <= limits.chance / count:
            grown.append((rows, p_value))
    return grown


def _with_those_near(themes: Sequence[tuple[Rows, float]], pool: _Pool) -> list[tuple[Rows, Doubles, float]]:
    """Each theme with all tickets of the window, sure ones too, that are clearly closer to it than to any ticket of the
    reference; most typical first. A cluster holds only the dense middle of what it is about."""
    if not themes:
        return []
    members = [rows for rows, _ in themes]
    for _ in range(_ROUNDS):
        cosines = pool.now_vectors @ _centroids(members, pool.now_vectors).T
        nearest = np.where(cosines.max(axis=1) > _CLOSER * pool.closest, cosines.argmax(axis=1), -1)
        for number, (rows, _) in enumerate(themes):
            nearest[rows] = number
        members = [np.flatnonzero(nearest == number) for number in range(len(themes))]
    centroids = _centroids(members, pool.now_vectors)
    ordered = [
        rows[np.argsort(-(pool.now_vectors[rows] @ centroid), kind="stable")]
        for rows, centroid in zip(members, centroids, strict=True)
    ]
    return [(rows, centroid, p) for rows, centroid, (_, p) in zip(ordered, centroids, themes, strict=True)]


def _centroids(members: Sequence[Rows], vectors: Doubles) -> Doubles:
    """(groups, width), of length 1."""
    return _unit(np.array([vectors[rows].mean(axis=0) for rows in members]))


def _examples(current: Window, rows: Rows, words: Sequence[str]) -> tuple[Mapping[str, str], ...]:
    """The most typical tickets whose texts differ."""
    shown: dict[str, str] = {}
    for row in rows.tolist():
        shown.setdefault(snippet(current.texts[row], words), current.ticket_ids[row])
        if len(shown) == _EXAMPLES:
            break
    return tuple({"ticket_id": ticket_id, "text": text} for text, ticket_id in shown.items())


def _nearest(current: Window, rows: Rows, overridden: Mapping[str, str | None]) -> dict[str, float]:
    """The contact types that most of the tickets got: from people where they corrected, else from the model."""
    given = Counter(overridden.get(current.ticket_ids[row]) or current.predicted[row] for row in rows.tolist())
    return {name: round(count / len(rows), 4) for name, count in sorted(given.items(), key=_most_first)[:_NEAREST]}


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
