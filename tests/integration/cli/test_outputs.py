"""What every command prints: no id is cut or broken on any terminal or in a pipe, and `--json` matches its schema."""

import json
import re
from dataclasses import asdict

import pytest
from jsonschema import Draft7Validator

from docs.generator.command_line import OUTPUTS, schema
from tests import ledger_calls
from tests.integration.command import Command
from tests.people import ANN
from tests.waiting import eventually
from worker.backfill.file_rows import Form
from worker.backfill.loader import Loading, Terms
from worker.backfill.models import Asks, Row
from worker.config.settings import Settings
from worker.intake.messages import CeleryMessage
from worker.ledger import Settlement
from worker.ledger.history import attempt_text
from worker.operations.bulk import BulkJobs
from worker.operations.documents import Letter, Login
from worker.operations.state_documents import Gate, Instance, Status, Way
from worker.operations.waiting import read_state
from worker.services import Services, build_services

INSTANCE = "a-flinks-instance-with-quite-a-long-name-ca"
EVENT, ACCOUNT = "evt-" + "e" * 60, "account " + "a" * 56
REJECTED = "evt-rejected-" + "r" * 51
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
SCREENS = {
    "80 columns": {"COLUMNS": "80", "TTY_COMPATIBLE": "1", "TERM": "xterm"},
    "200 columns": {"COLUMNS": "200", "TTY_COMPATIBLE": "1", "TERM": "xterm"},
    "20 columns": {"COLUMNS": "20", "TTY_COMPATIBLE": "1", "TERM": "xterm"},
    "a pipe": {"COLUMNS": "20", "TTY_COMPATIBLE": "0"},
}


@pytest.fixture
def services(redis_url: str, login_keys: str, monkeypatch: pytest.MonkeyPatch) -> Services:
    settings = {
        "REDIS_URL": redis_url, "LOGIN_KEYS": login_keys, "FLINKS_AUTH_KEY": "a-key", "FLINKS_INSTANCE": INSTANCE,
    }  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    services = build_services(Settings.load())
    services.ledger.open_ledger(services.vault.fingerprint("reference"))
    return services


@pytest.fixture
def ids(services: Services) -> dict[str, str]:
    """Fill the ledger with dead letters of a login and of a message, and with a backfill; returns the ids."""
    event = {"login_id": "login-1", "occurred_at": "2026-11-22T10:00:00Z", "event_id": EVENT, "account_id": ACCOUNT}
    assert services.intake.accept_messages([CeleryMessage("account.linked", [], event, "task")])
    unknown = event | {"instance": "elsewhere", "event_id": REJECTED}
    assert not services.intake.accept_messages([CeleryMessage("account.linked", [], unknown, "task")])
    shared = {"calls_per_second": 1000, "fingerprint": "test", "owner": "o"}
    bounds = {"at_most": 1, "worker": "w", "lease_seconds": 9, "settle_seconds": 9, "max_in_flight": 9}
    [claim] = eventually(lambda: ledger_calls.claim(services.ledger, INSTANCE, **bounds, **shared).claims)
    attempt = attempt_text(at=1, wish=True, outcome="dead", code="INVALID_LOGIN", http_status=400, message="no such")
    dead = Settlement(claim, "dead", code="INVALID_LOGIN", http_status=400, message="no such login", attempt=attempt)
    ledger_calls.settle(services.ledger, INSTANCE, [dead], **shared)
    terms = Terms(instance=INSTANCE, wish=Asks.ON, name="logins.csv", by=ANN)
    loading = Loading(services.backfills, services.vault)
    rows = [Row(1, "login-9", ACCOUNT)]
    backfill = loading.load(iter(rows), Form("plain"), terms, now_us=services.backfills.now_ms() * 1000)
    job = BulkJobs(services.redis, calls_per_second=5).prepare("replay", ["dl-1"], by=ANN)
    [message] = [letter.id for letter in ledger_calls.list_letters(services.letters) if letter.kind == "message"]
    return {
        "reference": claim.reference, "letter": "dl-1", "message": message, "job": job.id, "backfill": backfill.id,
        "row": services.vault.reference(INSTANCE, "login-9"), "event": EVENT, "account": ACCOUNT,
        "rejected": REJECTED, "instance": INSTANCE,
    }  # fmt: skip


@pytest.mark.parametrize("screen", SCREENS)
def test_every_id_is_whole_on_one_line_of_every_reading_command(
    ids: dict[str, str], capfd: pytest.CaptureFixture[str], screen: str
) -> None:
    nightly = Command(capfd)
    commands = {
        "status": ["instance"],
        "gate show": ["instance"],
        f"gate show {INSTANCE}": ["instance"],
        f"explain {ids['reference']}": ["reference", "instance", "event", "account", "letter"],
        f"explain {EVENT}": ["reference", "instance", "event", "account", "letter"],
        f"explain {ids['message']}": ["message", "rejected"],
        "dead-letters groups": ["instance"],
        "dead-letters list": ["letter", "message", "reference", "instance", "account"],
        "dead-letters show dl-1": ["letter", "reference", "instance", "event", "account"],
        f"dead-letters show {ids['message']}": ["message", "rejected"],
        "dead-letters export": ["letter", "message", "reference", "instance", "event", "account", "rejected"],
        "bulk list": ["job"],
        f"bulk show {ids['job']}": ["job"],
        f"bulk report {ids['job']}": ["letter", "reference"],
        "backfill list": ["backfill", "instance"],
        f"backfill show {ids['backfill']}": ["backfill", "instance"],
        f"backfill report {ids['backfill']}": ["row", "account"],
        "dead-letters replay --all --dry-run": ["letter", "message"],
    }
    for command, shown in commands.items():
        done = nightly(*command.split(), **SCREENS[screen])
        lines = COLOUR.sub("", done.stdout).splitlines()
        for name in shown:
            assert any(ids[name] in line for line in lines), (command, name, done.stdout)
        assert all(line == line.rstrip() for line in lines), command
        if screen == "a pipe":
            assert "\x1b" not in done.stdout, command
            assert not set("─│┃━…") & set(done.stdout), command


def test_the_json_of_every_command_matches_the_published_schema(
    ids: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    nightly, published = Command(capfd), schema()
    rows = "login-1\n,\n"
    commands = {
        "status": "status",
        "health": "health",
        "doctor": "doctor",
        "publish linked --login-id - --event-id evt-2": "publish",
        "publish linked --login-id - --event-id evt-3 --wait --within 0": "publish",
        f"explain {ids['reference']}": "explain",
        f"explain {ids['message']}": "explain",
        "gate close --reason maintenance": "gate close",
        "gate open": "gate open",
        "gate show": "gate show",
        f"gate show {INSTANCE}": "gate show",
        "dead-letters groups": "dead-letters groups",
        "dead-letters list": "dead-letters list",
        "dead-letters show dl-1": "dead-letters show",
        f"dead-letters show {ids['message']}": "dead-letters show",
        "dead-letters export": "dead-letters export",
        "dead-letters replay --all --dry-run": "dead-letters replay",
        "bulk list": "bulk list",
        f"bulk show {ids['job']}": "bulk show",
        f"bulk report {ids['job']}": "bulk report",
        f"bulk count {ids['job']}": "bulk count",
        f"bulk run {ids['job']}": "bulk run",
        f"bulk pause {ids['job']}": "bulk pause",
        f"bulk resume {ids['job']}": "bulk resume",
        f"bulk cancel {ids['job']}": "bulk cancel",
        "dead-letters replay --all": "dead-letters replay",
        "dead-letters resolve --all --note done": "dead-letters resolve",
        "audit-log list": "audit-log list",
        "audit-log verify": "audit-log verify",
        "dead-letters list --state closed": "dead-letters list",
        "backfill list": "backfill list",
        f"backfill show {ids['backfill']}": "backfill show",
        f"backfill report {ids['backfill']} --reveal": "backfill report",
        f"backfill pause {ids['backfill']}": "backfill pause",
        f"backfill resume {ids['backfill']}": "backfill resume",
        f"backfill cancel {ids['backfill']}": "backfill cancel",
        "backfill start - --off --dry-run": "backfill start --dry-run",
        "backfill start - --off": "backfill start",
    }
    seen = set[str]()
    for command, output in commands.items():
        as_json = [] if "export" in command else ["--json"]
        lines = nightly(*command.split(), *as_json, stdin=rows).stdout.splitlines()
        assert lines, command
        seen.add(output)
        checker = Draft7Validator({**published["commands"][output], "definitions": published["definitions"]})
        for line in lines:
            checker.validate(json.loads(line))
    assert seen == OUTPUTS.keys()


def test_no_value_that_the_ledger_shows_is_left_out(services: Services, ids: dict[str, str]) -> None:
    state = read_state(services.redis, services.settings)
    shown = {
        Status: state,
        Instance: state["instances"][INSTANCE],
        Gate: services.views.gate(INSTANCE),
        Way: state["waiting_events"]["queue"],
        Login: services.views.login(ids["reference"]),
        Letter: asdict(services.letters.get("dl-1")),
    }
    for model, values in shown.items():
        names = {about.validation_alias or name for name, about in model.model_fields.items()}
        assert values is not None
        assert values.keys() - {"history"} <= names, model  # its lines are in attempts, events and actions
