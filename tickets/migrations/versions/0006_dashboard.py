"""Alerts that were sent; language, channel and arm of suggestions as columns, and an index that counts them by day."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_READ = {"language": "ticket", "channel": "ticket", "arm": "suggestion"}  # where each stands in the JSON
_BY_DAY = ["created_at", "contact_type", "language", "channel", "ticket_id"]


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("subject", sa.String(220), primary_key=True),
        sa.Column("channel", sa.String(20), primary_key=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
    )
    for name in _READ:
        op.add_column("suggestions", sa.Column(name, sa.Text(), nullable=True))
    sqlite = op.get_bind().dialect.name == "sqlite"
    read = "json_extract({place}, '$.{name}')" if sqlite else "{place} ->> '{name}'"
    filled = ", ".join(f"{name} = {read.format(place=place, name=name)}" for name, place in _READ.items())
    op.execute(f"UPDATE suggestions SET {filled}")
    op.create_index("ix_suggestions_by_day", "suggestions", _BY_DAY)


def downgrade() -> None:
    op.drop_index("ix_suggestions_by_day", "suggestions")
    with op.batch_alter_table("suggestions") as columns:
        for name in _READ:
            columns.drop_column(name)
    op.drop_table("alerts")
