"""Keeps the pictures of the last 24 hours: the counts change once a minute, and pages ask every few seconds."""

from threading import Lock

from markupsafe import Markup

from worker.ledger.minutes import MINUTE_MS, Minutes
from worker.web.review.charts import STEP_MINUTES, day_picture


class DayPictures:
    """The picture of each instance, drawn once a minute; safe for threads."""

    def __init__(self, minutes: Minutes) -> None:
        self._minutes = minutes
        self._drawn: dict[str, tuple[int, Markup]] = {}
        self._lock = Lock()

    def picture(self, instance: str, now_ms: int) -> Markup:
        """Return the picture of one instance; raises redis.RedisError."""
        minute = now_ms // MINUTE_MS
        with self._lock:
            drawn_at, picture = self._drawn.get(instance, (None, Markup()))
        if drawn_at == minute:
            return picture
        picture = day_picture(self._minutes.series(step=STEP_MINUTES, instance=instance))
        with self._lock:
            kept = {name: drawn for name, drawn in self._drawn.items() if drawn[0] == minute}
            self._drawn = kept | {instance: (minute, picture)}
        return picture
