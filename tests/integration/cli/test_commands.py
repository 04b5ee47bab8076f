"""The `nightly` command for people: its output, its exit codes, and no loginId anywhere."""

import json
import socket
from collections.abc import Sequence

import pytest
from redis import Redis

from tests import ledger_calls
from tests.integration.command import Command
from tests.waiting import eventually
from worker.config.settings import Settings
from worker.intake.messages import CeleryMessage
from worker.ledger import Ledger, Settlement
from worker.ledger.history import attempt_text
from worker.services import build_services

CANARY = "canary-7f3d-login"


@pytest.fixture
def nightly(
    redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    settings = {"REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "canary-key", "COLUMNS": "100"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return Command(capfd, never_shown="canary")


def take_in(events: Sequence[tuple[str, str]] = (("evt-1", CANARY),)) -> list[str]:
    """Record events as a worker would; returns the references."""
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    for event_id, login_id in events:
        kwargs = {
            "login_id": login_id,
            "occurred_at": "2026-11-22T10:00:00Z",
            "event_id": event_id,
            "account_id": "cust-1",
        }
        assert services.intake.accept_messages([CeleryMessage("account.linked", [], kwargs, "task")])
    return [services.vault.reference("toolbox", login_id) for _, login_id in events]


def park(redis_client: Redis, code: str = "INVALID_LOGIN") -> None:
    """Settle one due login as dead, as a worker would."""
    ledger, shared = Ledger(redis_client), {"calls_per_second": 1000, "fingerprint": "test", "owner": "o"}
    bounds = {"at_most": 1, "worker": "w", "lease_seconds": 9, "settle_seconds": 9, "max_in_flight": 9}
    reply = eventually(lambda: ledger_calls.claim(ledger, "toolbox", **bounds, **shared).claims)
    attempt = attempt_text(at=1, wish=True, outcome="dead", code=code, http_status=400, message="no such")
    dead = Settlement(reply[0], "dead", code=code, http_status=400, message="no such login", attempt=attempt)
    ledger_calls.settle(ledger, "toolbox", [dead], **shared)


@pytest.mark.parametrize(
    "command",
    [
        "publish", "publish linked", f"publish linked --login-id {CANARY} --occurred-at yesterday",
        "publish linked --file -", "dead-letters replay",
        "dead-letters replay dl-1 --all", "dead-letters resolve --all", "gate close unknown --reason x",
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2(nightly: Command, command: str) -> None:
    assert nightly(*command.split()).returncode == 2


def test_wrong_settings_print_a_line_each_and_exit_with_2(nightly: Command) -> None:
    done = nightly("status", REDIS_URL="canary", LOG_LEVEL="canary")
    assert done.returncode == 2
    assert sorted(line.partition(":")[0] for line in done.stderr.splitlines()) == ["LOG_LEVEL", "REDIS_URL"]
    assert nightly("status", REDIS_URL="redis://:can/canary@h:1").returncode == 2


def test_an_unavailable_redis_is_one_line_with_the_host_and_no_password(nightly: Command) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{nobody.getsockname()[1]}"
        for command in (["status"], ["dead-letters", "list"], ["publish", "linked", "--login-id", CANARY], ["health"]):
            done = nightly(*command, REDIS_URL=f"redis://:canary-password@{place}/0")
            assert done.returncode == 1
            assert done.stderr == f"Nothing listens at {place}. Start Redis there, or correct REDIS_URL.\n"


def test_a_refused_redis_login_is_reported(nightly: Command, redis_url: str) -> None:
    done = nightly("status", REDIS_URL=redis_url.replace("://", "://nobody:canary@"))
    assert done.returncode == 1
    assert "refuses our login" in done.stderr


def test_status_is_calm_for_a_new_ledger_and_an_alarm_for_work_without_a_worker(
    nightly: Command, redis_client: Redis
) -> None:
    calm = nightly("status")
    assert (calm.returncode, "No event is recorded yet" in calm.stdout) == (0, True)
    redis_client.lpush("account-events", b"{}")
    unread = nightly("status")
    assert (unread.returncode, "NO WORKER" in unread.stdout) == (1, True)
    assert "No event is recorded yet" not in unread.stdout
    redis_client.delete("account-events")
    take_in()
    alarmed = nightly("status")
    assert alarmed.returncode == 1
    assert "NO WORKER" in alarmed.stdout
    document = json.loads(nightly("status", "--json").stdout)
    assert document["instances"]["toolbox"]["tally"]["recorded"] == 1
    assert document["needs_a_person"][0]["title"] == "NO WORKER"


def test_explain_finds_a_login_by_reference_and_by_its_id_alike(nightly: Command) -> None:
    [reference] = take_in()
    by_reference, by_login = nightly("explain", reference), nightly("explain", "-", stdin=CANARY)
    assert by_reference.returncode == by_login.returncode == 0
    assert reference in by_login.stdout
    assert "cust-1" in by_login.stdout
    assert json.loads(nightly("explain", reference, "--json").stdout)["wish"] == "on"
    assert nightly("explain", "-", stdin="somebody-else").returncode == 1


def test_explain_with_the_wrong_keys_says_so_instead_of_unknown(nightly: Command) -> None:
    take_in()
    other_key = nightly("keys", "new").stdout.strip()
    done = nightly("explain", "-", stdin=CANARY, LOGIN_KEYS=other_key)
    assert done.returncode == 1
    assert "LOGIN_KEYS" in done.stderr


def test_a_dead_letter_is_found_read_and_replayed(nightly: Command, redis_client: Redis) -> None:
    [reference] = take_in()
    park(redis_client)
    assert "INVALID_LOGIN" in nightly("dead-letters", "groups").stdout
    [listed] = [json.loads(line) for line in nightly("dead-letters", "list", "--json").stdout.splitlines()]
    assert (listed["id"], listed["login"]) == ("dl-1", reference)
    shown = nightly("dead-letters", "show", "dl-1").stdout
    for words in ("HTTP 400", "no such login", "cust-1", "nightly dead-letters replay dl-1"):
        assert words in shown
    assert "dl-1: INVALID_LOGIN" in nightly("explain", reference).stdout
    assert nightly("dead-letters", "replay", "dl-1").returncode == 0
    assert nightly("dead-letters", "replay", "dl-1").returncode == 1
    assert json.loads(nightly("explain", reference, "--json").stdout)["state"] == "waiting"
    closed = json.loads(nightly("dead-letters", "list", "--state", "closed", "--json").stdout)
    assert closed["status"] == "replayed"


def test_dead_letters_are_selected_by_filter_and_a_dry_run_changes_nothing(
    nightly: Command, redis_client: Redis
) -> None:
    take_in([(f"evt-{number}", f"{CANARY}-{number}") for number in range(3)])
    for code in ("INVALID_LOGIN", "INVALID_LOGIN", "NEW_ACCOUNT"):
        park(redis_client, code)
    dry = nightly("dead-letters", "resolve", "--code", "INVALID_LOGIN", "--note", "x", "--dry-run")
    assert "2 letters: dl-2, dl-1" in dry.stdout
    assert len(nightly("dead-letters", "export").stdout.splitlines()) == 3
    done = nightly("dead-letters", "resolve", "--code", "INVALID_LOGIN", "--note", "cards deleted")
    assert (done.returncode, "In total: 2 resolved" in done.stdout) == (0, True)
    left = [json.loads(line) for line in nightly("dead-letters", "export").stdout.splitlines()]
    assert [letter["code"] for letter in left] == ["NEW_ACCOUNT"]
    assert "cards deleted" in nightly("dead-letters", "show", "dl-1").stdout


def test_a_replayed_message_that_is_still_invalid_stays_open_and_the_output_is_valid_json(nightly: Command) -> None:
    services = build_services(Settings.load())
    services.intake.accept_bodies([json.dumps({"loginId": CANARY}).encode()])
    done = nightly("dead-letters", "replay", "--all", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["outcome"] == "still_invalid"
    assert "sealed" not in nightly("dead-letters", "export").stdout.replace("sealed_body", "sealed")


def test_the_gate_is_closed_and_opened_by_hand(nightly: Command) -> None:
    assert nightly("gate", "show").returncode == 0
    assert nightly("gate", "close", "--reason", "maintenance").returncode == 0
    shown = nightly("gate", "show", "--json")
    assert (shown.returncode, json.loads(shown.stdout)["detail"]) == (1, "maintenance")
    closed = nightly("status")
    assert closed.returncode == 1
    assert "GATE CLOSED: toolbox" in closed.stdout
    assert nightly("gate", "open").returncode == 0
    assert nightly("gate", "show").returncode == 0


def test_an_outage_exits_with_1_only_when_it_needs_a_person(nightly: Command, redis_client: Redis) -> None:
    Ledger(redis_client).pulse({}, worker="celery@here", slots=2)
    redis_client.sadd("nightly:instances", "toolbox")
    at = int(redis_client.time()[0]) * 1000
    for minutes, code, words in ((14, 0, "No action is needed"), (16, 1, "It lasts long")):
        about = {"outage": 1, "outage_at": at - minutes * 60_000, "outage_detail": "10 calls in a row failed"}
        redis_client.hset("nightly:gate:toolbox", mapping=about)
        for command in (["status"], ["gate", "show"]):
            done = nightly(*command)
            assert (done.returncode, words in " ".join(done.stdout.split())) == (code, True)
        checks = {check["name"]: check for check in map(json.loads, nightly("doctor", "--json").stdout.splitlines())}
        assert checks["toolbox: gate"]["level"] == ("fail" if code else "warn")
        assert words in checks["toolbox: gate"]["advice"]


def test_health_reports_whether_the_worker_of_this_host_is_well(nightly: Command, redis_client: Redis) -> None:
    assert nightly("health").returncode == 1
    Ledger(redis_client).pulse({}, worker=f"celery@{socket.gethostname()}", slots=1)
    assert nightly("health").returncode == 0
    assert nightly("health", "--worker", "celery@elsewhere").returncode == 1
    Ledger(redis_client, now_ms=lambda: 1).pulse({}, worker=f"celery@{socket.gethostname()}", slots=1)
    assert nightly("health").returncode == 1


def test_secrets_are_made_without_redis(nightly: Command) -> None:
    assert len(nightly("keys", "new", REDIS_URL="").stdout.strip()) == 43
    assert len(nightly("keys", "webhook", REDIS_URL="").stdout.strip().removeprefix("whsec_")) == 44
    hashed = nightly("users", "hash", stdin="a password\n", REDIS_URL="").stdout
    assert hashed.startswith("scrypt.")
    assert nightly("users", "hash", stdin="\n").returncode == 2


@pytest.mark.parametrize(
    "command",
    [
        "dead-letters replay --all", "dead-letters resolve --all --note x", "gate close --reason x", "gate open",
        "backfill start --from-ledger --off", "backfill pause bf-1", "backfill cancel bf-1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["sandbox", "production"])
def test_sandbox_commands_change_nothing_in_production_and_production_commands_nothing_in_a_sandbox(
    nightly: Command, redis_client: Redis, command: str, kind: str
) -> None:
    take_in()
    redis_client.hset("nightly:meta", "kind", kind)
    before = {key: redis_client.dump(key) for key in redis_client.scan_iter()}
    done = nightly(*command.split(), SANDBOX=str(int(kind == "production")))
    assert done.returncode == 1
    assert done.stderr.startswith(f"This ledger was begun {'as a' if kind == 'sandbox' else 'in'} {kind}")
    assert {key: redis_client.dump(key) for key in redis_client.scan_iter()} == before


@pytest.mark.parametrize("command", ["status", "dead-letters list", "gate show", "backfill list", f"explain {CANARY}"])
def test_read_only_commands_work_on_a_sandbox_and_on_production(
    nightly: Command, redis_client: Redis, command: str
) -> None:
    take_in()
    Ledger(redis_client).pulse({}, worker="celery@here", slots=2)
    for sandbox in "01":
        assert nightly(*command.split(), SANDBOX=sandbox).returncode == 0
