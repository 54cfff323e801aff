"""The official export of the Consumer Complaint Database: is this it, and if not, what is it?"""

from __future__ import annotations

from pathlib import Path

from pipeline.sources.tabular import require_columns
from tickets.dataset import Dataset
from tickets.errors import SourceError

OFFICIAL_HEADER = (
    "Date received",
    "Product",
    "Sub-product",
    "Issue",
    "Sub-issue",
    "Consumer complaint narrative",
    "Company public response",
    "Company",
    "State",
    "ZIP code",
    "Tags",
    "Consumer consent provided?",
    "Submitted via",
    "Date sent to company",
    "Company response to consumer",
    "Timely response?",
    "Consumer disputed?",
    "Complaint ID",
)
_API_NAMES = frozenset({"complaint_what_happened", "date_received", "complaint_id", "sub_product"})
_DOWNLOAD = "Download the CSV of all complaints at https://www.consumerfinance.gov/data-research/consumer-complaints/#download-the-data."


def check_header(header: list[str], path: Path, dataset: Dataset) -> None:
    """Raises SourceError when columns that we need are missing, saying which, and what the file seems to be.

    Columns of the official header that we do not use may be missing: the Bureau added and dropped some over the years.
    """
    if len(_API_NAMES.intersection(header)) >= 2:
        raise SourceError(
            f"{path.name} has the column names of the Bureau's search API, not of its CSV export.", hint=_DOWNLOAD
        )
    if not set(OFFICIAL_HEADER).intersection(header):
        raise SourceError(
            f"{path.name} has no column of the official export; it has {', '.join(header[:20])}.", hint=_DOWNLOAD
        )
    try:
        require_columns(header, dataset, path.name)
    except SourceError as error:
        absent = [column for column in OFFICIAL_HEADER if column not in header]
        raise SourceError(
            f"{error.message} Of the official header it has {len(OFFICIAL_HEADER) - len(absent)} columns of "
            f"{len(OFFICIAL_HEADER)} and lacks {', '.join(map(repr, absent))}.",
            hint=_DOWNLOAD,
        ) from error
