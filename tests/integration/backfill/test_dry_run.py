"""A dry run predicts the outcome of every row, on random mixtures of everything that a ledger may contain."""

import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_calls
from tests.integration.backfill.conftest import Nightly, only, work_off
from tests.ledger_calls import ended
from worker.intake.messages import CeleryMessage
from worker.ledger import Claim
from worker.services import Services

AS_OF = "2026-06-01T00:00:00Z"
FORETOLD = {
    "calls": "applied",
    "already": "already",
    "superseded": "superseded",
    "duplicates": "duplicate",
    "invalid": "invalid",
}
TIMES = ("2026-05-01T00:00:00Z", AS_OF, "2026-07-01T00:00:00Z")


def prepare(services: Services, logins: list[str], chance: random.Random) -> None:
    """Give some logins a history: wishes older, as old and newer than the backfill, called, dead or waiting."""
    terms: dict[str, Any] = {"owner": "o", "worker": "w", "calls_per_second": 100_000, "fingerprint": "tests"}
    services.redis.hset("nightly:configs:toolbox", "tests", "proven")
    for turn in range(3):
        for login in chance.sample(logins, len(logins) // 3):
            kind = chance.choice(["account.linked", "account.inactive"])
            event_id = chance.choice(["a", "bz", "z"]) + str(turn)
            kwargs = {"login_id": login, "occurred_at": chance.choice(TIMES), "event_id": event_id}
            assert services.intake.accept_messages([CeleryMessage(kind, [], kwargs, "task")])
        claims = claim(services, 20 * (turn + 1), terms)
        settlements = [
            ended(claim, "dead", code="NEW_ACCOUNT") if number % 5 == 4 else ended(claim, "applied")
            for number, claim in enumerate(claims)
        ]
        ledger_calls.settle(services.ledger, "toolbox", settlements, **terms)


def claim(services: Services, count: int, terms: dict[str, Any]) -> list[Claim]:
    """Claim `count` logins, or all that are due: the rate limit may allow fewer at first."""
    taken: list[Claim] = []
    for _ in range(100):
        bounds = {"at_most": count - len(taken), "lease_seconds": 15, "settle_seconds": 20, "max_in_flight": 1000}
        taken += ledger_calls.claim(services.ledger, "toolbox", **bounds, **terms).claims
        if len(taken) == count:
            break
    return taken


def mixture(chance: random.Random, logins: list[str]) -> str:
    lines = [chance.choice(logins) for _ in range(120)] + chance.choices(["", "a,b", "x" * 300, "# note"], k=10)
    chance.shuffle(lines)
    return "\n".join(["first-of-all", *lines]) + "\n"


@pytest.mark.parametrize("options", [["--on"], ["--off"], ["--off", "--reassert"]])
@pytest.mark.parametrize("seed", range(4))
def test_a_dry_run_predicts_exactly_what_the_backfill_then_does(
    nightly: Nightly, services: Services, tmp_path: Path, seed: int, options: list[str]
) -> None:
    chance = random.Random(seed)
    logins = [f"login-{number}" for number in range(80)]
    prepare(services, logins, chance)
    path = tmp_path / "logins.txt"
    path.write_text(mixture(chance, logins))
    command = ["start", str(path), *options, "--as-of", AS_OF]
    before = services.redis.dbsize()

    foretold = json.loads(nightly(*command, "--dry-run", "--json").stdout)
    assert services.redis.dbsize() == before
    assert nightly(*command).returncode == 0
    work_off(services)

    counts = Counter(only(services).counts)
    assert counts["waiting"] == 0
    assert {name: foretold[name] for name in FORETOLD} == {name: counts[outcome] for name, outcome in FORETOLD.items()}
    assert foretold["rows"] == counts.total()
    assert min(counts[name] for name in ("applied", "duplicate", "superseded", "invalid")) > 0


def test_the_forecast_covers_logins_of_the_ledger(nightly: Nightly, services: Services) -> None:
    prepare(services, [f"login-{number}" for number in range(60)], random.Random(5))
    command = ["start", "--from-ledger", "--where", "wish=on"]
    foretold = json.loads(nightly(*command, "--dry-run", "--json").stdout)
    assert nightly(*command).returncode == 0
    work_off(services)
    counts = only(services).counts
    assert (counts["applied"], counts["dead"]) == (foretold["calls"], foretold["dead"])
    assert min(counts["applied"], counts["dead"]) > 0


def test_the_forecast_uses_the_slower_of_both_rates(nightly: Nightly, tmp_path: Path) -> None:
    path = tmp_path / "logins.txt"
    path.write_text("".join(f"login-{number}\n" for number in range(72)))
    seconds = [
        json.loads(nightly("start", str(path), "--on", "--dry-run", "--json", *more).stdout)["calls_seconds"]
        for more in ([], ["--rate", "2"], ["--rate", "1000"])
    ]
    assert seconds == pytest.approx([72 / 50, 72 / 2, 72 / 50])


def test_the_time_defaults_to_now(nightly: Nightly, tmp_path: Path) -> None:
    path = tmp_path / "logins.txt"
    path.write_text("a-login\n")
    said = json.loads(nightly("start", str(path), "--on", "--dry-run", "--json").stdout)
    assert abs((datetime.fromisoformat(said["as_of_at"]) - datetime.now(UTC)).total_seconds()) < 60
