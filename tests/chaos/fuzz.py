"""Ten thousand malformed inputs through the stream and Celery: none stops a worker, none disappears.

Each must end as a recorded event or as a dead letter with a reason, and be counted once. Large bodies must not delay
the events behind them for long, nor make the worker large.
"""

import itertools
import random
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from celery import Celery
from kombu import Producer

from sandbox.stack import EmbeddedStack, ManagedProcess, wait_until
from tests.brief_stack import BriefStack
from tests.chaos.malformed import CANARY, TIME, Malformed, huge, malformed
from tests.chaos.report import Report, Say
from tests.ledger_calls import list_letters
from worker.broker.celery_config import kombu_address
from worker.events.channels import EVENTS_QUEUE, STREAM
from worker.events.publisher import publish
from worker.operations.waiting import unrecorded
from worker.services import Services, build_services

CHUNK = 200
REPEATED = 5
TAKEN_IN_SECONDS = 300.0
STALL_SECONDS = 10.0
MEMORY_MB = 900


def fuzz(
    folder: Path, *, seed: int, say: Say, inputs: int = 10_000, huge_inputs: int = 10, huge_bytes: int = 10_000_000
) -> Report:
    """Send `count` malformed inputs, one in three through Celery, then `huge_inputs` for stream and queue."""
    report = Report("fuzz", {"seed": seed, "inputs": inputs, "huge_inputs": huge_inputs, "huge_bytes": huge_bytes})
    chance = random.Random(seed)
    with BriefStack(folder, isolated=True) as stack:
        services = build_services(stack.settings())
        try:
            before = _memory_mb(stack.workers)
            sent = _send_all(services, stack, malformed(chance, inputs), say)
            _expect_all_ended(report, services, sent, say)
            slowest = _send_huge(services, stack, chance, huge_inputs, huge_bytes, sent, say)
            _expect_all_ended(report, services, sent, say)
            report.figures |= {
                "sent": ", ".join(f"{kind} {count}" for kind, count in sorted(sent.kinds.items())),
                "worker's memory before, and its peak (MB)": f"{before}, {_memory_mb(stack.workers, peak=True)}",
                "longest wait of a good event behind large ones (s)": round(slowest, 2),
            }
            report.expect(slowest < STALL_SECONDS, f"a valid event waited {slowest:.1f} s behind large ones")
            report.expect(_memory_mb(stack.workers, peak=True) < MEMORY_MB, "the worker grew too large")
            _judge(report, services, stack, sent)
        finally:
            services.redis.close()
        report.expect(all(worker.is_running for worker in stack.workers), "a worker ended")
    return report


class Sent:
    """The sent inputs and their expected counts."""

    def __init__(self) -> None:
        self.units = 0
        self.kinds: Counter[str] = Counter()
        self.good: list[str] = []
        self.repeated: bytes = b""

    def add(self, item: Malformed) -> None:
        """Count one input."""
        self.units += item.units
        self.kinds[item.kind] += 1
        self.good += item.good


def _send_all(services: Services, stack: EmbeddedStack, items: Iterator[Malformed], say: Say) -> Sent:
    sent = Sent()
    with _celery(stack) as celery, celery.connection_for_write() as connection:
        producer = connection.Producer()
        while chunk := list(itertools.islice(items, CHUNK)):
            _send(services, producer, chunk)
            for item in chunk:
                sent.add(item)
            say(f"{sent.kinds.total()} inputs sent")
    sent.repeated = b'{"again": "' + CANARY.encode()
    for _ in range(REPEATED):
        services.redis.xadd(STREAM, {"event": sent.repeated})
        sent.add(Malformed("repeated", body=sent.repeated))
    return sent


def _send(services: Services, producer: Producer, items: Sequence[Malformed]) -> None:
    pipeline = services.redis.pipeline(transaction=False)
    for item in items:
        if item.text is not None:
            _send_message(producer, item.text)
        else:
            pipeline.xadd(STREAM, dict(item.fields or {b"event": item.body or b""}))
    pipeline.execute()


def _send_message(producer: Producer, text: str) -> None:
    """Send what a Celery client of any language could: protocol 2 around a hand-written body."""
    headers = {"lang": "any", "task": "account.linked", "id": str(uuid.uuid4()), "root_id": None, "parent_id": None}
    producer.publish(
        text.encode(),
        exchange="",
        routing_key=EVENTS_QUEUE,
        content_type="application/json",
        content_encoding="utf-8",
        headers=headers,
        retry=False,
    )


def _send_huge(
    services: Services, stack: EmbeddedStack, chance: random.Random, count: int, size: int, sent: Sent, say: Say
) -> float:
    """Send large inputs with a valid event behind each; return the longest delay of those events in seconds."""
    waits = [0.0]
    with _celery(stack) as celery, celery.connection_for_write() as connection:
        for number in range(count * 2):
            item = huge(chance, size, through_celery=number % 2 == 1)
            _send(services, connection.Producer(), [item])
            sent.add(item)
            waits.append(_wait_of_a_good_one(services, sent, chance))
    items = [huge(chance, size, through_celery=False) for _ in range(count)]
    for item in items:  # all at once
        _send(services, connection.Producer(), [item])
        sent.add(item)
    waits.append(_wait_of_a_good_one(services, sent, chance))
    say(f"{count * 3} inputs of {size} bytes sent")
    return max(waits)


def _wait_of_a_good_one(services: Services, sent: Sent, chance: random.Random) -> float:
    login = f"good-{chance.getrandbits(64):x}"
    began = time.monotonic()
    publish("linked", login_id=login, occurred_at=TIME, client=services.redis)
    key = "nightly:login:" + services.vault.reference("toolbox", login)
    wait_until(lambda: services.redis.exists(key), seconds=TAKEN_IN_SECONDS)
    sent.add(Malformed("good", good=(login,)))
    return time.monotonic() - began


def _expect_all_ended(report: Report, services: Services, sent: Sent, say: Say) -> None:
    """Wait until all inputs have ended, then check that nothing changes any more."""
    wait_until(lambda: _ended(services) >= sent.units, seconds=TAKEN_IN_SECONDS, every_seconds=0.2)
    say(f"{_ended(services)} of {sent.units} ended")
    report.expect(_ended(services) == sent.units, f"{_ended(services)} events ended, of {sent.units} sent")
    wait_until(lambda: not _left(services), seconds=TAKEN_IN_SECONDS)  # an entry goes just after it is recorded
    report.expect(not _left(services), f"{_left(services)} messages are not recorded")


def _left(services: Services) -> int:
    return unrecorded(services.redis)


def _ended(services: Services) -> int:
    recorded = int(services.redis.hget("nightly:tally:toolbox", "recorded") or 0)
    return recorded + int(services.redis.hget("nightly:tally", "rejected") or 0)


def _judge(report: Report, services: Services, stack: EmbeddedStack, sent: Sent) -> None:
    letters = list_letters(services.letters)
    seen = sum(letter.seen for letter in letters)
    recorded = int(services.redis.hget("nightly:tally:toolbox", "recorded") or 0)
    reasons = Counter(letter.reason for letter in letters)
    report.figures |= {"recorded": recorded, "letters": len(letters), "seen": seen, "reasons": len(reasons)}
    report.expect(recorded + seen == sent.units, f"recorded {recorded} and seen {seen}, of {sent.units}")
    report.expect(recorded < sent.units / 2 < seen, "too few inputs were malformed")
    report.expect(all(reasons), "a dead letter has no reason")
    quoting = [letter.id for letter in letters if CANARY in letter.reason + letter.message + letter.code]
    report.expect(not quoting, f"{len(quoting)} reasons quote content, {quoting[:1]}")
    again = "iv-" + services.vault.fingerprint(sent.repeated.decode("latin-1"))
    report.expect(services.letters.get(again).seen == REPEATED, "identical bodies do not share their letter")
    vault, hash_of = services.vault, services.redis.exists
    missing = sum(not hash_of("nightly:login:" + vault.reference("toolbox", login)) for login in sent.good)
    report.expect(not missing, f"{missing} of {len(sent.good)} valid events among invalid ones are not recorded")
    for log in (stack.folder / "logs").iterdir():
        quotes = [line for line in log.read_bytes().splitlines() if CANARY.encode() in _without_account(line)]
        report.expect(not quotes, f"{log.name} quotes content in {len(quotes)} lines, {quotes[:1]}")


def _without_account(line: bytes) -> bytes:
    """Return a log line without the account id of a valid event, which it shows on purpose."""
    return line if b'"result": "rejected"' in line else re.sub(rb'"account_id": "(?:[^"\\]|\\.)*"', b"", line)


def _celery(stack: EmbeddedStack) -> Celery:
    url, options = kombu_address(stack.environment["REDIS_URL"])
    app = Celery(broker=url, set_as_current=False)
    app.conf.broker_transport_options = options
    return app


def _memory_mb(workers: Sequence[ManagedProcess], *, peak: bool = False) -> int:
    """Return the resident memory of the largest worker process, in MB."""
    name, sizes = "VmHWM" if peak else "VmRSS", [0]
    for pid in (pid for worker in workers for pid in (worker.pid, *worker.children())):
        status = Path(f"/proc/{pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+)", status)
        sizes.append(int(found[1]) // 1024 if found else 0)
    return max(sizes)
