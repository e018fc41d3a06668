"""The nightly retraining, in the shop's own time."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab
from tzlocal import get_localzone_name

from shopgraph.jobs import IO, NIGHTLY

LATE_SECONDS = 6 * 3600
"""A nightly retraining that no worker took up by then is dropped: the next night's learns from more."""


def local_zone() -> str:
    return get_localzone_name() or "UTC"


def beat_schedule(retrain_hour: int) -> dict[str, dict[str, Any]]:
    return {
        "nightly retraining": {
            "task": NIGHTLY,
            "schedule": crontab(minute="0", hour=str(retrain_hour)),
            "options": {"queue": IO, "expires": LATE_SECONDS},
        }
    }
