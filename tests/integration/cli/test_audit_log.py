"""`nightly audit-log`: lists who changed what, verifies the chain against the ledger and a log, and exports it."""

import json
from pathlib import Path
from typing import Literal

import pytest
from redis import Redis

from tests.integration.command import Command
from tests.people import ANN
from tests.restored_logging import restored_logging
from worker.ledger import Ledger, Notice
from worker.ledger.audit import AUDIT, AuditLog, Deed, Head
from worker.operations.alerts import report_notices
from worker.telemetry.logs import configure_logging


@pytest.fixture
def nightly(redis_url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return Command(capfd)


@pytest.fixture
def heads(redis_client: Redis, capfd: pytest.CaptureFixture[str]) -> list[Head]:
    """Fill the audit log with three entries; returns the head after each."""
    log, heads = AuditLog(redis_client), []
    for target in ("dl-1", "dl-2", "dl-1"):
        log.append(Deed(ANN, "letter.reveal", target, "they called us", {"version": 7}))
        heads.append(log.head())
    capfd.readouterr()
    return heads


def log_of(heads: list[Head]) -> str:
    lines = [json.dumps({"event": "audit_head", "number": head.number, "hash": head.grouped}) for head in heads]
    return "\n".join(['{"event": "event_received"}', *lines, "not json at all"])


@pytest.mark.usefixtures("heads")
def test_entries_are_listed_newest_first(nightly: Command) -> None:
    done = nightly("audit-log", "list")
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == ["3", "2", "1"]
    assert "they called us; version: 7" in done.stdout
    assert "page 10.0.0.7" in done.stdout
    limited = nightly("audit-log", "list", "--limit", "1").stdout
    assert limited.endswith("There are more: --limit N shows N of them, --json all.\n")
    about = nightly("audit-log", "list", "--target", "dl-1", "--json").stdout.splitlines()
    assert [json.loads(line)["number"] for line in about] == [3, 1]
    for none in (["--target", "dl-9"], ["--by", "bob"], ["--action", "gate"], ["--action", "letter.note"]):
        assert nightly("audit-log", "list", *none).stdout == "No such entry.\n"
    kind = nightly("audit-log", "list", "--by", "ann", "--action", "letter", "--json").stdout.splitlines()
    assert len(kind) == 3


def test_a_whole_log_is_intact(nightly: Command, heads: list[Head], tmp_path: Path) -> None:
    done = nightly("audit-log", "verify")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "The audit log is intact: 3 entries.")
    assert heads[-1].grouped in done.stdout
    (tmp_path / "worker.log").write_text(log_of(heads))
    compared = nightly("audit-log", "verify", "--heads", str(tmp_path / "worker.log"), "--json")
    assert (compared.returncode, json.loads(compared.stdout)["is_intact"]) == (0, True)


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_heads_that_a_worker_logs_can_be_read_from_its_log(
    nightly: Command,
    heads: list[Head],
    redis_client: Redis,
    capfd: pytest.CaptureFixture[str],
    log_format: Literal["json", "console"],
) -> None:
    with restored_logging():
        configure_logging(log_format=log_format, log_level="INFO")
        report_notices(Ledger(redis_client), [Notice(f"audit|{head}") for head in heads])
    logged = capfd.readouterr().err
    assert "audit_head" in logged
    done = nightly("audit-log", "verify", "--heads", "-", stdin=logged)
    assert done.stdout.startswith("The audit log is intact: 3 entries. It agrees with every logged head (3).")


def test_a_log_without_its_end_is_found_by_the_heads_of_a_log(
    nightly: Command, heads: list[Head], redis_client: Redis
) -> None:
    redis_client.rpop(AUDIT)
    redis_client.set("nightly:audit-head", str(heads[1]))
    assert nightly("audit-log", "verify").returncode == 0
    done = nightly("audit-log", "verify", "--heads", "-", stdin=log_of(heads))
    assert (done.returncode, "entry 3 was logged: the end is lost" in done.stdout) == (1, True)
    by_hand = nightly("audit-log", "verify", "--head", f"3 {heads[2].grouped}", "--json")
    assert (by_hand.returncode, json.loads(by_hand.stdout)["broken_entry"]) == (1, 2)


def test_an_export_verifies_on_another_machine_and_a_changed_one_does_not(
    nightly: Command, heads: list[Head], tmp_path: Path
) -> None:
    exported = nightly("audit-log", "export").stdout
    file = tmp_path / "audit.ndjson"
    file.write_text(exported)
    assert nightly("audit-log", "verify", "--file", str(file), REDIS_URL="").returncode == 0
    file.write_text(exported.replace("dl-2", "dl-3"))
    done = nightly("audit-log", "verify", "--file", str(file))
    assert (done.returncode, "broken at entry 3" in done.stdout) == (1, True)
    file.write_text(exported.replace('"n":3', '"n":3 '))
    done = nightly("audit-log", "verify", "--file", str(file), "--head", str(heads[-1]))
    assert (done.returncode, "not the one that was logged" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--head", "x"], "64 hexadecimal digits"),
        (["--heads", "missing.log"], "missing.log cannot be read"),
        (["--heads", "-"], "no line with an audit_head"),
    ],
)
def test_wrong_usage_is_said_in_one_line(nightly: Command, arguments: list[str], reason: str) -> None:
    done = nightly("audit-log", "verify", *arguments)
    assert (done.returncode, reason in done.stderr) == (2, True)


def test_a_log_with_changed_numbers_is_listed_to_its_end(nightly: Command, redis_client: Redis) -> None:
    log = AuditLog(redis_client)
    log.append(Deed(ANN, "gate.open", "toolbox"))
    redis_client.lset(AUDIT, 0, redis_client.lindex(AUDIT, 0).replace(b'"n":1', b'"n":99'))  # type: ignore[union-attr]
    assert "99" in nightly("audit-log", "list", "--json").stdout
