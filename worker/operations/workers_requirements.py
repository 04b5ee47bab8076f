"""What the workers require of an event, in a process that does not have their settings, such as the review page.

FLINKS_INSTANCES holds keys of Flinks, so the page does not get it; it asks the live workers for their instances.
"""

from worker.config.settings import Settings
from worker.errors import InvalidEvent
from worker.events.contract import LifecycleEvent, Requirements
from worker.events.worker_instances import WorkerInstances
from worker.redis_client.connect import BytesRedis


class WorkersRequirements(Requirements):
    """Requirements whose instances are those of the live workers, or any while no worker is alive."""

    __slots__ = ("_workers",)
    _workers: WorkerInstances

    def __init__(self, settings: Settings, client: BytesRedis) -> None:
        super().__init__(settings.event_max_ahead_seconds, None, settings.require_sealed)
        object.__setattr__(self, "_workers", WorkerInstances(client))  # a frozen dataclass takes no assignment

    def check(self, event: LifecycleEvent, *, is_sealed: bool, login_field: str = "loginId") -> None:
        """Check the event as the workers would; raises InvalidEvent, and redis.RedisError."""
        super().check(event, is_sealed=is_sealed, login_field=login_field)
        known = self._workers.find(event.instance)
        if known is not None and event.instance not in known:
            raise InvalidEvent("instance: is not one of the instances of the workers", code="unknown_instance")
