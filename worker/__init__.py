"""Nightly: keeps Flinks nightly refreshes as your events say they should be.

    from worker import publish              # tell Nightly what happened to an account
    celery -A worker worker                 # work

Both names are loaded when they are first used, so that a producer needs no worker's settings.
"""

from typing import Any

__all__ = ["celery", "publish"]  # noqa: F822 - loaded by __getattr__


def __getattr__(name: str) -> Any:
    """Load `publish` or the Celery app at its first use."""
    if name == "publish":
        from worker.events.publisher import publish  # noqa: PLC0415 - see above

        return publish
    if name == "celery":
        from worker.celery_worker.app import app  # noqa: PLC0415 - see above

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
