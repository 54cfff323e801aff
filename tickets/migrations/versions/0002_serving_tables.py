"""API keys, the audit log, webhook deliveries, what a shadow answered; feedback can be withdrawn."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("feedback", sa.Column("withdrawn_at", _TIME, nullable=True))
    op.create_table(
        "challenger_answers",
        sa.Column("suggestion_id", sa.String(200), sa.ForeignKey("suggestions.suggestion_id"), primary_key=True),
        sa.Column("model_version", sa.String(200), primary_key=True),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("contact_type", sa.Text(), nullable=True),
        sa.Column("probability", sa.Float(), nullable=True),
        sa.Column("abstained", sa.Boolean(), nullable=False),
        sa.Column("agreed", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(200), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, index=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("revoked_at", _TIME, nullable=True),
        sa.Column("last_used_at", _TIME, nullable=True),
    )
    op.create_table(
        "audit_log",
        sa.Column("event_id", sa.String(200), primary_key=True),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("details", sa.JSON(), nullable=False),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("helpdesk", sa.String(40), primary_key=True),
        sa.Column("delivery_id", sa.String(200), primary_key=True),
        sa.Column("at", _TIME, nullable=False, index=True),
        sa.Column("ticket_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("suggestion_id", sa.String(200), nullable=True, index=True),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("due_at", _TIME, nullable=True, index=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ticket", sa.JSON(none_as_null=True), nullable=True),
    )


def downgrade() -> None:
    for table in ("webhook_deliveries", "audit_log", "api_keys", "challenger_answers"):
        op.drop_table(table)
    with op.batch_alter_table("feedback") as columns:
        columns.drop_column("withdrawn_at")
