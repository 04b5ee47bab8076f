"""`publish(replicas=...)` on a real Redis: an event that no replica confirmed is reported and stays in the stream."""

import pytest
from redis import Redis

from worker.errors import NotReplicated
from worker.events import publisher as producer
from worker.events.channels import STREAM
from worker.redis_client.connect import connect


def test_an_event_that_no_replica_confirmed_is_distinguished_from_a_safe_one(
    redis_url: str, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "REPLICAS_WITHIN_MS", 50)
    with connect(redis_url) as client:
        with pytest.raises(NotReplicated, match=r"^0 of 1 replicas"):
            producer.publish("linked", login_id="login-1", client=client, replicas=1)
        producer.publish("linked", login_id="login-1", client=client)
    assert redis_client.xlen(STREAM) == 2
