"""Backfills in the random schedules: several at a time, started, fed by two feeders, paused, resumed and cancelled."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from redis import Redis

from tests.integration.ledger.rows import WAITS, Filled, Rows
from tests.integration.ledger.world import INSTANCES, LOGINS, START_MS, WORKERS, World, order_of
from tests.people import ANN
from worker.backfill.codec import backfill_of, results_of
from worker.backfill.models import Asks, Row, RowOutcome, Status
from worker.backfill.store import Backfills
from worker.errors import BackfillError
from worker.ledger import Lane, Wish

AT_ONCE = 3


class Backfilling:
    """The part of a schedule that runs backfills."""

    client: Redis
    seen: Counter[str]
    world: World
    backfills: Backfills
    rows: Rows
    second: int
    sent: int

    def a_backfill_begins(self, chance: Random) -> None:
        """Start one with a few rows, some of them repeated or invalid."""
        if len(self._unended()) >= AT_ONCE:
            return
        instance, wish = chance.choice(INSTANCES), chance.choice([Asks.ON, Asks.ON, Asks.OFF, Asks.OFF, Asks.AS_IS])
        mine = [login for login, owner in LOGINS.items() if owner == instance]
        logins = [chance.choice([*mine, *mine, None]) for _ in range(chance.randint(1, 7))]
        as_of_us = (START_MS // 1000 + self.second + chance.randint(-1, 2)) * 1_000_000
        as_of_us = min(as_of_us, self.world.now * 1000)
        terms = {"instance": instance, "wish": wish, "reassert": chance.random() < 0.3, "as_of_us": as_of_us}
        backfill = self.backfills.create(**terms)
        chunk = [Row(line, login or "", problem="" if login else "is empty") for line, login in enumerate(logins)]
        self.backfills.put_chunk(backfill.id, 0, chunk, "")
        self.rows.filled.append(Filled(self.backfills.commit(backfill.id, backfill.id, by=ANN), logins))

    def a_backfill_is_fed(self, chance: Random) -> None:
        """Two feeders with the same cursor feed it; only one of them feeds any row."""
        if found := [one for one in self._unended() if one.fed < len(one.logins)]:
            filled, at_most = chance.choice(found), chance.randint(1, 4)
            self._feed(filled, at_most)

    def _feed(self, filled: Filled, at_most: int) -> None:
        first, states = filled.fed, self._states(filled)
        rows = filled.logins[first : first + at_most]
        fields = [text for login in rows for text in ((login, b"sealed", "") if login else ("", "", ""))]
        status = self.backfills.get(filled.backfill.id).status
        fingerprint = WORKERS[self.sent % 2].fingerprint
        state, handed_over, _ = self.backfills.feed(filled.backfill.id, first, fields, fingerprint=fingerprint)
        assert (state == "fed") <= (status is Status.RUNNING)
        self.seen[f"feeding: {state}"] += 1
        for row, login in enumerate(rows[:handed_over], first):
            ending = self._expect(filled, row, login, states)
            self.seen[f"fed, and {ending[0]}"] += 1
            filled.endings[row] = ending
        filled.fed += handed_over
        if handed_over:
            again, none, _ = self.backfills.feed(filled.backfill.id, first, fields, fingerprint=fingerprint)
            assert (again == "fed", none) == (False, 0), "a slower feeder fed a row again"

    def _states(self, filled: Filled) -> dict[str, str]:
        logins = {login for login in filled.logins if login}
        return {login: (self.client.hget(f"nightly:login:{login}", "s") or b"").decode() for login in logins}

    def _expect(self, filled: Filled, row: int, login: str | None, states: dict[str, str]) -> tuple[RowOutcome, str]:
        """Note the expected outcome of a row that is fed, and its wish."""
        if login is None:
            return RowOutcome.INVALID, ""
        known = self.world.newest.get(login)
        if filled.is_as_is:
            return self._expect_as_is(filled, row, login, states)
        wanted = filled.backfill.wish is Asks.ON
        wish = Wish(
            login, LOGINS[login], b"sealed", filled.backfill.as_of_us, wanted, filled.name(row), None, Lane.BACKFILL
        )
        if known and known.event_id.startswith(filled.backfill.id):
            return RowOutcome.DUPLICATE, ""
        if known and order_of(wish) < order_of(known):
            self.world.received[LOGINS[login]] += 1
            return RowOutcome.SUPERSEDED, ""
        self.world.newest[login] = wish
        self.world.revisions[login] += 1
        if states[login] == "done" and known and known.wants_active == wanted and not filled.backfill.reassert:
            return RowOutcome.ALREADY, ""
        self.world.received[LOGINS[login]] += 1
        self.world.failures[login] = 0
        self._waits(filled, row, login, states)
        return RowOutcome.WAITING, ""

    def _expect_as_is(self, filled: Filled, row: int, login: str, states: dict[str, str]) -> tuple[RowOutcome, str]:
        if login not in self.world.newest:
            return RowOutcome.INVALID, "unknown_login"
        other, _ = self.rows.row_of.get(login, (None, 0))
        if other is filled:
            return RowOutcome.DUPLICATE, ""
        self.seen[f"fed as is, and {states[login]}"] += 1
        if states[login] == "dead":
            self.rows.row_of[login] = (filled, row)
            return RowOutcome.DEAD, self.client.hget(f"nightly:login:{login}", "z").decode()
        self.world.revisions[login] += states[login] == "done"
        self.rows.replace(login)
        self.rows.row_of[login] = (filled, row)
        states[login] = "due" if states[login] == "done" else states[login]
        return RowOutcome.WAITING, ""

    def _waits(self, filled: Filled, row: int, login: str, states: dict[str, str]) -> None:
        self.rows.replace(login)
        self.rows.row_of[login] = (filled, row)
        states[login] = "due"

    def a_person_steers_a_backfill(self, chance: Random) -> None:
        """Pause, resume or cancel it, if its status allows that."""
        if found := self._unended():
            filled = chance.choice(found)
            status = self.backfills.get(filled.backfill.id).status
            action = chance.choice(["pause", "resume", "resume", "resume", "cancel"])
            allowed = {"pause": {Status.RUNNING}, "resume": {Status.PAUSED}, "cancel": {Status.RUNNING, Status.PAUSED}}
            act = getattr(self.backfills, action)
            if status in allowed[action]:
                act(filled.backfill.id, by=ANN)
                self.seen[f"{action} a backfill"] += 1
            else:
                with pytest.raises(BackfillError):
                    act(filled.backfill.id, by=ANN)

    def look_for_given_up(self) -> None:
        """Note logins that a pulse gave up after ten lost leases in a row."""
        for login in dict.fromkeys(self.rows.waiting_logins()):
            if self.client.hget(f"nightly:login:{login}", "s") == b"dead":
                self.rows.end(login, RowOutcome.DEAD, "retries_exhausted")

    def look_at_rows(self, pipeline: Any) -> None:
        """Add to the pipeline what `check_rows` looks at."""
        for filled in self.rows.filled:
            key = f"nightly:backfill:{filled.backfill.id}"
            pipeline.hgetall(key).getrange(f"{key}:rows", 0, -1).pttl(key)

    def check_rows(self, found: Iterator[Any]) -> None:
        """Check rows and counts against the model, without backfills that have ended for good."""
        for filled in list(self.rows.filled):
            self._check(filled, next(found), next(found), next(found))
            if filled.is_ended and all(filled is not other for other, _ in self.rows.row_of.values()):
                self.rows.filled.remove(filled)
                self.seen["an ended backfill"] += 1

    def _check(self, filled: Filled, raw: dict[bytes, bytes], packed: bytes, life_ms: int) -> None:
        state = raw, packed, life_ms > 0, filled.fed, list(filled.endings)
        if state == filled.checked:
            return
        filled.checked = state
        backfill = backfill_of(filled.backfill.id, raw)
        expected, handed_over = list(filled.endings), filled.endings[: filled.fed]
        if backfill.status is Status.CANCELLED:
            expected[filled.fed :] = [(RowOutcome.CANCELLED, "")] * (backfill.rows - filled.fed)
        found = [(one.outcome, one.code) for one in results_of(raw, packed, 0, backfill.rows)]
        assert (found, backfill.fed) == (expected, filled.fed)
        counts = Counter(outcome.value for outcome, _ in found)
        assert {name: count for name, count in backfill.counts.items() if count} == counts
        is_all = backfill.status is Status.CANCELLED or filled.fed == backfill.rows
        filled.is_ended = is_all and WAITS not in handed_over
        assert filled.is_ended == (backfill.ended_at is not None) == (life_ms > 0)
        assert filled.is_ended or backfill.status is not Status.FINISHED

    def finish_backfills(self) -> None:
        """Feed the remaining rows; resume paused backfills."""
        for filled in self._unended():
            if self.backfills.get(filled.backfill.id).status is Status.PAUSED:
                self.backfills.resume(filled.backfill.id, by=ANN)
            while filled.fed < len(filled.logins):
                before = filled.fed
                self._feed(filled, 7)
                if filled.fed == before:
                    break

    def _unended(self) -> list[Filled]:
        return [one for one in self.rows.filled if not one.is_ended]
