"""The operational database: suggestions, feedback, labels, keys, monitoring runs. SQLite or, in production, PostgreSQL.

The tables are declared here once; `migrations/` holds the one history that brings either database to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from tickets.errors import MachineError

metadata = sa.MetaData()
_PATIENCE_SECONDS = 5  # for a connection
_MIGRATING = 7418529630  # a lock; those of tickets/api_keys.py and tickets/webhook_deliveries.py are other numbers
_MIGRATIONS = Path(__file__).with_name("migrations")


class UtcTime(TypeDecorator[datetime]):
    """Times go in with a zone and come out in UTC, on SQLite too, which keeps no zones. Raises ValueError if naive."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(200), primary_key=True)


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def _time(name: str, *, nullable: bool = False, index: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, UtcTime, nullable=nullable, index=index)


suggestions = sa.Table(
    "suggestions",
    metadata,
    _key("suggestion_id"),
    sa.Column("ticket_id", sa.Text, nullable=False, index=True),
    _time("created_at", index=True),
    _text("model_version"),
    _text("contact_type", nullable=True),
    sa.Column("probability", sa.Float),
    sa.Column("abstained", sa.Boolean, nullable=False),
    sa.Column("ticket", sa.JSON, nullable=False),
    sa.Column("suggestion", sa.JSON, nullable=False),
    _text("language", nullable=True),  # these three stand in the JSON too; here they are counted fast
    _text("channel", nullable=True),
    _text("arm", nullable=True),
    # All that counting tickets by day asks for, so that no ticket is read for it.
    sa.Index("ix_suggestions_by_day", "created_at", "contact_type", "language", "channel", "ticket_id"),
)
feedback = sa.Table(
    "feedback",
    metadata,
    _key("feedback_id"),
    sa.Column("suggestion_id", sa.String(200), sa.ForeignKey("suggestions.suggestion_id"), nullable=False, index=True),
    sa.Column("ticket_id", sa.Text, nullable=False, index=True),
    _text("action"),
    _time("at", index=True),
    _text("contact_type", nullable=True),
    _text("template_id", nullable=True),
    sa.Column("edit_distance", sa.Float),
    sa.Column("handle_seconds", sa.Float),
    _text("agent", nullable=True),
    _time("withdrawn_at", nullable=True),  # taken back by the agent; the row stays, readers pass it over
)
challenger_answers = sa.Table(  # what a shadow said of a ticket that the champion answered
    "challenger_answers",
    metadata,
    sa.Column("suggestion_id", sa.String(200), sa.ForeignKey("suggestions.suggestion_id"), primary_key=True),
    sa.Column("model_version", sa.String(200), primary_key=True),
    _time("at", index=True),
    _text("contact_type", nullable=True),  # the first; None where it had none
    sa.Column("probability", sa.Float),
    sa.Column("abstained", sa.Boolean, nullable=False),
    sa.Column("agreed", sa.Boolean, nullable=False),  # its first contact type is the champion's
)
label_queue = sa.Table(  # tickets that people are asked to label; a ticket may be asked about again in a later round
    "label_queue",
    metadata,
    _key("item_id"),
    sa.Column("ticket_id", sa.String(200), nullable=False),
    # What has a default is left out by the version before, which goes on writing while replicas are upgraded.
    sa.Column("round", sa.Integer, nullable=False, server_default="1"),  # 1 is the first
    _text("share"),  # unsure | diverse | random | theme | suspect | gold: why it was asked
    sa.Column("needed", sa.Integer, nullable=False, server_default="1"),  # labels, of as many people
    sa.Column("priority", sa.Float, nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),  # open | claimed | disputed | done | skipped
    _time("asked_at"),
    _text("run_id", nullable=True),
    _text("claimed_by", nullable=True),
    _time("claimed_at", nullable=True),
    sa.Column("ticket", sa.JSON, nullable=False),
    sa.Column("suggestion", sa.JSON),
    _text("known_type", nullable=True),  # of gold its answer, of a suspect the doubted label, of a theme its type
    sa.Column("doubt", sa.JSON(none_as_null=True)),  # of a suspect: what the model says instead, and how surely
    sa.UniqueConstraint("ticket_id", "round", name="one_item_a_round"),
)
_STANDING = "withdrawn_at IS NULL"
_FINAL = f"final_at IS NOT NULL AND {_STANDING}"
labels = sa.Table(
    "labels",
    metadata,
    _key("label_id"),
    sa.Column("item_id", sa.String(200), sa.ForeignKey("label_queue.item_id"), nullable=False, index=True),
    sa.Column("ticket_id", sa.Text, nullable=False, index=True),
    _text("contact_type"),
    _text("template_id", nullable=True),
    _text("labeler"),
    _time("at", index=True),
    _text("share"),
    sa.Column("kind", sa.String(20), nullable=False, server_default="label"),  # label | adjudication
    sa.Column("seconds", sa.Float),  # what it took, where that is known
    _time("final_at", nullable=True, index=True),  # when it became what counts of its item; never for gold
    _time("withdrawn_at", nullable=True),  # taken back; the row stays, readers pass it over
    # Whatever processes do at once: one label of an item counts, and a person has one word in it.
    sa.Index("one_final_label", "item_id", unique=True, sqlite_where=sa.text(_FINAL), postgresql_where=sa.text(_FINAL)),
    sa.Index(
        "one_label_a_person",
        "item_id",
        "labeler",
        unique=True,
        sqlite_where=sa.text(_STANDING),
        postgresql_where=sa.text(_STANDING),
    ),
)
monitor_runs = sa.Table(
    "monitor_runs",
    metadata,
    _key("run_id"),
    sa.Column("as_of", sa.String(10), nullable=False, index=True),
    _time("started_at"),
    sa.Column("seconds", sa.Float, nullable=False),
    _text("model_version"),
    _text("status"),  # quiet | alarm | unknown
    sa.Column("windows", sa.JSON, nullable=False),  # reference and current: from, until, tickets
    sa.Column("summary", sa.JSON, nullable=False),  # figures for the dashboard, name -> number or text
    _text("report", nullable=True),  # path of the Evidently JSON, relative to the workspace
)
detector_results = sa.Table(
    "detector_results",
    metadata,
    sa.Column("run_id", sa.String(200), sa.ForeignKey("monitor_runs.run_id"), primary_key=True),
    _key("detector"),
    sa.Column("statistic", sa.Float),
    sa.Column("limit", sa.Float),
    sa.Column("p_value", sa.Float),
    sa.Column("drifted", sa.Boolean, nullable=False),
    _text("status"),  # ok | drifted | unknown
    sa.Column("details", sa.JSON, nullable=False),  # sample sizes, interval, what moved
)
detector_limits = sa.Table(  # from A/A replays of quiet history, by model and size of window
    "detector_limits",
    metadata,
    _key("model_version"),
    sa.Column("window_days", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("window_tickets", sa.Integer, primary_key=True, autoincrement=False),
    _text("knobs"),  # what else they depend on
    _time("made_at"),
    sa.Column("limits", sa.JSON, nullable=False),  # detector -> statistic
    sa.Column("p_limit", sa.Float, nullable=False),
    sa.Column("replays", sa.Integer, nullable=False),
    sa.Column("history_days", sa.Integer, nullable=False),
    sa.Column("history_tickets", sa.Integer, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
)
alarms = sa.Table(
    "alarms",
    metadata,
    _key("alarm_id"),
    sa.Column("run_id", sa.String(200), sa.ForeignKey("monitor_runs.run_id"), nullable=False, index=True),
    _text("detector"),
    _text("severity"),  # warning | critical
    _text("message"),
    _time("raised_at", index=True),
    _time("closed_at", nullable=True),
    sa.Column("details", sa.JSON, nullable=False),
)
themes = sa.Table(  # groups of unsure tickets about something that no contact type stands for
    "themes",
    metadata,
    _key("theme_id"),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("status", sa.String(20), nullable=False, index=True),  # open | accepted | dismissed
    sa.Column("words", sa.JSON, nullable=False),  # the words that tell it from all other tickets, most telling first
    sa.Column("tickets", sa.Integer, nullable=False),  # of the window it was last found in
    sa.Column("share", sa.Float, nullable=False),  # of all tickets of that window
    sa.Column("days", sa.JSON, nullable=False),  # day -> its tickets on that day
    sa.Column("examples", sa.JSON, nullable=False),  # the most typical ones: ticket_id, text
    sa.Column("ticket_ids", sa.JSON, nullable=False),  # most typical first
    sa.Column("nearest", sa.JSON, nullable=False),  # contact type -> share of its tickets
    sa.Column("centroid", sa.JSON, nullable=False),
    _text("model_version"),  # whose embeddings the centroid is made of
    _time("first_seen"),
    _time("last_seen"),
    _text("contact_type", nullable=True),  # what it was accepted as
    _text("decided_by", nullable=True),
    _time("decided_at", nullable=True),
    _text("run_id"),  # the run that found it last
)
model_events = sa.Table(  # the model's timeline
    "model_events",
    metadata,
    _key("event_id"),
    _time("at", index=True),
    _text("kind"),  # trained | promoted | rejected | rolled back | retrain decided
    _text("model_version", nullable=True),
    sa.Column("details", sa.JSON, nullable=False),
)
alerts = sa.Table(  # what was told to whom: a subject once a channel
    "alerts",
    metadata,
    sa.Column("subject", sa.String(220), primary_key=True),  # alarm:<alarm_id> | event:<event_id>
    sa.Column("channel", sa.String(20), primary_key=True),  # webhook | e-mail
    _text("status"),  # sent | failed
    _time("at", index=True),  # of the last attempt
    sa.Column("attempts", sa.Integer, nullable=False),
    _text("reason", nullable=True),  # why it failed; holds no ticket text, no address
)
api_keys = sa.Table(
    "api_keys",
    metadata,
    _key("key_id"),
    sa.Column("name", sa.String(200), nullable=False, index=True),
    sa.Column("role", sa.String(20), nullable=False),  # agent | labeler | admin
    sa.Column("shared", sa.Boolean, nullable=False),  # used by several people, who say their names themselves
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # SHA-256 of the key, hexadecimal
    _time("created_at"),
    _time("expires_at", nullable=True),
    _time("revoked_at", nullable=True),
    _time("last_used_at", nullable=True),
)
audit_log = sa.Table(  # what administrators did, and what was refused to whom
    "audit_log",
    metadata,
    _key("event_id"),
    _time("at", index=True),
    _text("actor"),
    _text("action"),
    _text("target", nullable=True),
    _text("request_id", nullable=True),
    sa.Column("details", sa.JSON, nullable=False),
)
webhook_deliveries = sa.Table(  # each is taken once, however often it arrives
    "webhook_deliveries",
    metadata,
    sa.Column("helpdesk", sa.String(40), primary_key=True),
    _key("delivery_id"),
    _time("at", index=True),
    _text("ticket_id", nullable=True),
    _text("status"),  # taken | written back | withheld | feedback | failed
    sa.Column("suggestion_id", sa.String(200), index=True),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    _time("due_at", nullable=True, index=True),  # when a taken delivery is worked on next; none once it is done
    _text("reason", nullable=True),  # why it failed; holds no ticket text
    sa.Column("ticket", sa.JSON(none_as_null=True)),  # as it came, until the delivery is done
)


def open_database(url: str) -> sa.Engine:
    """An engine for `sqlite:///file` or `postgresql://...`, brought to the newest schema. Raises MachineError."""
    address = _address(url)
    with _told(address):
        # Parameters hold ticket texts, which belong in no log.
        arguments = _connect_arguments(address)
        engine = sa.create_engine(address, pool_pre_ping=True, connect_args=arguments, hide_parameters=True)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _prepare_sqlite)
        upgrade(engine)
    return engine


def _address(url: str) -> sa.URL:
    """The usual `postgresql://` means psycopg 3 here. Raises MachineError, which repeats nothing of what cannot be
    read: an odd character in a password is the usual reason, and then any part may be the password."""
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            url = "postgresql+psycopg://" + url.removeprefix(prefix)
    try:
        return sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise MachineError(
            "TRIAGE_DATABASE_URL is no address of a database.",
            hint="Write postgresql://user:password@host:5432/name or sqlite:///file; encode odd characters (@ is %40).",
        ) from None


def _connect_arguments(address: sa.URL) -> dict[str, Any]:
    """A server that does not answer is given up on in seconds, unless the address says how long to wait."""
    patient = address.get_backend_name() != "postgresql" or "connect_timeout" in address.query
    return {} if patient else {"connect_timeout": _PATIENCE_SECONDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFound:
    """What answers at an address: sqlite or postgresql, whether it is there, and its schema's revision beside ours."""

    kind: str
    there: bool
    revision: str | None
    newest: str


def probe_database(url: str) -> DatabaseFound:
    """Look at the database at `url`; changes nothing in it. Raises MachineError."""
    newest = max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    address = _address(url)
    with _told(address):
        kind = address.get_backend_name()
        if kind == "sqlite" and not Path(address.database or "").is_file():
            return DatabaseFound(kind=kind, there=False, revision=None, newest=newest)
        engine = sa.create_engine(address, connect_args=_connect_arguments(address))
        try:
            with engine.connect() as connection:
                known = sa.inspect(connection).has_table("alembic_version")
                revision = connection.scalar(sa.text("SELECT version_num FROM alembic_version")) if known else None
            return DatabaseFound(kind=kind, there=True, revision=revision, newest=newest)
        finally:
            engine.dispose()


@contextmanager
def _told(address: sa.URL) -> Iterator[None]:
    """Whatever keeps the database from opening, as one MachineError without the password."""
    try:
        yield
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        shown = address.set(drivername=address.get_backend_name()).render_as_string(hide_password=True)
        raise MachineError(
            f"cannot open the database {shown}: {_first_line(error)}.",
            hint="Check TRIAGE_DATABASE_URL, that the server runs, and that this user may create tables.",
        ) from error


@contextmanager
def alone(engine: sa.Engine, lock: int) -> Iterator[sa.Connection]:
    """A transaction in which no other of the same lock reads or writes; `lock` is any fixed number. SQLite lets nobody
    else write at all."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
        else:
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        yield connection


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Run the migrations. Two processes may start at once: the second waits, and finds nothing left to do."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with alone(engine, _MIGRATING) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _first_line(error: BaseException) -> str:
    """Without the driver's name before it."""
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    return re.sub(r"^\([\w.]+\) ", "", said).rstrip(".")
