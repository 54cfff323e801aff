"""Limits of detectors, from A/A replays."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "detector_limits",
        sa.Column("model_version", sa.String(200), primary_key=True),
        sa.Column("window_days", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("window_tickets", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("knobs", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("limits", sa.JSON(), nullable=False),
        sa.Column("p_limit", sa.Float(), nullable=False),
        sa.Column("replays", sa.Integer(), nullable=False),
        sa.Column("history_days", sa.Integer(), nullable=False),
        sa.Column("history_tickets", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("detector_limits")
