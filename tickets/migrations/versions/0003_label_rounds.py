"""Labels of several people, rounds of a ticket, labels taken back, gold and suspect items.

SQLite drops no constraint that has no name, and lets no table go that others refer to: both tables are made anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_TIME = sa.DateTime(timezone=True)
_ITEM = "item_id, ticket_id, share, priority, status, asked_at, run_id, claimed_by, claimed_at, ticket, suggestion"
_LABEL = "label_id, item_id, ticket_id, contact_type, template_id, labeler, at, share"
_STANDING = "withdrawn_at IS NULL"
_FINAL = f"final_at IS NOT NULL AND {_STANDING}"


def upgrade() -> None:
    _set_aside()
    op.create_table(
        "label_queue",
        *_item_columns(),
        sa.Column("round", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("needed", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("known_type", sa.Text(), nullable=True),
        sa.Column("doubt", sa.JSON(none_as_null=True), nullable=True),
        sa.UniqueConstraint("ticket_id", "round", name="one_item_a_round"),
    )
    op.create_table(
        "labels",
        *_label_columns(),
        sa.Column("kind", sa.String(20), nullable=False, server_default="label"),
        sa.Column("seconds", sa.Float(), nullable=True),
        sa.Column("final_at", _TIME, nullable=True, index=True),
        sa.Column("withdrawn_at", _TIME, nullable=True),
    )
    op.create_index("ix_labels_item_id", "labels", ["item_id"])
    _unique("one_final_label", ["item_id"], _FINAL)
    _unique("one_label_a_person", ["item_id", "labeler"], _STANDING)
    op.execute(f"INSERT INTO label_queue ({_ITEM}, round, needed) SELECT {_ITEM}, 1, 1 FROM old_label_queue")
    op.execute(f"INSERT INTO labels ({_LABEL}, kind, final_at) SELECT {_LABEL}, 'label', at FROM old_labels")
    _forget()


def downgrade() -> None:
    """Each ticket keeps its first round, and the label that counts there."""
    _set_aside()
    op.create_table("label_queue", *_item_columns(), sa.UniqueConstraint("ticket_id"))
    op.create_table("labels", *_label_columns(), sa.UniqueConstraint("item_id"))
    op.execute(f"INSERT INTO label_queue ({_ITEM}) SELECT {_ITEM} FROM old_label_queue WHERE round = 1")
    first = "item_id IN (SELECT item_id FROM label_queue)"
    op.execute(f"INSERT INTO labels ({_LABEL}) SELECT {_LABEL} FROM old_labels WHERE {_FINAL} AND {first}")
    _forget()


def _set_aside() -> None:
    for table in ("label_queue", "labels"):
        op.execute(f"CREATE TEMPORARY TABLE old_{table} AS SELECT * FROM {table}")
    for table in ("labels", "label_queue"):
        op.drop_table(table)


def _forget() -> None:
    for table in ("label_queue", "labels"):
        op.execute(f"DROP TABLE old_{table}")


def _unique(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "labels", columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _item_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("item_id", sa.String(200), primary_key=True),
        sa.Column("ticket_id", sa.String(200), nullable=False),
        sa.Column("share", sa.Text(), nullable=False),
        sa.Column("priority", sa.Float(), nullable=False),
        sa.Column("status", sa.String(20), nullable=False, index=True),
        sa.Column("asked_at", _TIME, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", _TIME, nullable=True),
        sa.Column("ticket", sa.JSON(), nullable=False),
        sa.Column("suggestion", sa.JSON(), nullable=True),
    ]


def _label_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("label_id", sa.String(200), primary_key=True),
        sa.Column("item_id", sa.String(200), sa.ForeignKey("label_queue.item_id"), nullable=False),
        sa.Column("ticket_id", sa.Text(), nullable=False, index=True),
        sa.Column("contact_type", sa.Text(), nullable=False),
        sa.Column("template_id", sa.Text(), nullable=True),
        sa.Column("labeler", sa.Text(), nullable=False),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("share", sa.Text(), nullable=False),
    ]
