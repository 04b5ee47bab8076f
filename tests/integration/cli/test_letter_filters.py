"""`nightly dead-letters list` with its filters: the same as those of the page."""

import json

import pytest
from redis import Redis

from tests.integration.command import Command
from tests.integration.ledger.many_letters import assign, file_letter, snooze

DAY_MS = 86_400_000


@pytest.fixture
def nightly(redis_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return Command(capfd)


@pytest.fixture
def _letters(redis_client: Redis) -> None:
    now = int(redis_client.time()[0]) * 1000
    file_letter(redis_client, "dl-1", now - 9 * DAY_MS, wish="off", failures=20, code="retries_exhausted")
    file_letter(redis_client, "dl-2", now - 2 * DAY_MS, backfill="bf-aaaaaaaaaa")
    file_letter(redis_client, "dl-3", now, instance="acme")
    file_letter(redis_client, "dl-4", now)
    assign(redis_client, "dl-3", "ann")
    snooze(redis_client, "dl-2", now + DAY_MS)
    redis_client.hset("nightly:letter:dl-3", "suspect", "storm-1")


@pytest.mark.usefixtures("_letters")
def test_each_option_selects_letters(nightly: Command) -> None:
    selections = {
        "": ["dl-4", "dl-3", "dl-1"],
        "--older-than 7d": ["dl-1"],
        "--newer-than 24h": ["dl-4", "dl-3"],
        "--wish off": ["dl-1"],
        "--attempts 2": ["dl-1"],
        "--owner ann": ["dl-3"],
        "--owner -": ["dl-4", "dl-1"],
        "--suspects --instance acme": ["dl-3"],
        "--state snoozed --source backfill": ["dl-2"],
        "--state any --code INVALID_LOGIN": ["dl-4", "dl-3", "dl-2"],
        "--newer-event": [],
        "--limit 1": ["dl-4"],
    }
    for given, ids in selections.items():
        done = nightly("dead-letters", "list", *given.split(), "--json")
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ids, given
    assert nightly("dead-letters", "list").stdout.count("ann") == 1


@pytest.mark.usefixtures("_letters")
def test_a_letter_that_somebody_damaged_is_named_beside_the_others(nightly: Command, redis_client: Redis) -> None:
    redis_client.hset("nightly:letter:dl-3", "created_at", "yesterday")
    redis_client.delete("nightly:letter:dl-1")
    redis_client.set("nightly:letter:dl-1", "x")
    redis_client.set("nightly:group-state:toolbox|INVALID_LOGIN|on", "x")
    for command in (["list", "--json"], ["export"]):
        done = nightly("dead-letters", *command)
        assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["dl-4"]
        assert done.returncode == 1
        assert "dl-3 is unreadable: its field created_at is not a whole number" in done.stderr
        assert "dl-1 is unreadable: it is not a hash" in done.stderr
    assert "it is not a hash" in nightly("dead-letters", "groups").stdout
    shown = nightly("dead-letters", "show", "dl-1")
    assert shown.returncode == 1
    assert "unreadable" in shown.stderr
    for command in (["status"], ["explain", "dl-3"]):
        assert nightly(*command).returncode in {0, 1}, command
