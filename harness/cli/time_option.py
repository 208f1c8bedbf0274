"""Converts durations and times on the command line, such as 90m, 12h, 7d, 2w or 2026-11-30."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DAYS_MAX = timedelta.max.days
EXPECTED = "a number and a unit, such as 90m, 12h, 7d or 2w"


def duration(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> timedelta | None:
    """Convert the value of an option to a duration. None stays None."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([mhdw])", value.strip())
    if found is None:
        raise click.BadParameter(f"{value!r}: expected {EXPECTED}")
    try:
        return timedelta(**{UNITS[found[2]]: float(found[1])})
    except OverflowError:
        raise click.BadParameter(f"{value!r} is too long: expected at most {DAYS_MAX}d") from None


def moment(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> int | None:
    """Convert the value of an option to seconds since 1970. None stays None.

    The value is a duration, which is subtracted from now, or a date or time as ISO 8601 writes it.
    A time is in UTC unless it names another zone.
    """
    if value is None:
        return None
    if re.fullmatch(r"[\d.]+[mhdw]", value.strip()):
        ago = duration(context, parameter, value)
        assert ago is not None
        try:
            return int((datetime.now(UTC) - ago).timestamp())
        except OverflowError:
            raise click.BadParameter(f"{value!r} is before the year 1") from None
    try:
        at = datetime.fromisoformat(value.strip())
    except ValueError:
        raise click.BadParameter(
            f"{value!r}: expected {EXPECTED}, or a date such as 2026-11-30"
        ) from None
    return int(at.replace(tzinfo=at.tzinfo or UTC).timestamp())
