"""With SEAL_TO, no loginId from HTTP is in Redis in clear; where sealing is required, none is accepted in clear."""

import json

import pytest
from redis import Redis

from tests.http_events import BATCH, LOGIN, Producer, event
from tests.integration.web.webhook.conftest import Serve, events
from tests.leaks import leaks
from worker.vault.sealed_box import OpeningKeys

KEYS = OpeningKeys([b"k" * 32])
SEAL_TO = str(KEYS.public[0])


def everything_in(client: Redis) -> list[tuple[str, bytes]]:
    return [("stream", repr(client.xrange(key)).encode()) for key in client.keys("*")]


@pytest.fixture
def sealing(serve: Serve) -> Producer:
    return serve(seal_to=SEAL_TO, require_sealed=True)


def test_every_login_id_is_sealed_before_it_is_added_to_the_stream(sealing: Producer, redis_client: Redis) -> None:
    batch = [event(id=f"evt-{number}", comment=LOGIN) for number in range(3)]
    assert sealing.send(batch).json() == {"accepted": 3}
    assert sealing.send(event(data={"loginId": LOGIN, "instance": "acme"})).status_code == 202
    found = [one["data"] for one in events(redis_client)]
    assert [KEYS.open(data.pop("sealedLoginId")) for data in found] == [LOGIN] * 4
    assert found == [{}, {}, {}, {"instance": "acme"}]
    assert leaks([LOGIN], everything_in(redis_client)) == []


@pytest.mark.parametrize("name", ["id", "source", "subject"])
def test_a_login_id_in_another_field_cannot_be_sealed_and_is_refused(
    sealing: Producer, redis_client: Redis, name: str
) -> None:
    refused = sealing.send(event(**{name: f"link-{LOGIN.upper()}"}))
    assert refused.status_code == 422
    fields = [{"field": name, "reason": "contains the loginId in clear, which is a secret"}]
    assert refused.json()["errors"][0]["fields"] == fields
    assert LOGIN not in refused.text
    assert not redis_client.keys("*")


def test_a_batch_that_sealing_makes_too_long_is_refused_whole(sealing: Producer, redis_client: Redis) -> None:
    long, login_id = "\u4e00" * 250, "\U00020000" * 100
    batch = [event(id=f"{number}{long}", subject=long, data={"loginId": login_id}) for number in range(500)]
    body = json.dumps(batch, ensure_ascii=False).encode()
    assert len(body) < 1_048_576
    refused = sealing.send(body, media_type=BATCH)
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert "once its loginIds are sealed" in refused.json()["detail"]
    assert not redis_client.keys("*")
    half = json.dumps(batch[:250], ensure_ascii=False).encode()
    assert sealing.send(half, media_type=BATCH).json() == {"accepted": 250}


def test_without_a_public_key_a_login_id_in_clear_is_refused_where_it_must_be_sealed(
    serve: Serve, redis_client: Redis
) -> None:
    refused = serve(require_sealed=True).send(event())
    assert refused.status_code == 422
    fields = [
        {
            "field": "data.loginId",
            "reason": "must be sealed to the key of `nightly keys public`, as REQUIRE_SEALED is set",
        }
    ]
    assert refused.json()["errors"] == [{"index": 0, "code": "invalid_event", "fields": fields}]
    assert not redis_client.keys("*")
