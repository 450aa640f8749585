"""The one place that asks what time it is."""

import datetime as dt


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
