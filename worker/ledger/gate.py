"""What a person may do to an instance's gate: close it, or open it again."""

from worker.ledger.connection import BytesRedis


class GateKeeper:
    """Opens and closes gates by hand; the scripts do the rest."""

    def __init__(self, client: BytesRedis) -> None:
        self.redis = client

    def open(self, instance: str, *, by: str) -> None:
        """Open the gate, forget which configurations were refused (each may try one call again), and end a pause."""
        with self.redis.pipeline() as pipeline:
            pipeline.delete(f"nightly:gate:{instance}", f"nightly:configs:{instance}")
            pipeline.hdel(f"nightly:rate:{instance}", "paused_until")
            self._change(pipeline, instance, "open", by, "")
            pipeline.execute()

    def close(self, instance: str, *, by: str, reason: str) -> None:
        """Close the gate: no call is made until it is opened by hand. Events are recorded as ever."""
        with self.redis.pipeline() as pipeline:
            pipeline.delete(f"nightly:gate:{instance}")
            self._change(pipeline, instance, "closed", by, reason)
            pipeline.execute()

    def _change(self, pipeline: BytesRedis, instance: str, state: str, by: str, why: str) -> None:
        now_ms = "".join(f"{part:0>6}" for part in map(str, self.redis.time()))[:-3]
        fields = {"state": state, "cause": "operator", "by": by, "detail": why, "changed_at": now_ms}
        pipeline.hset(f"nightly:gate:{instance}", mapping=fields)
        pipeline.sadd("nightly:instances", instance)
