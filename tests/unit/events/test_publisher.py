import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from worker.errors import InvalidEvent, SettingsError
from worker.events.contract import LifecycleEvent
from worker.events.preparation import read_event
from worker.events.publisher import BATCH, publish, publish_many
from worker.vault.vault import Vault


class FakeRedis:
    """Keeps the added entries; a pipeline is a list that is handed over at `execute`."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.workers: dict[bytes, bytes] = {}

    def hgetall(self, _: str) -> dict[bytes, bytes]:
        return self.workers

    def time(self) -> tuple[int, int]:
        return 1000, 0

    def pipeline(self, **_: object) -> "FakePipeline":
        return FakePipeline(self)

    def xadd(self, stream: str, fields: dict[str, bytes]) -> bytes:
        pipeline = self.pipeline()
        pipeline.xadd(stream, fields)
        return pipeline.execute()[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch]


class FakePipeline:
    def __init__(self, target: FakeRedis) -> None:
        self._target, self._waiting = target, []

    def xadd(self, stream: str, fields: dict[str, bytes]) -> None:
        assert stream == "account-events:stream"
        self._waiting.append(json.loads(fields["event"]))

    def execute(self) -> list[bytes]:
        self._target.batches.append(self._waiting)
        return [b"1-0" for _ in self._waiting]


FLAT = {"type": "account.linked", "login_id": "login-1", "occurred_at": "2026-11-22T10:00:00Z"}


def test_intake_can_read_a_published_event() -> None:
    client = FakeRedis()
    at = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=timezone(timedelta(hours=2)))
    sent_id = publish(
        "inactive", login_id="Zoë-1", occurred_at=at, account_id="cust-42", instance="acme", client=client
    )
    event = LifecycleEvent.from_cloudevent(client.events[0], "default")
    assert (event.login_id, event.instance, event.account_id, event.event_id) == ("Zoë-1", "acme", "cust-42", sent_id)
    assert not event.wants_active
    assert event.occurred_at == at


def test_without_an_instance_the_default_of_the_workers_applies() -> None:
    client = FakeRedis()
    publish("linked", login_id="login-1", client=client)
    assert LifecycleEvent.from_cloudevent(client.events[0], "their-default").instance == "their-default"


def test_an_event_defaults_to_the_current_time_and_a_fresh_id() -> None:
    client = FakeRedis()
    ids = {publish("linked", login_id="login-1", client=client) for _ in range(2)}
    assert len(ids) == 2
    age = datetime.now(UTC) - datetime.fromisoformat(client.events[0]["time"])
    assert timedelta(0) <= age < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"login_id": "  canary "}, "login_id"),
        ({"login_id": "canary\n"}, "login_id"),
        ({"occurred_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - naive is the mistake under test
        ({"occurred_at": "canary"}, "RFC 3339"),
        ({"account_id": ""}, "account_id"),
    ],
)
def test_an_event_that_no_worker_would_accept_is_not_sent_and_not_repeated(change: dict[str, Any], reason: str) -> None:
    client = FakeRedis()
    with pytest.raises(InvalidEvent, match=reason) as caught:
        publish("linked", **({"login_id": "login-1"} | change), client=client)
    assert "canary" not in str(caught.value)
    assert client.batches == []


def test_an_unknown_event_kind_is_refused() -> None:
    with pytest.raises(InvalidEvent, match=r"account\.linked or account\.inactive"):
        publish("deleted", login_id="login-1", client=FakeRedis())  # type: ignore[arg-type] # the mistake under test


def test_a_cloudevent_is_published_unchanged_with_its_extensions() -> None:
    document = {
        "specversion": "1.0", "id": "e1", "source": "crm", "type": "account.linked", "time": "2026-11-22T10:00:00Z",
        "data": {"loginId": "login-1"}, "traceparent": "00-abc",
    }  # fmt: skip
    client = FakeRedis()
    assert publish_many([document], client=client) == 1
    assert client.events == [document]


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        FLAT | {"type": "account.deleted"},
        FLAT | {"type": ["account.linked"]},
        FLAT | {"loginId": "misspelt"},
        FLAT | {"event_id": 7},
        {"specversion": "1.0", "data": {}},
    ],
)
def test_an_event_of_another_shape_is_invalid(event: object) -> None:
    with pytest.raises(InvalidEvent):
        read_event(event)


def test_with_a_public_key_the_login_is_sealed_before_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    client, vault = FakeRedis(), Vault([bytes(range(32))])
    monkeypatch.setenv("SEAL_TO", str(vault.public_keys[0]))
    publish("linked", login_id="login-1", instance="acme", client=client)
    publish_many([FLAT, read_event(FLAT)[1]], client=client)

    assert len(client.events) == 3
    for event in client.events:
        assert "loginId" not in event["data"]
        parsed = LifecycleEvent.from_cloudevent(event, "toolbox")
        assert vault.open_sealed_login(parsed.sealed_login_id) == "login-1"
    assert client.events[0]["data"]["instance"] == "acme"


def test_a_sealed_login_is_published_unchanged() -> None:
    client, vault = FakeRedis(), Vault([bytes(range(32))])
    box = vault.public_keys[0].seal("login-1")
    flat = {"type": "account.linked", "sealed_login_id": box, "occurred_at": "2026-11-22T10:00:00Z"}
    publish_many([flat], client=client, seal_to=str(vault.public_keys[0]))
    assert client.events[0]["data"] == {"sealedLoginId": box}


def test_with_a_wrong_public_key_no_event_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client, key = FakeRedis(), str(Vault([bytes(range(32))]).public_keys[0])
    with pytest.raises(SettingsError, match="SEAL_TO: is mistyped"):
        publish("linked", login_id="login-1", client=client, seal_to=f"00000000{key[8:]}")
    monkeypatch.setenv("SEAL_TO", "canary")
    with pytest.raises(SettingsError, match="SEAL_TO: is not a public key") as caught:
        publish("linked", login_id="login-1", client=client)
    assert "canary" not in str(caught.value)
    assert client.batches == []


def test_an_extension_that_json_cannot_hold_is_invalid() -> None:
    _, document = read_event(FLAT)
    with pytest.raises(InvalidEvent, match="cannot be written as JSON"):
        publish_many([{**document, "extension": float("nan")}], client=FakeRedis())


def test_many_events_are_sent_in_batches_and_counted() -> None:
    client, told = FakeRedis(), []
    sent = publish_many((FLAT for _ in range(BATCH + 1)), client=client, on_sent=told.append)
    assert sent == BATCH + 1
    assert [len(batch) for batch in client.batches] == [BATCH, 1]
    assert told == [BATCH, BATCH + 1]


def test_invalid_events_of_a_batch_are_named_by_position_and_the_others_are_sent() -> None:
    client, wrong = FakeRedis(), []
    sent = publish_many([FLAT, {}, FLAT], client=client, on_invalid=lambda at, error: wrong.append((at, error.reason)))
    assert sent == 2
    assert [at for at, _ in wrong] == [2]


def test_invalid_events_of_a_batch_raise_without_a_callback() -> None:
    with pytest.raises(InvalidEvent, match="event 2: type"):
        publish_many([FLAT, {}], client=FakeRedis())


def test_an_event_dated_too_far_ahead_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client, ahead = FakeRedis(), datetime.now(UTC) + timedelta(hours=2)
    with pytest.raises(InvalidEvent, match="occurred_at: lies more than 3600 s in the future"):
        publish("linked", login_id="login-1", occurred_at=ahead, client=client)
    _, document = read_event(FLAT | {"occurred_at": ahead})
    with pytest.raises(InvalidEvent, match="event 1: time: lies more than"):
        publish_many([document], client=client)
    assert client.batches == []
    monkeypatch.setenv("EVENT_MAX_AHEAD_SECONDS", "9000")
    publish("linked", login_id="login-1", occurred_at=ahead, client=FakeRedis())


def test_a_login_in_clear_is_refused_if_workers_require_sealed_ones(
    monkeypatch: pytest.MonkeyPatch, vault: Vault
) -> None:
    client = FakeRedis()
    monkeypatch.setenv("REQUIRE_SEALED", "1")
    with pytest.raises(InvalidEvent, match="login_id: must be sealed"):
        publish("linked", login_id="login-1", client=client)
    assert client.batches == []
    publish("linked", login_id="login-1", client=client, seal_to=str(vault.public_keys[0]))
    assert "sealedLoginId" in client.events[0]["data"]


@pytest.mark.parametrize(
    ("workers", "is_refused"),
    [
        ([], False),
        ([{"at": 999_000, "instances": ["toolbox"]}], True),
        ([{"at": 999_000, "instances": ["toolbox"]}, {"at": 999_500, "instances": ["toolbox", "acme"]}], False),
        ([{"at": 900_000, "instances": ["toolbox"]}], False),
        ([{"at": 999_000}], False),
    ],
    ids=["no worker", "no worker has it", "a worker has it", "the worker is silent", "the worker does not say"],
)
def test_an_instance_that_no_live_worker_has_is_refused(workers: list[dict[str, Any]], *, is_refused: bool) -> None:
    client = FakeRedis()
    client.workers = {str(at).encode(): json.dumps(about).encode() for at, about in enumerate(workers)}
    wrong: list[str] = []
    sent = publish_many(
        [FLAT, FLAT | {"instance": "acme"}], client=client, on_invalid=lambda _, error: wrong.append(error.code)
    )
    assert (sent, wrong) == ((1, ["unknown_instance"]) if is_refused else (2, []))
