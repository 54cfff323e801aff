"""Reply templates told by the data alone: where each template id comes with the reply that was sent, the commonest is
its body."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeline.contact_type_reading import read_contact_type
from tickets.catalogue import read_templates, read_tree, write_templates
from tickets.records import ReplyTemplate
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def derive_templates(workspace: Workspace, given: DataFrame, *, uses: Iterable[tuple[str, str]], language: str) -> int:
    """Add a template for each id in `template_id` that the catalogue lacks; returns how many were added.

    Its body is the most frequent text of `reply` (the first in alphabetical order among equals), its contact types are
    those it was sent for.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    kept = read_templates(workspace)
    known = [template.template_id for template in kept]
    sent = given.filter("template_id is not null and reply is not null").filter(~F.col("template_id").isin(known))
    commonest = Window.partitionBy("template_id").orderBy(F.col("count").desc(), "reply")
    ranked = sent.groupBy("template_id", "reply").count().withColumn("rank", F.row_number().over(commonest))
    bodies = {row["template_id"]: row["reply"] for row in ranked.filter("rank = 1").collect()}
    if not bodies:
        return 0
    tree = read_tree(workspace)
    serves: dict[str, set[str]] = defaultdict(set)
    for template_id, written in sorted(uses):
        if contact_type := read_contact_type(written, tree).contact_type:
            serves[template_id].add(contact_type)
    added = [
        ReplyTemplate(
            template_id=name,
            title=name.replace("_", " ").strip().capitalize(),
            body=body,
            language=language,
            contact_types=tuple(sorted(serves[name])),
        )
        for name, body in sorted(bodies.items())
    ]
    write_templates(workspace, [*kept, *added])
    return len(added)
