"""If every producer seals, Redis never holds a loginId; its append-only file proves it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from celery import Celery

from sandbox.stack.readiness import listening_url
from tests.http_events import SECRET, Producer, binary_headers
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.leaks import INBOUND, leaks, logs_in, redis_contents
from tests.ledger_calls import list_letters
from tests.waiting import eventually
from worker import publish
from worker.broker.celery_config import kombu_address
from worker.vault.vault import Vault, decode_key, new_key

OTHER = str(Vault([decode_key(new_key())]).public_keys[0])


@pytest.fixture
def settings_for_workers() -> dict[str, str]:
    return {"REQUIRE_SEALED": "1", "RETRY_MAX_ATTEMPTS": "2"}


@pytest.fixture
def public_key(nightly: Nightly) -> str:
    """The keys that an operator gives to producers: the command needs only LOGIN_KEYS."""
    keys = {"LOGIN_KEYS": nightly.stack.environment["LOGIN_KEYS"], "PATH": os.environ["PATH"]}
    return _nightly(["keys", "public"], keys, nightly.stack.folder).strip()


def test_redis_holds_no_login_in_clear_when_producers_seal_it(nightly: Nightly, public_key: str) -> None:
    (by_stream, by_python, by_command, by_celery, broken, refused, batched, lost) = logins = new_logins(8)
    before = sizes_of_redis_files(nightly)
    nightly.emulator.unknown_logins(refused)
    assert public_key == str(nightly.services.vault.public_keys[0])
    key, url = nightly.services.vault.public_keys[0], nightly.stack.environment["REDIS_URL"]

    def event(login_id: str) -> dict[str, object]:
        return cloud_event(login_id, on=True, minute=0) | {"data": {"sealedLoginId": key.seal(login_id)}}

    nightly.send([event(by_stream), event(refused), event(broken) | {"time": "no time"}, [event(batched)]])  # type: ignore[list-item]
    nightly.redis.xadd("account-events:stream", {"event": json.dumps(event(broken))[:-1]})
    publish("linked", login_id=by_python, redis_url=url, seal_to=public_key)
    publish("linked", login_id=lost, event_id="lost-1", redis_url=url, seal_to=OTHER)
    environment = {"REDIS_URL": url, "SEAL_TO": public_key, "PATH": os.environ["PATH"]}
    _nightly(["publish", "linked", "--login-id", by_command], environment, nightly.stack.folder)
    with Celery(broker=kombu_address(url)[0]) as producer:
        arguments = {"sealed_login_id": key.seal(by_celery), "occurred_at": "2026-11-22T10:00:00Z"}
        producer.send_task("account.linked", kwargs=arguments, queue="account-events")
    waiting = [*redis_contents(nightly.redis, but_not=())]
    nightly.stack.start_worker()

    expected = {by_stream, by_python, by_command, by_celery, batched}
    eventually(lambda: {login for login, on in nightly.flags().items() if on} == expected, describe="the calls")
    eventually(lambda: len(nightly.letters()) == 4, describe="the letters")
    lost_letter = next(letter for letter in list_letters(nightly.services.letters) if letter.code == "unknown_key")
    assert lost_letter.event_id == "lost-1"

    written = [*waiting, *redis_contents(nightly.redis, but_not=()), *written_to_files(nightly, before)]
    assert any(place.endswith("account-events:stream'") and b"sealedLoginId" in text for place, text in waiting)
    assert any(".aof" in place and b"sealedLoginId" in text for place, text in written), "the file was not read"
    assert leaks(logins, written) == []


def test_redis_holds_no_login_in_clear_when_the_http_process_seals_with_the_public_key(nightly: Nightly) -> None:
    """The process that faces the internet has three settings, and none of them opens a loginId."""
    (single, binary, off, sealed, refused) = logins = new_logins(5)
    before = sizes_of_redis_files(nightly)
    key, environment = nightly.services.vault.public_keys[0], nightly.stack.environment
    environment |= {"HTTP_EVENTS_SECRETS": f"crm={SECRET}", "SEAL_TO": str(key)}
    others = environment.keys() - {"REDIS_URL", "HTTP_EVENTS_SECRETS", "SEAL_TO", "PATH", "PYTHONPATH"}
    assert {"LOGIN_KEYS", "FLINKS_AUTH_KEY"} <= others
    argv = [sys.executable, "-m", "worker", "review", "--port", "0"]
    page = nightly.stack.start_process("review", argv, ready=listening_url, without=others)
    producer = Producer(listening_url(page) or "")
    batch = [
        cloud_event(off, on=False, minute=0),
        cloud_event(sealed, on=True, minute=0) | {"data": {"sealedLoginId": key.seal(sealed)}},
    ]
    in_headers = cloud_event(binary, on=True, minute=0)
    answers = [
        producer.send(cloud_event(single, on=True, minute=0)),
        producer.send_binary(binary_headers(in_headers), json.dumps(in_headers["data"]).encode()),
        producer.send(batch),
        producer.send(cloud_event(refused, on=True, minute=0, name=f"link-{refused}")),
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 422]
    waiting = [*redis_contents(nightly.redis, but_not=())]
    nightly.stack.start_worker()
    expected = {single: True, binary: True, off: False, sealed: True}
    eventually(lambda: nightly.flags() == expected, describe="the calls")

    written = [*waiting, *redis_contents(nightly.redis, but_not=()), *written_to_files(nightly, before)]
    written += [*logs_in(nightly.stack.folder), *((str(answer.status_code), answer.content) for answer in answers)]
    assert any(place.endswith("account-events:stream'") and b"sealedLoginId" in text for place, text in waiting)
    assert any(".aof" in place and b"sealedLoginId" in text for place, text in written), "the file was not read"
    assert leaks(logins, written) == []


def test_a_login_in_clear_is_set_aside_and_never_called(nightly: Nightly) -> None:
    (in_clear, sealed) = new_logins(2)
    key = nightly.services.vault.public_keys[0]
    nightly.send([cloud_event(in_clear, on=True, minute=0, name="evt-clear")])
    publish("linked", login_id=sealed, redis_url=nightly.stack.environment["REDIS_URL"], seal_to=str(key))
    nightly.stack.start_worker()

    eventually(lambda: nightly.flags().get(sealed), describe="the sealed one's call")
    (letter,) = list_letters(nightly.services.letters)
    assert letter.reason == "loginId: must be sealed to the key of `nightly keys public`, as REQUIRE_SEALED is set"
    assert letter.event_id == "evt-clear"
    assert in_clear not in nightly.flags()
    assert leaks([in_clear], [*redis_contents(nightly.redis, but_not=INBOUND)]) == []


def sizes_of_redis_files(nightly: Nightly) -> dict[Path, int]:
    return {path: path.stat().st_size for path in Path(nightly.redis.config_get("dir")["dir"]).rglob("*.aof")}


def written_to_files(nightly: Nightly, before: dict[Path, int]) -> list[tuple[str, bytes]]:
    """Return what Redis has written since then: earlier tests filled the rest."""
    return [(str(path), path.read_bytes()[before.get(path, 0) :]) for path in sizes_of_redis_files(nightly)]


def _nightly(arguments: Sequence[str], environment: dict[str, str], folder: Path) -> str:
    command = [sys.executable, "-m", "worker", *arguments]
    done = subprocess.run(command, env=environment, cwd=folder, timeout=60, capture_output=True, text=True, check=True)
    return done.stdout
