"""A rotation of LOGIN_KEYS under load goes unnoticed: no dead letter, no closed gate, and no event waits long.

Two workers are restarted in turn, each with a new key in front of the old one. Between the two restarts both keys
seal new events, and only the restarted worker opens those of the new key.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from celery import Celery
from redis import ConnectionError as RedisConnectionError
from redis import Redis

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, wait_until
from tests.brief_stack import BriefStack
from tests.chaos.report import Report, Say
from tests.chaos.rolling_restart import Publisher, Sent, judge, restart_oldest, unapplied
from tests.ledger_calls import list_letters
from worker.broker.celery_config import kombu_address
from worker.events.channels import REFRESH_QUEUE
from worker.redis_client.connect import BytesRedis
from worker.services import build_services
from worker.vault.vault import Vault, new_key

INSTANCE = "toolbox"
WAKE_SECONDS = 0.1


class Eavesdropper:
    """Counts claims, by a worker that holds only `key_id`, that met logins it could not open.

    Such a claim reads a login or its sealed value and writes nothing to it.
    """

    def __init__(self, url: str, key_id: str) -> None:
        self._redis, self._key_id = Redis.from_url(url), key_id
        self._thread = threading.Thread(target=self._run, name="eavesdropper", daemon=True)
        self._stopping = threading.Event()
        self.claims = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._redis.ping()  # so that it receives a command and checks whether to stop
        self._thread.join(10)
        self._redis.close()

    def _run(self) -> None:
        is_ours, read = False, set[str]()
        with self._redis.monitor() as monitor:
            while not self._stopping.is_set():
                try:
                    heard = monitor.next_command()
                except RedisConnectionError:
                    return
                words = heard["command"].split(" ")
                if heard["client_type"] != "lua":  # another command: the script before it has ended
                    self.claims += bool(read)
                    is_ours, read = words[0].lower() == "evalsha" and self._key_id in words, set()
                elif is_ours and words[0] in {"HGETALL", "HGET"} and words[1].startswith("nightly:login:"):
                    read.add(words[1])
                elif is_ours and words[0] in {"HSET", "HDEL"}:
                    read.discard(words[1])


def rotation(
    folder: Path,
    *,
    events_per_second: float = 200,
    seconds_between: float = 10,
    limit_seconds: float = 5,
    seed: int = 1,
    say: Say,
) -> Report:
    """Rotate LOGIN_KEYS under load; broken if an event waited longer than `limit_seconds` or needed a person."""
    sizes = {"events_per_second": events_per_second, "seconds_between": seconds_between}
    report = Report("rotation", sizes | {"limit_seconds": limit_seconds, "seed": seed})
    overrides = {"FLINKS_CALLS_PER_SECOND": str(int(events_per_second * 4)), "FLINKS_TIMEOUT_SECONDS": "5"}
    with BriefStack(folder / "stack", isolated=True, overrides=overrides, workers=2) as stack:
        control = EmulatorControl(str(stack.emulator_url))
        control.faults({"knob": "latency", "milliseconds": 50, "jitter_ms": 100})
        url, old_key = stack.environment["REDIS_URL"], stack.environment["LOGIN_KEYS"]
        publisher = Publisher(url, events_per_second, random.Random(seed))
        thread = threading.Thread(target=publisher.run, name="publisher")
        thread.start()
        try:
            stack.environment["LOGIN_KEYS"] = f"{new_key()},{old_key}"
            vault = stack.settings().vault()
            restart_oldest(stack, seconds_between, say)
            with Eavesdropper(url, vault.key_ids[1]) as eavesdropper:
                _wake_both(url, seconds_between)
            in_use = _keys_in_use(stack, vault, publisher.sent, seconds=seconds_between / 2)
            restart_oldest(stack, 0, say)
            time.sleep(seconds_between)
        finally:
            publisher.stop()
            thread.join()
        wait_until(lambda: not unapplied(publisher.sent, control.calls()), seconds=60)
        judge(report, publisher.sent, control.calls(), limit_seconds)
        _judge_rotation(report, stack, vault, in_use, eavesdropper.claims)
    return report


def _wake_both(url: str, seconds: float) -> None:
    """Send wake-ups that either worker may take; otherwise the restarted one, which opens all, may do all the work."""
    ends_at = time.monotonic() + seconds
    with Celery(broker=kombu_address(url)[0], set_as_current=False) as app:
        while time.monotonic() < ends_at:
            app.send_task("refresh.reconcile", queue=REFRESH_QUEUE)
            time.sleep(WAKE_SECONDS)


def _keys_in_use(stack: EmbeddedStack, vault: Vault, sent: Sequence[Sent], *, seconds: float) -> Counter[str]:
    """Return the number of logins that each key has sealed in the last `seconds`."""
    lately = {event.login for event in sent if event.at > time.time() - seconds}
    with Redis.from_url(stack.environment["REDIS_URL"]) as client, client.pipeline(transaction=False) as pipeline:
        for login in lately:
            pipeline.hget(f"nightly:login:{vault.reference(INSTANCE, login)}", "v")
        return Counter(sealed[1:5].hex() for sealed in pipeline.execute() if sealed)


def _judge_rotation(report: Report, stack: EmbeddedStack, vault: Vault, in_use: Counter[str], met: int) -> None:
    services = build_services(stack.settings())
    try:
        letters, changes = list_letters(services.letters), services.views.gate_changes(INSTANCE)
        missing = services.redis.hgetall("nightly:missing-keys")
        _expect_a_rotation(report, services.redis, vault, in_use, met)
    finally:
        services.redis.close()
    report.expect(not letters, f"{len(letters)} dead letters: {sorted({letter.code for letter in letters})}")
    report.expect(not changes, f"the gate changed: {[(change['state'], change['cause']) for change in changes]}")
    report.expect(not missing, f"keys were reported as missing: {sorted(missing)}")


def _expect_a_rotation(report: Report, client: BytesRedis, vault: Vault, in_use: Counter[str], met: int) -> None:
    """Record if too little happened to prove anything."""
    new, old = vault.key_ids
    report.figures["between the restarts"] = (
        f"{in_use[new]} logins sealed under the new key, {in_use[old]} under the old one; "
        f"{met} claims of the other worker met some that it could not open"
    )
    report.expect(min(in_use[new], in_use[old]) > 10, "the two keys were never in use at the same time")
    report.expect(met, "the worker that was not restarted found no login that it could not open")
    configurations = client.hgetall(f"nightly:configs:{INSTANCE}")
    standings = [standing for field, standing in configurations.items() if b":" not in field]
    report.expect(standings == [b"proven"], f"there is not one proven configuration, but {standings}")
