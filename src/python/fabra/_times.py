"""Times to the microsecond, without floats on the way."""

import datetime

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(value: datetime.datetime) -> int:
    """Microseconds since 1970. What is finer (pandas) is cut off."""
    delta = value - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def from_micros(micros: int) -> datetime.datetime:
    return EPOCH + datetime.timedelta(microseconds=micros)


def time_text(value: datetime.datetime) -> str:
    """As the server writes times: `2026-01-02T03:04:05.123456Z`, without a fraction where there is none."""
    return micros_text(to_micros(value))


def micros_text(micros: int) -> str:
    return from_micros(micros).replace(tzinfo=None).isoformat() + "Z"


def read_time(text: str) -> datetime.datetime:
    """Of the texts that the server writes."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=UTC)
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment
