"""Nightly: keeps Flinks nightly refreshes as your events say they should be.

    from worker import publish              # publish an event of an account
    celery -A worker worker                 # run a worker

Both names load at first use, so that a producer does not need a worker's settings.
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
