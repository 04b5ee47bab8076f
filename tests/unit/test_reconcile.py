"""A slice settles every login it claims, whatever Flinks, Redis or a bug does, and it never spins."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
import redis
from structlog.testing import capture_logs

from worker import drain, reconcile
from worker.drain import Bounds, Parts
from worker.ledger import Claim, ClaimReply, Ledger, Settled, Settlement
from worker.reconcile import run_slice
from worker.retry import RetryLimits
from worker.seal import Vault
from worker.settings import Instance
from worker.verdicts import Outcome, Verdict

APPLIED = Verdict(Outcome.APPLIED, "applied", http_status=200)
AWAY = redis.ConnectionError("away")
LOOK_SECONDS = 0.01
LIMITS = RetryLimits(max_attempts=5, max_age_seconds=3600, settle_seconds=20)
BOUNDS = Bounds(lease_seconds=2, call_seconds=1, calls_per_second=50, max_in_flight=8, retry=LIMITS, slice_seconds=0.4)


class FakeLedger:
    """Hands out what is due and keeps what is settled; fails as often as it is told to."""

    def __init__(self) -> None:
        self.due: dict[str, list[Claim]] = {"toolbox": [], "eu": []}
        self.wait_seconds: dict[str, float] = {}
        self.failures = {"claim": 0, "settle": 0}
        self.result = Settled.APPLIED
        self.asked: Counter[str] = Counter()
        self.batches: list[list[Settlement]] = []
        self.reconcilers = 1
        self.is_newer = False

    def enlist(self, worker: str, owner: str) -> int:
        del worker, owner
        return self.reconcilers

    def settle_and_claim(
        self, instance: str, items: Sequence[Settlement], *, at_most: int, **_: Any
    ) -> tuple[list[Settled], ClaimReply]:
        self._fail("settle" if items else "claim")
        if items:
            self.batches.append(list(items))
        if at_most:
            self.asked[instance] += 1
        due = self.due[instance]
        taken, self.due[instance] = due[:at_most], due[at_most:]
        if self.is_newer:
            return [self.result] * len(items), ClaimReply("newer", None, 1000, [])
        reply = ClaimReply("claimed", 0 if taken else self.wait_seconds.get(instance), 1000, taken)
        return [self.result] * len(items), reply

    def _fail(self, doing: str) -> None:
        if self.failures[doing]:
            self.failures[doing] -= 1
            raise AWAY

    @property
    def settled(self) -> dict[str, Settlement]:
        items = [item for batch in self.batches for item in batch]
        found = {item.claim.reference: item for item in items}
        assert len(found) == len(items), "a claim was settled twice"
        return found


class FakeCaller:
    """Answers by login: with a verdict, None, an exception, or what a coroutine returns."""

    def __init__(self, answer: Callable[[str], Any] = lambda _: APPLIED) -> None:
        self.answer = answer
        self.called: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.in_flight_at_start: list[int] = []
        self.limits: list[tuple[float, float]] = []

    async def set_scheduled_refresh(
        self,
        instance: Instance,
        login_id: str,
        wants_active: bool,  # noqa: FBT001 - the wish
        *,
        timeout_seconds: float,
        not_after: float,
    ) -> Verdict | None:
        del instance, wants_active
        self.called.append(login_id)
        self.limits.append((timeout_seconds, not_after - time.monotonic()))
        self.in_flight += 1
        self.in_flight_at_start.append(self.in_flight)
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            answer = self.answer(login_id)
            answer = await answer if isinstance(answer, Awaitable) else answer
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        return cast("Verdict | None", answer)


class Slice:
    """One slice over a fake ledger."""

    def __init__(self, vault: Vault) -> None:
        self.vault, self.ledger, self.caller, self.bounds = vault, FakeLedger(), FakeCaller(), BOUNDS

    def due(self, *logins: str, instance: str = "toolbox") -> None:
        for number, login in enumerate(logins):
            reference = f"lgn_{login}"
            sealed = self.vault.seal_login(reference, login)
            self.ledger.due[instance].append(Claim(reference, number, 1, True, sealed, 0, None, None))  # noqa: FBT003

    def parts(self) -> Parts:
        return Parts(cast("Ledger", self.ledger), self.vault, self.caller, self.bounds, "w1", "o1")

    def run(self, *names: str, reconcilers: int = 1) -> bool:
        instances = [(instance_of(name), "fp") for name in names or ("toolbox",)]
        return asyncio.run(run_slice(self.parts(), instances, reconcilers=reconcilers))

    def outcomes(self) -> dict[str, str]:
        return {item.claim.reference.removeprefix("lgn_"): item.outcome for item in self.ledger.settled.values()}


def instance_of(name: str) -> Instance:
    parts: dict[str, Any] = {"customer_id": "c", "auth_key": "k", "auth_header": "h", "auth_scheme": ""}
    return Instance(name=name, base_url="https://a", **parts)


@pytest.fixture
def piece(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Slice:
    monkeypatch.setattr(drain, "REDIS_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(drain, "LOOK_SECONDS", LOOK_SECONDS)
    return Slice(vault)


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What was told to Sentry."""
    told: list[tuple[str, dict[str, Any]]] = []
    for name in ("report_unexpected",):
        monkeypatch.setattr(drain, name, lambda *_, _name=name, **fields: told.append((_name, fields)))
    return told


def test_everything_that_is_due_is_called_and_settled_once(piece: Slice) -> None:
    logins = [f"login-{number}" for number in range(100)]
    piece.due(*logins)

    assert piece.run() is False, "work ended before the time did"
    assert sorted(piece.caller.called) == sorted(logins)
    assert piece.outcomes() == dict.fromkeys(logins, "applied")


def test_nothing_due_ends_the_slice_once_every_instance_was_looked_at(piece: Slice) -> None:
    assert piece.run("toolbox", "eu") is False
    assert set(piece.ledger.asked) == {"toolbox", "eu"}
    assert max(piece.ledger.asked.values()) <= 2


def test_no_instance_is_no_work(piece: Slice) -> None:
    parts = piece.parts()
    assert asyncio.run(run_slice(parts, [])) is False


def test_calls_in_flight_stay_within_the_limit_and_use_it(piece: Slice) -> None:
    piece.due(*map(str, range(40)))
    piece.caller.answer = lambda _: _later(0.005)
    piece.run()
    assert piece.caller.most_in_flight == 8
    assert len(piece.outcomes()) == 40


def test_a_reconciler_leaves_the_others_their_share_of_the_limit(piece: Slice) -> None:
    piece.due(*map(str, range(40)))
    piece.caller.answer = lambda _: _later(0.005)
    piece.run(reconcilers=3)
    assert piece.caller.most_in_flight == 3
    assert len(piece.outcomes()) == 40


def test_the_share_is_one_call_at_least_and_follows_how_many_reconcilers_there_are(
    piece: Slice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "KEEP_PLACE_SECONDS", 0.01)
    piece.ledger.reconcilers = 100
    piece.due(*map(str, range(20)))
    piece.caller.answer = lambda _: _later(0.02)
    piece.run()
    assert piece.caller.most_in_flight == 8
    assert piece.caller.in_flight_at_start[-8:] == [1] * 8


def test_a_slow_call_holds_up_nobody(piece: Slice) -> None:
    others = [str(number) for number in range(30)]
    piece.due("slow", *others)
    piece.caller.answer = lambda login: _when(lambda: len(piece.ledger.settled) == 30) if login == "slow" else APPLIED

    assert piece.run() is False
    assert piece.outcomes()["slow"] == "applied"
    assert list(piece.outcomes())[-1] == "slow"


def test_a_call_has_its_timeout_and_may_not_begin_when_the_lease_would_end_before_it(piece: Slice) -> None:
    piece.due("a")
    piece.run()
    ((timeout_seconds, begins_within),) = piece.caller.limits
    assert timeout_seconds == 1
    assert 0.8 < begins_within <= 1


def test_a_call_that_was_not_made_in_time_is_settled_as_unsent(piece: Slice) -> None:
    piece.due("late", "b")
    piece.caller.answer = lambda login: None if login == "late" else APPLIED
    piece.run()
    assert piece.outcomes() == {"late": "unsent", "b": "applied"}


def test_a_login_that_cannot_be_opened_halts_and_is_not_called(piece: Slice) -> None:
    piece.due("a", "b")
    piece.ledger.due["toolbox"][0] = replace(piece.ledger.due["toolbox"][0], sealed=b"foreign")
    piece.run()
    assert piece.caller.called == ["b"]
    assert (piece.ledger.settled["lgn_a"].outcome, piece.ledger.settled["lgn_a"].code) == ("halt", "unsealable")
    assert piece.outcomes()["b"] == "applied"


def test_a_bug_in_one_call_is_ambiguous_and_the_others_go_on(
    piece: Slice, reports: list[tuple[str, dict[str, Any]]]
) -> None:
    piece.due(*map(str, range(20)), "canary-login")
    piece.caller.answer = lambda login: KeyError(login) if login == "canary-login" else APPLIED
    with capture_logs() as lines:
        piece.run()

    item = piece.ledger.settled["lgn_canary-login"]
    assert (item.outcome, item.code, item.flags, item.rest_seconds) == ("transient", "internal_error", "a", 20)
    assert len(piece.outcomes()) == 21
    assert reports == [("report_unexpected", {"where": "call", "instance": "toolbox"})]
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["call_failed_unexpectedly"]


def test_while_redis_is_away_claiming_goes_on_and_nothing_is_lost(piece: Slice) -> None:
    piece.due(*map(str, range(20)))
    piece.ledger.failures["claim"] = 3
    assert piece.run() is False
    assert len(piece.outcomes()) == 20


def test_a_script_settles_and_claims_no_more_than_a_few_dozen(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, max_in_flight=1000, slice_seconds=20, lease_seconds=30, call_seconds=20)
    piece.due(*map(str, range(300)))
    gate = asyncio.Event()
    piece.caller.answer = lambda _: _opened(gate) if len(piece.caller.called) < 300 else gate.set() or APPLIED
    piece.run()
    assert len(piece.outcomes()) == 300
    assert max(map(len, piece.ledger.batches)) == drain.SETTLE_AT_MOST
    assert piece.ledger.asked["toolbox"] >= 300 / drain.CLAIM_AT_MOST


def test_while_redis_is_away_answers_wait_to_be_settled_and_none_is_lost_or_told_twice(piece: Slice) -> None:
    piece.due(*map(str, range(20)))
    piece.ledger.failures["settle"] = 4
    assert piece.run() is False
    assert len(piece.outcomes()) == len(piece.caller.called) == 20


def test_when_redis_stays_away_the_slice_ends_with_the_leases(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=0.02, lease_seconds=0.1, call_seconds=0.05)
    piece.due("a")
    piece.ledger.failures["settle"] = 10_000
    began_at = time.monotonic()
    assert piece.run() is True
    assert 0.11 < time.monotonic() - began_at < 1
    assert not piece.ledger.batches


def test_when_the_time_is_up_no_more_is_claimed_and_what_is_in_flight_is_settled(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, slice_seconds=0.05, max_in_flight=2)
    piece.due("a", "b", "c")
    piece.caller.answer = lambda _: _later(0.1)
    assert piece.run() is True, "work is left"
    assert piece.outcomes() == {"a": "applied", "b": "applied"}
    assert len(piece.ledger.due["toolbox"]) == 1


def test_when_the_time_is_up_the_place_is_handed_over_while_the_last_call_is_still_out(piece: Slice) -> None:
    handed: list[int] = []
    parts = replace(piece.parts(), hand_over=lambda: handed.append(piece.caller.in_flight))
    parts = replace(parts, bounds=replace(BOUNDS, slice_seconds=0.05))
    piece.due("slow")
    piece.caller.answer = lambda _: _when(lambda: bool(handed))
    assert asyncio.run(run_slice(parts, [(instance_of("toolbox"), "fp")])) is True
    assert handed == [1]
    assert piece.outcomes() == {"slow": "applied"}


def test_work_that_falls_due_within_the_second_is_waited_for_and_later_work_is_not(piece: Slice) -> None:
    piece.ledger.wait_seconds["toolbox"] = 0.05
    timer = threading.Timer(0.05, lambda: (piece.due("soon"), piece.ledger.wait_seconds.clear()))
    timer.start()
    assert piece.run() is False
    assert piece.outcomes() == {"soon": "applied"}
    timer.join()

    asked = piece.ledger.asked["toolbox"]
    piece.ledger.wait_seconds["toolbox"] = 60
    assert piece.run() is False
    assert piece.ledger.asked["toolbox"] == asked + 1


def test_an_idle_instance_takes_up_work_that_comes_while_another_is_busy(piece: Slice) -> None:
    def answer(login: str) -> object:
        if login != "busy":
            return APPLIED
        piece.due("opened", instance="eu")
        return _when(lambda: "lgn_opened" in piece.ledger.settled)

    piece.due("busy")
    piece.caller.answer = answer
    assert piece.run("toolbox", "eu") is False
    assert list(piece.outcomes()) == ["opened", "busy"]


def test_an_instance_looks_for_work_again_and_again_but_does_not_spin(piece: Slice) -> None:
    piece.due("busy")
    piece.caller.answer = lambda _: _later(10 * LOOK_SECONDS)
    piece.run("toolbox", "eu")
    assert 3 <= piece.ledger.asked["eu"] <= 14
    assert 3 <= piece.ledger.asked["toolbox"] <= 14


def test_a_full_window_asks_for_nothing(piece: Slice) -> None:
    piece.bounds = replace(BOUNDS, max_in_flight=1)
    piece.due("a", "b")
    piece.caller.answer = lambda _: _later(10 * LOOK_SECONDS)
    piece.run()
    assert piece.ledger.asked["toolbox"] <= 3 + 1  # one for each call, one at the end, and one when a wait ends early


def test_a_log_line_names_a_login_by_its_reference_alone(piece: Slice) -> None:
    piece.due("canary-login")
    piece.ledger.due["toolbox"][0] = replace(_renamed(piece, "canary-login"), wants_active=False)
    piece.ledger.failures["claim"] = piece.ledger.failures["settle"] = 1
    piece.ledger.result = Settled.WAITING
    with capture_logs() as lines:
        piece.run()
    (settled,) = [line for line in lines if line["event"] == "call_settled"]
    assert (settled["login"], settled["wish"], settled["log_level"]) == ("lgn_x", "off", "info")
    away = [line["unsettled"] for line in lines if line["event"] == "ledger_unreachable"]
    assert away == [0, 1]
    assert "canary-login" not in repr(lines)


def _renamed(piece: Slice, login: str) -> Claim:
    claim = piece.ledger.due["toolbox"][0]
    return replace(claim, reference="lgn_x", sealed=piece.vault.seal_login("lgn_x", login))


async def _opened(gate: asyncio.Event) -> Verdict:
    await gate.wait()
    return APPLIED


async def _later(seconds: float) -> Verdict:
    await asyncio.sleep(seconds)
    return APPLIED


async def _when(is_so: Callable[[], bool]) -> Verdict:
    while not is_so():  # noqa: ASYNC110 - the fake ledger has no event to wait for
        await asyncio.sleep(0.005)
    return APPLIED


def test_a_worker_that_stops_and_one_that_is_too_old_claim_no_more_and_settle_what_is_in_flight(piece: Slice) -> None:
    piece.due(*"abcdefgh")
    piece.bounds = replace(BOUNDS, max_in_flight=2)
    parts = piece.parts()
    stopping = replace(parts, is_stopping=lambda: len(piece.caller.called) >= 2)
    asyncio.run(run_slice(stopping, [(instance_of("toolbox"), "fp")]))
    assert len(piece.outcomes()) == len(piece.caller.called) == 2

    piece.ledger.is_newer = True
    asked = piece.ledger.asked["toolbox"]
    assert asyncio.run(run_slice(parts, [(instance_of("toolbox"), "fp")])) is False
    assert piece.ledger.asked["toolbox"] == asked + 1
