"""What is done every night, in the shop's own time, and the look for newcomers every other second."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab
from tzlocal import get_localzone_name

from shopgraph.jobs import CPU, ENCODE_NEW, IO, NIGHTLY, RANK_AHEAD

LATE_SECONDS = 6 * 3600
"""A nightly retraining that no worker took up by then is dropped: the next night's learns from more."""

ENCODE_SECONDS = 2.0
"""Between two looks for products and users without a vector; one that no worker took up by the next is dropped."""


RANK_HOURS = 3
"""After the retraining's hour: by then the release of the night serves, or the one before goes on."""


def local_zone() -> str:
    return get_localzone_name() or "UTC"


def beat_schedule(retrain_hour: int) -> dict[str, dict[str, Any]]:
    return {
        "nightly retraining": {
            "task": NIGHTLY,
            "schedule": crontab(minute="0", hour=str(retrain_hour)),
            "options": {"queue": IO, "expires": LATE_SECONDS},
        },
        "lists ranked ahead": {
            "task": RANK_AHEAD,
            "schedule": crontab(minute="0", hour=str((retrain_hour + RANK_HOURS) % 24)),
            "options": {"queue": CPU, "expires": LATE_SECONDS},
        },
        "newcomers": {
            "task": ENCODE_NEW,
            "schedule": ENCODE_SECONDS,
            "options": {"queue": IO, "expires": ENCODE_SECONDS},
        },
    }
