"""Every block of code in the README and in docs/ is run, or is listed with the reason why not."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sandbox.emulator.remote import EmulatorControl
from tests.integration.celery_worker.conftest import Nightly, cloud_event, new_logins
from tests.integration.command import Command
from tests.ledger_calls import list_letters
from tests.places import ROOT
from tests.producers.conftest import expect_call
from tests.producers.snippets import NOT_RUN, RUN_BY, Snippet, run_snippets, snippets
from worker.__main__ import main

OPERATED = ("README.md", "docs/backfills.md", "docs/emulator.md", "docs/operating.md")
"""Documents with blocks of commands for operators."""
GUIDE = [
    snippet
    for document in ("README.md", "docs/sending-events.md")
    for snippet in run_snippets(document)
    if not snippet.is_for_operators
]
AT_EMULATOR = [snippet for snippet in run_snippets("docs/emulator.md") if not snippet.is_for_operators]
DOCUMENTS = [str(path.relative_to(ROOT)) for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])]
KNOWS_NOTHING_OF_OURS = "\nimport sys\nassert not {'worker', 'tasks', 'sandbox'} & {*sys.modules}\n"
MADE = {"bf-k5mxq2abcd": r"\bbf-[a-z0-9]{10}\b", "dl-1": r"\bdl-\d+\b"}
"""Ids in the documents, and the pattern of the id that a command before them prints."""


def _python(snippet: Snippet, folder: Path) -> list[str]:
    code = snippet.code + (KNOWS_NOTHING_OF_OURS if "import Celery" in snippet.code else "")
    (folder / "snippet.py").write_text(code)
    return [sys.executable, "snippet.py"]


def _shell(snippet: Snippet, folder: Path) -> list[str]:
    if "redis-cli" in snippet.code and not _has_redis_cli():
        pytest.skip("no redis-cli here: this producer is NOT tested")
    (folder / "snippet.sh").write_text(snippet.code)
    return ["sh", "-eu", "snippet.sh"]


def _node(snippet: Snippet, folder: Path) -> list[str]:
    (folder / "send.mjs").write_text(snippet.code)
    return ["node", "send.mjs"]


RUNNERS: Mapping[str, Callable[[Snippet, Path], list[str]]] = {"python": _python, "sh": _shell, "js": _node}


def _has_redis_cli() -> bool:
    return bool(shutil.which("redis-cli") or Path(sys.executable).with_name("redis-cli").exists())


@pytest.mark.parametrize("snippet", GUIDE, ids=lambda snippet: snippet.name)
def test_each_snippet_leads_to_the_call_that_it_describes(
    snippet: Snippet,
    working: Nightly,
    surroundings: Mapping[str, str],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if snippet.language == "js":
        (tmp_path / "node_modules").symlink_to(request.getfixturevalue("node_modules"))
    login, other = new_logins(2)
    _lay_out_files(tmp_path, login, other)
    told = _told(snippet, login)
    assert login in told.code or "login-id.txt" in told.code, "the snippet names no login"

    command = RUNNERS[told.language](told, tmp_path)
    ended = subprocess.run(
        command, cwd=tmp_path, env=surroundings, check=False, timeout=60, capture_output=True, text=True
    )

    assert ended.returncode == 0, ended.stderr
    assert login not in ended.stdout + ended.stderr
    expect_call(working, login, on="inactive" not in snippet.code)
    if "cust-42" in snippet.code:
        assert working.services.views.login(working.reference(login))["account_id"] == "cust-42"
    if "events.ndjson" in snippet.code:
        expect_call(working, other, on=True)


def _told(snippet: Snippet, login: str) -> Snippet:
    """Fill in what a reader fills in: the login."""
    return Snippet(snippet.name, snippet.language, snippet.code.replace("your-login-id", login))


def _lay_out_files(folder: Path, login: str, other: str) -> None:
    (folder / "login-id.txt").write_text(f"{login}\n")
    event = {"type": "account.linked", "login_id": other, "occurred_at": "2026-11-22T10:00:00Z"}
    (folder / "events.ndjson").write_text(json.dumps(event) + "\n")


@pytest.fixture
def letters_and_logins(working: Nightly, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Two open dead letters and a file of logins; return what the documents call them, and what they are here."""
    first, second, other = new_logins(3)
    working.emulator.unknown_logins(first, second)
    working.send([cloud_event(login, on=True, minute=0) for login in (first, second)])
    working.comes_to_rest()
    (tmp_path / "logins.csv").write_text(f"login_id\n{other}\n")
    for name, value in working.stack.environment.items():
        monkeypatch.setenv(name, value)
    opened = [
        letter.id
        for login in (first, second)
        for letter in list_letters(working.services.letters)
        if letter.login == working.reference(login)
    ]
    return dict(zip(["dl-17", "dl-18"], opened, strict=True))


@pytest.mark.parametrize("document", OPERATED)
def test_each_command_for_operators_succeeds(
    document: str,
    letters_and_logins: dict[str, str],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.integration.command.main", main)  # which has the commands of the sandbox as well
    names, nightly = letters_and_logins, Command(capfd)
    for line in [line for one in run_snippets(document) if one.is_for_operators for line in one.code.splitlines()]:
        program, *arguments = shlex.split(line, comments=True)
        assert program == "nightly"
        done = nightly(*(names.get(argument, argument) for argument in arguments))
        is_refused = "--wait" in arguments and "dead-lettered as INVALID_LOGIN" in done.stdout
        assert done.returncode == int(is_refused), (line, done.stdout, done.stderr)
        for placeholder, pattern in MADE.items():
            if found := re.findall(pattern, done.stdout):
                names[placeholder] = found[-1]


@pytest.mark.parametrize("snippet", AT_EMULATOR, ids=lambda snippet: snippet.name)
def test_each_snippet_reaches_the_emulator(snippet: Snippet, emulator: EmulatorControl, tmp_path: Path) -> None:
    assert "http://127.0.0.1:9000" in snippet.code
    code = snippet.code.replace("http://127.0.0.1:9000", emulator.base_url)
    command = RUNNERS[snippet.language](Snippet(snippet.name, snippet.language, code), tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, timeout=60, capture_output=True, text=True
    )
    for answer in re.findall(r"^# (.+)$", code, re.MULTILINE)[-1:] if snippet.language == "sh" else []:
        assert done.stdout.strip() == answer


def test_every_block_has_a_test_or_a_reason() -> None:
    for document in DOCUMENTS:
        for snippet in snippets(document):
            assert snippet.language in RUNNERS, f"{snippet.name}: name one of {', '.join(RUNNERS)}, or no language"
            assert snippet.why_not_run or document in RUN_BY, f"{snippet.name}: run it, or say in NOT_RUN why not"


def test_every_reason_is_about_a_block_that_exists() -> None:
    blocks = [snippet.code for document in DOCUMENTS for snippet in snippets(document)]
    assert [start for start in NOT_RUN if not any(code.startswith(start) for code in blocks)] == []
    assert all((ROOT / test).exists() for test in RUN_BY.values())


def test_every_way_of_sending_in_the_guide_has_a_snippet() -> None:
    words = "\n".join(snippet.code for snippet in GUIDE)
    for way_in in (
        "XADD",
        "xAdd",
        "import publish\n",
        "publish_many",
        "nightly publish",
        "send_task",
        "celery-node",
        "crypto_box_seal",
    ):
        assert way_in in words
    assert {snippet.language for snippet in GUIDE} == set(RUNNERS)
