"""`nightly dead-letters acknowledge | mute | reopen | assign-group`, and what `groups` then shows."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.command import Command
from tests.integration.ledger.many_letters import file_letters
from worker.ledger.audit import AuditLog


@pytest.fixture
def nightly(
    redis_client: Redis, redis_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("REDIS_URL", redis_url)
    at = int(redis_client.time()[0]) * 1000  # type: ignore[index]
    file_letters(redis_client, [{"id": f"dl-{wish}", "created_at": at, "wish": wish} for wish in ("on", "off")])
    return Command(capfd)


def off_group(nightly: Command) -> dict[str, Any]:
    groups = [json.loads(line) for line in nightly("dead-letters", "groups", "--json").stdout.splitlines()]
    (group,) = [group for group in groups if group["wish"] == "off"]
    return group  # type: ignore[no-any-return]


def test_a_group_is_handled_from_the_command_line(nightly: Command, redis_client: Redis) -> None:
    def decide(verb: str, *options: str) -> str:
        done = nightly("dead-letters", verb, "INVALID_LOGIN", "--wish", "off", *options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    known = decide("acknowledge", "--note", "known")
    assert known == "INVALID_LOGIN off toolbox is acknowledged until it has more letters than now (1).\n"
    assert off_group(nightly)["state"] == "acknowledged"
    assert "is muted until" in decide("mute", "--for", "7d")
    assert (off_group(nightly)["state"], "muted until" in nightly("dead-letters", "groups").stdout) == ("muted", True)
    decide("assign-group", "--owner", "carol")
    assert decide("reopen") == "INVALID_LOGIN off toolbox is open.\n"
    group = off_group(nightly)
    assert (group["state"], group["owner"], group["new_letters"]) == ("open", "carol", 1)
    actions = [entry.action for entry in AuditLog(redis_client).entries(target="toolbox|INVALID_LOGIN|off")]
    assert actions == ["group.reopen", "group.assign", "group.mute", "group.acknowledge"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["acknowledge", "INVALID_LOGIN"], "name one group with --instance and --wish: INVALID_LOGIN o"),
        (["reopen", "INVALID_LOGIN", "--instance", "elsewhere"], "no such instance"),
        (["reopen", "DISABLED_LOGIN"], "no open dead letter has the code DISABLED_LOGIN"),
        (["reopen", "nonsense"], "no such code"),
        (["mute", "INVALID_LOGIN", "--wish", "on", "--for", "soon"], "a number of hours or days"),
    ],
)
def test_wrong_usage_is_said_in_one_line(nightly: Command, arguments: list[str], reason: str) -> None:
    done = nightly("dead-letters", *arguments)
    assert (done.returncode, reason in done.stderr) == (2, True), done.stderr


def test_a_mute_of_more_than_90_days_is_refused(nightly: Command) -> None:
    done = nightly("dead-letters", "mute", "INVALID_LOGIN", "--wish", "on", "--for", "91d")
    assert (done.returncode, "within the next 90 days" in done.stderr) == (1, True)
