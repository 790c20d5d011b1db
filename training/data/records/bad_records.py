"""Ledger of the records that could not be used."""

import collections
import logging
import threading

from training.data.records import callback_errors

_log = logging.getLogger(__name__)


class TooManyBadRecords(callback_errors.CallbackError, RuntimeError):
    """More records are broken than `max_bad_share` allows."""


class BadRecords:
    """Counts distinct bad records by cause, names each once in the log.

    Args:
        total: number of records of the data set.
        max_share: share of them above which `add` raises.
    """

    def __init__(self, total: int, max_share: float) -> None:
        self.total = total
        self.max_share = max_share
        self.causes: dict[str, str] = {}
        self._lock = threading.Lock()

    def counts(self) -> dict[str, int]:
        """Number of bad records by cause, the most frequent first."""
        return dict(collections.Counter(self.causes.values()).most_common())

    def add(self, name: str, cause: str) -> None:
        """Enters a record, unless it was entered before.

        Raises:
            TooManyBadRecords: with the counts by cause.
        """
        with self._lock:
            if name in self.causes:
                return
            self.causes[name] = cause
        _log.warning(
            "bad record %s: %s. Its place stays, without what is broken; so "
            "far %s of %d records",
            name,
            cause,
            self.counts(),
            self.total,
        )
        if len(self.causes) > self.max_share * self.total:
            raise TooManyBadRecords(
                f"{len(self.causes)} of {self.total} records are bad, more "
                f"than max_bad_share = {self.max_share:g}. By cause: "
                f"{self.counts()}; the last one was {name}. Prepare the data "
                "set again, or raise data.max_bad_share."
            )
