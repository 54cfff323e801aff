"""Every setting, read from the environment here and nowhere else. All below this package receives values."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from pydantic import AliasChoices, BaseModel, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tickets.database import open_database
from tickets.errors import InputError
from tickets.workspace import Workspace
from triage.monitoring_settings import MonitoringSettings


class SparkSettings(BaseModel):
    """TRIAGE_SPARK__MASTER, __MEMORY, __EXECUTOR_MEMORY and __CONFIG."""

    master: str | None = Field(default=None, description="Spark master; two cores of this machine when not set.")
    memory: str | None = Field(default=None, description="Driver memory, such as 4g; 2g when not set.")
    executor_memory: str | None = Field(
        default=None, description="Executor memory; the cluster's default when not set."
    )
    config: dict[str, str] = Field(default_factory=dict, description="Any other Spark settings, as JSON.")


class HelpdeskSettings(BaseModel):
    """What TRIAGE_ZENDESK__*, TRIAGE_ZAMMAD__*, TRIAGE_CHATWOOT__* and TRIAGE_FRESHDESK__* share; docs/helpdesks.md."""

    url: str | None = Field(default=None, description="The helpdesk, such as https://company.zendesk.com.")
    token: SecretStr | None = Field(default=None, description="The token that writes back; an agent's is enough.")
    webhook_secret: SecretStr | None = Field(
        default=None, description="Proves webhooks; without it they are answered with 404."
    )
    max_age_seconds: float = Field(default=300, gt=0, description="Webhooks signed longer ago are refused.")
    write_back: str = Field(default="tags,note", description="By commas: tags, field, note; none for nothing.")
    contact_type_field: str = Field(default="", description="The ticket field of the contact type: its id or name.")
    field_values: dict[str, str] = Field(
        default_factory=dict, description="Contact type to the field's value, as JSON; the id where it has none."
    )
    tag_prefix: str = Field(default="triage_", description="Before the contact type in tags.")
    attributes: dict[str, str] = Field(
        default_factory=dict, description="Ticket attributes, as JSON: name to its place in the payload, with dots."
    )
    ticket_prefix: str = Field(default="", description="Before ticket ids, where helpdesks share a workspace.")

    @field_validator("write_back")
    @classmethod
    def _known_ways(cls, written: str) -> str:
        unknown = set(_by_commas(written)) - {"tags", "field", "note", "none"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known are tags, field, note, none")
        return written

    def ways(self) -> tuple[str, ...]:
        return tuple(way for way in _by_commas(self.write_back) if way != "none")


class ZendeskSettings(HelpdeskSettings):
    """TRIAGE_ZENDESK__*: URL, EMAIL and TOKEN serve the export too."""

    email: str | None = Field(default=None, description="Whose API token it is; unset for an OAuth token.")


class ChatwootSettings(HelpdeskSettings):
    """TRIAGE_CHATWOOT__*."""

    account: str = Field(default="", description="The account's number, as in its addresses.")
    url_token: SecretStr | None = Field(
        default=None, description="The webhook address's ?token=, for a Chatwoot before 4.11.2, which signs nothing."
    )


NIGHTS_LOOK_BACK = 60  # days, with room: quiet history takes 28 and its window, probation 14 before and after


class RetentionSettings(BaseModel):
    """TRIAGE_RETENTION__*: days that the night's last step keeps things; 0 keeps for ever. `in_lake` are those that
    the lake and the models lie under, the others rows of the operational database."""

    raw: int = Field(default=0, ge=0, description="Source rows as they came, personal data included.")
    quarantine: int = Field(default=0, ge=0, description="Rows refused, as they came.")
    answers: int = Field(default=0, ge=0, description="Suggestions, feedback and labels in the lake.")
    backlog: int = Field(default=30, ge=0, description="Nightly suggestions for open tickets.")
    manifests: int = Field(default=400, ge=0, description="What steps read and wrote; those that lineage needs stay.")
    reports: int = Field(default=180, ge=0, description="Monitoring reports.")
    models: int = Field(
        default=90, ge=0, description="Models that are neither champion, challenger nor a release kept."
    )
    releases_kept: int = Field(default=3, ge=0, description="Champions before the current one, whatever their age.")
    suggestions: int = Field(
        default=0,
        ge=0,
        description="Suggestions and feedback in the database, once a night brought them into the lake; 60 at least.",
    )
    deliveries: int = Field(default=30, ge=0, description="Webhook deliveries that are done, in the database.")
    audit: int = Field(default=730, ge=0, description="The audit log, in the database.")

    def in_lake(self) -> dict[str, int]:
        return self.model_dump(exclude={"releases_kept", "suggestions", "deliveries", "audit"})

    @field_validator("suggestions")
    @classmethod
    def _nights_look_back(cls, days: int) -> int:
        if 0 < days < NIGHTS_LOOK_BACK:
            raise ValueError(f"nights look back on suggestions of {NIGHTS_LOOK_BACK} days; say 0 to keep them for ever")
        return days


class TrackingSettings(BaseModel):
    """TRIAGE_TRACKING__SINKS."""

    sinks: str = Field(
        default="mlflow",
        description="Where runs are recorded, by commas: mlflow, tensorboard, wandb; none for the workspace alone.",
    )

    def names(self) -> tuple[str, ...]:
        return tuple(_by_commas(self.sinks))


class ServiceSettings(BaseModel):
    """TRIAGE_SERVICE__*: limits and times of one service process."""

    max_body_bytes: int = Field(default=1_000_000, ge=1_000, description="A larger request is refused with 413.")
    max_batch: int = Field(default=64, ge=1, description="Tickets in one POST /v1/suggestions/batch.")
    stream_max_lines: int = Field(default=1_000_000, ge=1, description="Tickets in one POST /v1/suggestions/stream.")
    stream_max_bytes: int = Field(default=2_000_000_000, ge=1, description="Bytes of one stream.")
    stream_ahead_bytes: int = Field(
        default=8_000_000, ge=1, description="Bytes of a stream that are read before they are answered."
    )
    stream_stall_seconds: float = Field(
        default=60.0, gt=0, description="A stream that neither sends nor reads for so long is ended."
    )
    longest_wait_seconds: float = Field(
        default=0.04, gt=0, description="What a ticket may wait for the model; a fuller queue refuses it with 503."
    )
    most_bulk: int = Field(default=2_000, ge=1, description="Tickets of batches that may wait for the model.")
    holdout_share: float = Field(
        default=0.0, ge=0, le=1, description="Of tickets whose suggestions are withheld, to measure what they do."
    )
    release_check_seconds: float = Field(default=1.0, gt=0, description="How often a new release is looked for.")
    retry_after_seconds: int = Field(default=5, ge=1, description="What a 503 tells the client to wait.")
    stop_seconds: int = Field(default=8, ge=1, description="How long requests under way may take at the end.")
    keep_alive_seconds: int = Field(
        default=65, ge=1, description="How long an idle connection is kept; longer than your balancer keeps it."
    )
    backlog: int = Field(default=2048, ge=1, description="Connections that wait to be taken.")


class LogSettings(BaseModel):
    """TRIAGE_LOG__LEVEL and TRIAGE_LOG__FORMAT: the log of `triage serve`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="info writes a line a request; warning does not."
    )
    format: Literal["json", "console"] = Field(default="json", description="One JSON object a line, or for a person.")


class AccessSettings(BaseModel):
    """TRIAGE_ACCESS__*: who is let in, and how often (docs/security.md)."""

    require_keys: bool = Field(default=True, description="Ask every request for an API key or a session.")
    open_to_network: bool = Field(
        default=False, description="Listen beyond this machine though no keys are required; needed to do both."
    )
    metrics: Literal["open", "agent", "labeler", "admin"] = Field(default="agent", description="Who reads /metrics.")
    session_hours: float = Field(default=12.0, gt=0, description="How long a browser stays signed in.")
    requests_per_minute: int = Field(default=30_000, ge=1, description="Of one key, in one process.")
    failures_per_minute: int = Field(default=30, ge=1, description="Wrong keys from one address.")
    max_requests: int = Field(default=500, ge=1, description="Requests under way at once.")
    body_seconds: float = Field(default=30.0, gt=0, description="For a request's body to arrive.")
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description='Addresses whose X-Forwarded-For and -Proto are believed, as JSON: ["10.0.0.5"].'
    )


class OidcSettings(BaseModel):
    """TRIAGE_OIDC__*: an identity provider whose bearer tokens are taken beside API keys."""

    issuer: str | None = Field(default=None, description="As it stands in the tokens; none are taken when not set.")
    audience: str = Field(default="triage", description="The audience that tokens must name.")
    jwks_url: str | None = Field(default=None, description="The provider's keys; asked of the issuer when not set.")
    role_claim: str = Field(default="roles", description="The claim that tells the role.")
    roles: dict[str, Literal["agent", "labeler", "admin"]] = Field(
        default={"agent": "agent", "labeler": "labeler", "admin": "admin"},
        description='Values of that claim and the role each gives, as JSON: {"support": "agent"}.',
    )


class PrivacySettings(BaseModel):
    """TRIAGE_PRIVACY__KEEP_TEXT."""

    keep_text: Literal["masked", "none"] = Field(
        default="masked", description="What the operational database keeps of tickets: masked text, or no words."
    )


class AlertSettings(BaseModel):
    """TRIAGE_ALERTS__*: who is told of alarms, rollbacks and retraining (docs/dashboard.md)."""

    webhook_url: SecretStr | None = Field(
        default=None, description="A Slack incoming webhook, or what takes the same JSON."
    )
    email_to: str = Field(default="", description="Who reads alerts by e-mail, by commas.")
    email_from: str = Field(default="", description="The sender of that mail; its first reader when not set.")
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The mail server, smtp://user:password@host:587 (STARTTLS) or smtps://; ?starttls=no for none.",
    )
    dashboard_url: str = Field(default="", description="The dashboard's address, for a link in alerts.")
    seconds: float = Field(default=10.0, gt=0, description="How long a webhook or a mail server may take.")

    def readers(self) -> tuple[str, ...]:
        return tuple(_by_commas(self.email_to))


class Settings(BaseSettings):
    """TRIAGE_* settings, nested with `__`."""

    model_config = SettingsConfigDict(env_prefix="TRIAGE_", env_nested_delimiter="__")

    workspace: Path = Field(default=Path("workspace"), description="The folder that holds everything of one tenant.")
    database_url: str | None = Field(
        default=None, description="PostgreSQL or SQLite; the workspace's SQLite when not set."
    )
    host: str = Field(default="127.0.0.1", description="Where the service listens; only this machine by default.")
    port: int = Field(default=8000, ge=0, le=65535, description="Its port; 0 takes any free one.")
    threads: int | None = Field(default=None, ge=1, description="Inferences at once; one a core when not set.")
    service: ServiceSettings = Field(default_factory=ServiceSettings)
    drain_seconds: float = Field(
        default=0.0, ge=0, description="After SIGTERM, how long requests are still taken while /readyz says 503."
    )
    log: LogSettings = Field(default_factory=LogSettings)
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "TRIAGE_OTLP_ENDPOINT"),
        description="Where traces are sent (OTLP over HTTP), such as http://collector:4318; nowhere when not set.",
    )
    spark: SparkSettings = Field(default_factory=SparkSettings)
    zendesk: ZendeskSettings = Field(default_factory=ZendeskSettings)
    zammad: HelpdeskSettings = Field(default_factory=HelpdeskSettings)
    chatwoot: ChatwootSettings = Field(default_factory=ChatwootSettings)
    freshdesk: HelpdeskSettings = Field(default_factory=HelpdeskSettings)
    frame_ancestors: str = Field(
        default="", description="Origins that may show /sidebar in a frame, by commas; none by default."
    )
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    monitoring: MonitoringSettings = Field(default_factory=MonitoringSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    privacy: PrivacySettings = Field(default_factory=PrivacySettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    nightly_import: Path | None = Field(
        default=None,
        description="A dataset.toml whose new files, rows or pages `triage nightly` imports first; none by default.",
    )
    source_url: SecretStr | None = Field(
        default=None, description='SQLAlchemy URL of the database that a dataset with format = "database" is read from.'
    )
    tracking_uri: str | None = Field(
        default=None,
        validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "TRIAGE_TRACKING_URI"),
        description="MLflow's store; the workspace's SQLite when not set.",
    )


# Set unless the person did. Nothing phones home. A tracking server that is away is given up in seconds. Threads that
# wait for others sleep instead of spinning, which makes training several times faster on a busy machine
# (docs/experiments.md).
_ENVIRONMENT: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "WANDB_MODE": "offline",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "passive",
    "GIT_PYTHON_REFRESH": "quiet",
}


def read_settings() -> Settings:
    """Read the environment. Raises InputError naming the variable that cannot be read."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TRIAGE_" + "__".join(str(part) for part in first["loc"]).upper()
        raise InputError(
            f"{name} is {first['input']!r}: {first['msg']}.",
            hint="Correct or unset it; docs/reference/settings.md lists every setting.",
        ) from error
    except SettingsError as error:
        raise InputError(
            f"a TRIAGE_ variable cannot be read: {error}.",
            hint="Nested settings have their own, such as TRIAGE_SPARK__MASTER.",
        ) from error


def _by_commas(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]


def frame_ancestors(settings: Settings) -> tuple[str, ...]:
    """Raises InputError for what is no origin."""
    origins = tuple(_by_commas(settings.frame_ancestors))
    for origin in origins:
        if not re.fullmatch(r"https?://(\*\.)?[A-Za-z0-9.-]+(:\d+)?", origin):
            raise InputError(
                f"TRIAGE_FRAME_ANCESTORS has {origin!r}, which is no origin.",
                hint="Write origins as https://company.zendesk.com or https://*.example.com, without a path.",
            )
    return origins


def tracking_uri(settings: Settings, workspace: Workspace) -> str:
    return settings.tracking_uri or workspace.default_tracking_uri


def database_url(settings: Settings, workspace: Workspace) -> str:
    return settings.database_url or workspace.default_database_url


@contextmanager
def database(settings: Settings, workspace: Workspace) -> Iterator[sa.Engine]:
    """The operational database of the workspace, closed at the end. Raises MachineError."""
    engine = open_database(database_url(settings, workspace))
    try:
        yield engine
    finally:
        engine.dispose()
