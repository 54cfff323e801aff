"""A SQL query against a team's own database, read in batches through a server-side cursor: memory stays flat.

What a run reads begins after the watermark of the one before: the highest value of a column such as `updated_at`, bound
into the query as `:since` and kept in the import's manifest. A row changed since then arrives again, and counts.
A time later than the day after the import is no watermark: one wrong date would hide all that comes until then.
Order the query by the watermark and a key, and the same rows make the same bytes. Where transactions take long, read
again what was close: `updated_at > :since - interval '10 minutes'`; a ticket that arrives unchanged does no harm.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.sources.tabular import SourceRow, require_columns, source_row
from tickets.dataset import Dataset
from tickets.errors import DatasetError, InputError, SourceError
from tickets.source_options import Watermark

if TYPE_CHECKING:
    import sqlalchemy as sa

ROWS_IN_BATCH = 2_000
WATERMARK = "watermark "  # begins the name of such an input; the others are what was read


@dataclass
class Extraction:
    """A query about to be read once. `content` and `inputs` are complete when all its rows were."""

    dataset: Dataset
    engine: sa.Engine
    as_of: date
    since: Watermark | None
    highest: Watermark | None = None
    _digest: Any = field(default_factory=hashlib.sha256)

    @property
    def told(self) -> str:
        since = f" since {_written(self.since)}" if self.since is not None else ""
        return f"{self.engine.dialect.name} query{since}"

    @property
    def place(self) -> str:
        """What a second reading replaces: the same query from the same watermark."""
        told = [self.dataset.name, self.dataset.source.query, _written(self.since) if self.since is not None else ""]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @property
    def content(self) -> str:
        """Hash of the rows read."""
        return str(self._digest.hexdigest())

    @property
    def inputs(self) -> dict[str, str]:
        """For the manifest: the hash of the query's rows, and the watermark where the next import begins."""
        inputs = {f"query {self.place[:12]}": self.content}
        if self.highest is not None:
            inputs[_watermark_key(self.dataset)] = _written(self.highest)
        return inputs

    def rows(self) -> Iterator[SourceRow]:
        """The query's rows as they come, column -> value. Raises SourceError, without a word of the URL."""
        import sqlalchemy as sa

        options = self.dataset.source
        parameters = {"since": self.since} if self.since is not None else {}
        try:
            with self.engine.connect() as connection:
                # Read only where the database knows it, so that a query cannot change what it reads.
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.text("set transaction read only"))
                streaming = connection.execution_options(stream_results=True, max_row_buffer=ROWS_IN_BATCH)
                with streaming.execute(sa.text(options.query), parameters) as result:
                    names = list(result.keys())
                    _refuse_repeated(names)
                    require_columns(names, self.dataset, "the query's result")
                    place = self._watermark_place(names)
                    for batch in result.partitions(ROWS_IN_BATCH):
                        for values in batch:
                            if place is not None:
                                self._rise(values[place])
                            yield self._row(names, values)
        except sa.exc.SQLAlchemyError as error:
            cause = type(getattr(error, "orig", None) or error).__name__
            raise SourceError(
                f"the database failed: {cause}{_position(error)}.",
                hint="Try the query by hand with the same account; the address is TRIAGE_SOURCE_URL.",
            ) from None  # the driver's own words may hold the URL
        finally:
            self.engine.dispose()

    def _watermark_place(self, names: list[str]) -> int | None:
        column = self.dataset.source.watermark
        if column is not None and column not in names:
            raise DatasetError(
                f"the query has no column {column!r}, the watermark.", hint=f"It has {', '.join(names)}."
            )
        return names.index(column) if column is not None else None

    def _rise(self, value: Any) -> None:
        if value is None:
            return
        found = int(value) if isinstance(value, Decimal) else value
        if isinstance(found, datetime) and found.tzinfo:
            found = found.astimezone(UTC)
        if isinstance(found, bool) or not isinstance(found, str | int | date):
            raise DatasetError(
                f"the watermark {self.dataset.source.watermark!r} is a {type(found).__name__}.",
                hint="Choose a column of times, days, whole numbers or texts.",
            )
        if isinstance(found, date) and _day(found) > self.as_of + timedelta(days=1):
            return
        try:
            if self.highest is None or found > self.highest:  # type: ignore[operator]
                self.highest = found
        except TypeError as error:
            raise DatasetError(
                f"the watermark holds {type(found).__name__}, `since` is {type(self.highest).__name__}.",
                hint="Write `since` in dataset.toml as the column has it: a time with a zone for timestamptz.",
            ) from error

    def _row(self, names: list[str], values: Any) -> SourceRow:
        fields = {name: _plain(value) for name, value in zip(names, values, strict=True)}
        try:
            row = SourceRow(orjson.dumps(fields).decode())
        except TypeError:  # a whole number beyond 64 bits, half a character
            row = source_row(fields, None)
        self._digest.update(row.fields.encode())
        return row


def extract_query(dataset: Dataset, url: str, *, as_of: date, inputs: Mapping[str, str]) -> Extraction:
    """Make ready to read the dataset's query from where the last import stopped: `inputs` are those of its manifest.

    Raises InputError when the URL is none, or its driver is not installed.
    """
    import sqlalchemy as sa

    try:
        address = sa.make_url(url)
        if address.drivername in ("postgresql", "postgres"):
            address = address.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(address, poolclass=sa.pool.NullPool, hide_parameters=True)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError, ValueError):
        raise InputError(
            "TRIAGE_SOURCE_URL is no SQLAlchemy URL of an installed database driver.",
            hint="Write it as postgresql://user:password@host/database.",
        ) from None  # the message would hold the URL, and the URL a password
    since = dataset.source.since
    if (kept := inputs.get(_watermark_key(dataset))) is not None and since is not None:
        since = _read(kept, since)
    if isinstance(since, datetime):
        since = since.astimezone(UTC) if since.tzinfo else since
    return Extraction(dataset=dataset, engine=engine, as_of=as_of, since=since, highest=since)


def _refuse_repeated(names: Sequence[str]) -> None:
    """Of two columns with one name, one would hide the other."""
    if repeated := [name for name, times in Counter(names).items() if times > 1]:
        raise DatasetError(
            f"the query has more than one column {repeated[0]!r}.",
            hint="Tell them apart: select a.id as ticket_id, ...",
        )


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _watermark_key(dataset: Dataset) -> str:
    return f"{WATERMARK}{dataset.source.watermark}"


def _written(value: Watermark) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _read(kept: str, like: Watermark) -> Watermark:
    """A watermark as the manifest has it, in the type of dataset.toml's `since`."""
    try:
        match like:
            case datetime():
                return datetime.fromisoformat(kept)
            case date():
                return date.fromisoformat(kept)
            case int():
                return int(kept)
    except ValueError as error:
        raise DatasetError(
            f"the last import stopped at {kept!r}, and `since` is {like!r}.",
            hint="Write `since` in dataset.toml in the type it had.",
        ) from error
    return kept


def _plain(value: Any) -> Any:
    """What JSON has no word for: exact numbers as text, bytes as base64, times in ISO 8601."""
    if value is None or isinstance(value, str | int | bool):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value.isoformat() if isinstance(value, date | time) else str(value)


def _position(error: Exception) -> str:
    """The server's own short message, which knows the query and not the URL; "" when there is none."""
    diagnosis = getattr(getattr(error, "orig", None), "diag", None)
    message = getattr(diagnosis, "message_primary", None)
    return f": {message}" if message else ""
