"""`nightly backfill` for people and scripts: commands, reports, rejects, and logins of the ledger."""

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.backfill.conftest import Nightly, only, work_off
from tests.people import ANN
from worker.backfill.feeder import Feeder
from worker.ledger.audit import AuditLog
from worker.services import Services

CANARY = "canary-7f3d"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "logins.csv"
    path.write_text(
        f'note;Login ID;customer\nx;{CANARY}-1;cust-1\n\n"a;\nb";{CANARY}-2;cust-2\nx;;cust-3\nx;{CANARY}-1;cust-1\n'
        f"x;{CANARY}-4;{CANARY}-4\nx;{CANARY}-5\n"
    )
    return path


def report(nightly: Nightly, backfill_id: str, *options: str) -> list[dict[str, str]]:
    done = nightly("report", backfill_id, *options)
    assert done.returncode == 0
    return list(csv.DictReader(done.stdout.splitlines()))


def test_the_report_lists_every_row_of_the_file_and_no_login(nightly: Nightly, services: Services, path: Path) -> None:
    started = nightly("start", str(path), "--off")
    assert started.returncode == 0
    backfill = only(services)
    assert f"nightly backfill show {backfill.id} --follow" in started.stdout
    work_off(services)
    rows = report(nightly, backfill.id)
    assert [(row["line"], row["outcome"]) for row in rows] == [
        ("2", "applied"), ("4", "applied"), ("6", "invalid"), ("7", "duplicate"), ("8", "applied"), ("9", "invalid"),
    ]  # fmt: skip
    assert rows[0]["reference"] == services.vault.reference("toolbox", f"{CANARY}-1")
    assert [row["account_id"] for row in rows[:2]] == ["cust-1", "cust-2"]
    assert rows[4]["account_id"].startswith("masked-")
    assert {row["wish"] for row in rows} == {"off"}
    assert all(row["ended_at"].endswith("Z") for row in rows)
    shown = [nightly("show", backfill.id), nightly("list"), nightly("report", backfill.id, "--json"), started]
    assert not [done for done in shown if CANARY in done.stdout + done.stderr]
    assert [row["login_id"] for row in report(nightly, backfill.id, "--reveal")][:2] == [f"{CANARY}-1", f"{CANARY}-2"]
    (revealed,) = AuditLog(services.redis).entries(limit=1)
    assert (revealed.action, revealed.target, revealed.via) == ("backfill.reveal", backfill.id, "cli")


def test_report_rejects_and_summary_count_the_same_rows_before_the_backfill_has_ended(
    nightly: Nightly, services: Services, path: Path, tmp_path: Path
) -> None:
    path.write_text("loginId,note\n" + "".join(f"{CANARY}-{number},x\n,x\n" for number in range(60)))
    nightly("start", str(path), "--on")
    backfill, rejects = only(services), tmp_path / "rejects.csv"
    Feeder(services.backfills, services.vault, services.fingerprints).feed()
    done = nightly("report", backfill.id, "--rejects", str(rejects), "--output", str(tmp_path / "report.csv"))
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    invalid = [row for row in rows if row["outcome"] == "invalid"]
    assert 0 < len(invalid) < 60
    assert len(rejects.read_text().splitlines()) == 1 + len(invalid)
    assert f"{len(invalid)} rejected rows are in rejects.csv" in done.stderr
    assert f"{len(invalid)} invalid" in done.stderr
    assert {row["code"] for row in rows if row["outcome"] == "waiting"} == {""}


def test_corrected_rejects_can_be_loaded_again(
    nightly: Nightly, services: Services, path: Path, tmp_path: Path
) -> None:
    rejects, foretold = tmp_path / "rejects.csv", tmp_path / "foretold.csv"
    done = nightly("start", str(path), "--on", "--dry-run", "--rejects", str(foretold))
    assert "rejected rows are in foretold.csv. It has loginIds" in done.stderr
    nightly("start", str(path), "--on")
    Feeder(services.backfills, services.vault, services.fingerprints).feed()
    nightly("report", only(services).id, "--rejects", str(rejects))
    assert foretold.read_text() == rejects.read_text(), "a dry run writes the same bad rows"
    assert foretold.stat().st_mode & 0o777 == 0o600
    work_off(services, outcome="dead", code="NEW_ACCOUNT")
    done = nightly("report", only(services).id, "--rejects", str(rejects))
    assert (done.returncode, done.stdout) == (0, "")
    assert "5 rejected rows are in rejects.csv. It has loginIds" in done.stderr
    assert rejects.stat().st_mode & 0o777 == 0o600
    lines = rejects.read_text().splitlines()
    assert lines[:2] == ["reject_reason;note;Login ID;customer", f"NEW_ACCOUNT;;{CANARY}-1;cust-1"]
    assert "login_id: is empty;x;;cust-3" in lines
    rejects.write_text(rejects.read_text().replace(";x;;cust-3", f";x;{CANARY}-3;cust-3"))
    before = {one.id for one in services.backfills.all()}
    assert nightly("start", str(rejects), "--on").returncode == 0
    work_off(services)
    [fed_back] = [one for one in services.backfills.all() if one.id not in before]
    counts = +Counter(fed_back.counts)
    assert counts == {"applied": 4, "invalid": 1}


FORMULAS = (f"=cmd|'/C calc'!A0{CANARY}", f"@SUM(1){CANARY}", f"-2+3{CANARY}", f"+4;=5{CANARY}")


def test_no_cell_is_a_formula_and_reading_the_file_back_restores_each_cell(
    nightly: Nightly, services: Services, tmp_path: Path
) -> None:
    path, rejects, report_file = tmp_path / "logins.csv", tmp_path / "rejects.csv", tmp_path / "report.csv"
    invalid = '=HYPERLINK(1),,"=1"\n'
    path.write_text("=note,loginId,account\n" + "".join(f"x,{text},=account\n" for text in FORMULAS) + invalid)
    for round_ in (1, 2):
        nightly("start", str(path if round_ == 1 else rejects), "--on")
        work_off(services, outcome="dead", code="=FORBIDDEN")
        backfill_id = services.backfills.all()[-1].id
        nightly("report", backfill_id, "--rejects", str(rejects), "--output", str(report_file), "--reveal")
        for file in (rejects, report_file):
            cells = [cell for row in csv.reader(file.read_text().splitlines()) for cell in row]
            assert [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell] == []
            assert any(cell == f"'{FORMULAS[0]}" for cell in cells)
        rows = list(csv.DictReader(report_file.read_text().splitlines()))
        assert [row["line"] for row in rows] == ["2", "3", "4", "5", "6"]
        as_json = [
            json.loads(line) for line in nightly("report", backfill_id, "--json", "--reveal").stdout.splitlines()
        ]
        assert [row["login_id"] for row in as_json][:4] == list(FORMULAS), "the same logins each time"
        assert as_json[0]["code"] == "=FORBIDDEN"
    assert "''" not in rejects.read_text()


@pytest.mark.parametrize(
    ("content", "rejected"),
    [
        ('{"loginId": "a", "accountId": "c"}\n{"no": 1}\n', ['{"loginId": "a", "accountId": "c"}', '{"no": 1}']),
        ("a\nb,c\n", ["a", "b,c"]),
    ],
)
def test_rejects_keep_the_form_of_their_file(
    nightly: Nightly, services: Services, tmp_path: Path, content: str, rejected: Sequence[str]
) -> None:
    path, rejects = tmp_path / "logins", tmp_path / "rejects"
    path.write_text(content)
    nightly("start", str(path), "--on")
    work_off(services, outcome="dead", code="NEW_ACCOUNT")
    nightly("report", only(services).id, "--rejects", str(rejects))
    lines = rejects.read_text().splitlines()
    assert lines[1::2] == rejected
    assert lines[0] == "# line 1: NEW_ACCOUNT"
    assert lines[2].startswith("# line 2: l")


def test_a_report_gets_its_file_name_only_when_it_is_complete(nightly: Nightly, services: Services, path: Path) -> None:
    nightly("start", str(path), "--on")
    target = path.with_name("report.csv")
    target.write_text("the one of before")
    services.redis.hset(f"nightly:backfill:{only(services).id}:chunks", "0", b"\x01spoilt")
    assert nightly("report", only(services).id, "--output", str(target)).returncode == 1
    assert target.read_text() == "the one of before"
    assert sorted(each.name for each in path.parent.iterdir()) == ["logins.csv", "report.csv"]


def test_a_backfill_is_paused_resumed_and_cancelled(nightly: Nightly, services: Services, path: Path) -> None:
    nightly("start", str(path), "--on")
    backfill_id = only(services).id
    assert nightly("resume", backfill_id).returncode == 1
    assert nightly("pause", backfill_id).returncode == 0
    assert "nightly backfill resume" in nightly("show", backfill_id).stdout
    assert nightly("resume", backfill_id).returncode == 0
    assert nightly("cancel", backfill_id).returncode == 0
    assert {row["outcome"] for row in report(nightly, backfill_id)} == {"cancelled"}
    assert nightly("cancel", backfill_id).returncode == 1
    assert nightly("show", "bf-nothing").returncode == 1


def test_the_status_names_the_reason_for_waiting(nightly: Nightly, services: Services, path: Path) -> None:
    nightly("start", str(path), "--on", "--quiet-hours", "00:00-23:59", "--timezone", "America/Toronto")
    backfill_id = only(services).id
    assert "No worker is alive" in nightly("show", backfill_id).stdout
    services.ledger.pulse({}, worker="w@h", slots=1)
    assert nightly("show", backfill_id).returncode == 0
    assert "quiet hours, 00:00-23:59 America/Toronto" in nightly("show", backfill_id).stdout
    services.gate.close("toolbox", by=ANN, reason="maintenance")
    shown = nightly("show", backfill_id, "--json")
    assert shown.returncode == 1
    assert "The gate of toolbox is closed" in json.loads(shown.stdout)["standstill"]


def test_following_ends_with_the_last_row_and_says_whether_rows_were_rejected(
    nightly: Nightly, services: Services, path: Path, tmp_path: Path
) -> None:
    nightly("start", str(path), "--on")
    work_off(services)
    followed = nightly("show", only(services).id, "--follow")
    assert followed.returncode == 1
    assert "finished: 6 of 6 rows ended (3 applied, 1 duplicate, 2 invalid)" in followed.stdout
    clean = tmp_path / "clean.txt"
    clean.write_text(f"{CANARY}-1\n")
    nightly("start", str(clean), "--on")
    work_off(services)
    last = services.backfills.all()[-1]
    looks = nightly("show", last.id, "--follow", "--json")
    assert (looks.returncode, json.loads(looks.stdout)["status"]) == (0, "finished")


def test_logins_are_selected_by_their_state_in_the_ledger(nightly: Nightly, services: Services, path: Path) -> None:
    nightly("start", str(path), "--off", "--as-of", "2026-06-01")
    work_off(services)
    for where, rows in ((["account=cust-2"], 1), (["wish=off", "state=done"], 3), (["wished>2026-06-01"], 0)):
        options = [part for condition in where for part in ("--where", condition)]
        done = nightly("start", "--from-ledger", *options, "--on", "--dry-run", "--json")
        assert json.loads(done.stdout)["rows"] == rows
    assert nightly("start", "--from-ledger", "--where", "applied>2026-01-01").returncode == 0
    work_off(services)
    rows = report(nightly, services.backfills.all()[-1].id)
    assert [(row["wish"], row["outcome"]) for row in rows] == [("off", "applied")] * 3


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("start FILE", "give either --on or --off"), ("start FILE --on --off", "give either --on or --off"),
        ("start --on", "give either FILE"), ("start FILE --on --from-ledger", "give either FILE"),
        ("start FILE --on --where wish=on", "--where needs"), ("start --from-ledger --where wsih=on", "account"),
        ("start --from-ledger --where wish=yes", "wish is on or off"), ("start FILE --on --as-of noon", "a time is"),
        ("start FILE --on --as-of 2099-01-01", "future"), ("start FILE --on --instance other", "no such instance"),
        ("start FILE --on --quiet-hours 9-17", "HH:MM"), ("start --from-ledger --as-of 2026-01-01", "--as-of needs"),
    ],
)  # fmt: skip
def test_wrong_usage_prints_one_line_and_exits_with_2(
    nightly: Nightly, services: Services, path: Path, command: str, said: str
) -> None:
    done = nightly(*[str(path) if word == "FILE" else word for word in command.split()])
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert services.backfills.all() == []


def test_a_missing_file_is_reported(nightly: Nightly) -> None:
    done = nightly("start", "no-such-file", "--on")
    assert (done.returncode, done.stderr) == (1, "no-such-file cannot be read: No such file or directory\n")
