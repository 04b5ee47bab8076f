"""The real `nightly review`: every snippet of docs/http.md leads to its call, and no sent value is disclosed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from redis import Redis

from sandbox.emulator.remote import EmulatorControl
from sandbox.stack import EmbeddedStack, ManagedProcess
from sandbox.stack.readiness import listening_url
from tests.http_events import LOGIN, SECRET, STRUCTURED, Producer, binary_headers, event
from tests.integration.celery_worker.hooked import start_hooked
from tests.leaks import leaks, logs_in, redis_contents
from tests.places import ROOT
from tests.producers.snippets import run_snippets
from tests.review_page import REVIEW_USERS
from tests.waiting import eventually
from worker.events.channels import STREAM
from worker.web.webhook.route import UNNEEDED

SNIPPETS = run_snippets("docs/http.md")
REVIEW = [sys.executable, "-m", "worker", "review"]
PLACEHOLDER = "your-login-id"
CANARIES = [LOGIN, "CanaryOfLettersAlone", "L0gin-canary-abcdef-123456", "canary \n of 77777"]


def snippet(language: str) -> str:
    (found,) = (one.code for one in SNIPPETS if one.language == language)
    return found


@pytest.fixture
def page(stack: EmbeddedStack) -> ManagedProcess:
    stack.environment |= {"HTTP_EVENTS_SECRETS": f"crm={SECRET}", "LOG_LEVEL": "DEBUG"}
    return stack.start_process(
        "review", [*REVIEW, "--port", "0"], ready=listening_url, without=("LOGIN_KEYS", *UNNEEDED)
    )


@pytest.fixture
def url(page: ManagedProcess) -> str:
    return str(listening_url(page))


def run(command: list[str], *, stdin: str, stack: EmbeddedStack, url: str) -> None:
    environment = stack.environment | {"NIGHTLY_URL": url, "NIGHTLY_SECRET": SECRET, "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_every_snippet_leads_to_the_right_call(
    stack: EmbeddedStack, emulator: EmulatorControl, url: str, tmp_path: Path
) -> None:
    stack.start_worker()
    expected = {"login-sh": True, "login-python": False}
    run(["bash", "-eu"], stdin=snippet("sh").replace(PLACEHOLDER, "login-sh"), stack=stack, url=url)
    run([sys.executable], stdin=snippet("python").replace(PLACEHOLDER, "login-python"), stack=stack, url=url)
    if node := shutil.which("node"):
        expected["login-js"] = True
        (tmp_path / "send.mjs").write_text(snippet("js").replace(PLACEHOLDER, "login-js"))
        run([node, str(tmp_path / "send.mjs")], stdin="", stack=stack, url=url)
    binary = Producer(url).send_binary(binary_headers(event()), json.dumps(event()["data"]).encode())
    assert binary.json() == {"accepted": 1}
    expected[LOGIN] = True

    def flags() -> dict[str, bool]:
        return {login: flag.is_activated for logins in emulator.state().values() for login, flag in logins.items()}

    eventually(lambda: flags() == expected, seconds=30, describe="the calls")
    if not node:
        pytest.skip("node is not installed: its snippet in docs/http.md was NOT run")


def test_no_sent_value_appears_in_a_response_a_log_or_a_key(
    stack: EmbeddedStack, page: ManagedProcess, url: str, redis_client: Redis
) -> None:
    producer = Producer(url)
    answers: list[httpx.Response] = []
    for canary in CANARIES:
        flat = canary.replace("\n", "")
        bodies: list[object] = [
            event(data={"loginId": canary}, id=f"link-{canary}", subject=canary),
            event(data={"loginId": flat, canary: canary}),
            event(**{"type": canary, "time": canary, "specversion": canary, canary: canary}),
            [canary, {canary: canary}, event(data={"loginId": "a", "instance": canary})],
            canary.encode(),
            json.dumps(canary).encode(),
        ]
        answers += [producer.send(body) for body in bodies]
        answers += [producer.send(event(), media_type=f"text/{flat.replace(' ', '')}")]
        answers += [producer.send(event(), message_id=f"{flat}."), producer.send(event(), secret="whsec_" + "b" * 40)]
        answers += [producer.send_binary(binary_headers(event()), canary.encode(), ce_id=flat)]
        answers += [producer.send_binary(binary_headers({f"x{number}": canary for number in range(3)}), b"{}")]
        answers += [httpx.get(f"{url}/events/{flat}?loginId={flat}", trust_env=False)]
    assert {answer.status_code for answer in answers} >= {202, 400, 401, 415, 422}
    assert stack.stop_process(page) == 0
    redis_client.delete(STREAM)  # where loginIds are in clear until intake, unless SEAL_TO is set
    written = [("answer", answer.content + repr(answer.headers).encode()) for answer in answers]
    written += [*logs_in(stack.folder), *redis_contents(redis_client)]
    assert any(b"http_events_refused" in text for _, text in written)
    assert leaks([*CANARIES, SECRET.removeprefix("whsec_").rstrip("=")], written) == []


def test_an_event_over_http_wakes_a_worker_at_once(
    stack: EmbeddedStack, emulator: EmulatorControl, url: str, redis_client: Redis
) -> None:
    start_hooked(stack, "background.PULSE_SECONDS = 3600", look_seconds=5)
    eventually(lambda: redis_client.exists("nightly:workers"), describe="the only pulse there is")
    assert Producer(url).send(event()).status_code == 202
    eventually(lambda: LOGIN in next(iter(emulator.state().values()), {}), seconds=20, describe="the call")


def test_unsigned_requests_do_not_fill_the_log(stack: EmbeddedStack, page: ManagedProcess, url: str) -> None:
    producer = Producer(url)
    body = json.dumps(event()).encode()
    for _ in range(200):
        assert producer.post(body, {"content-type": STRUCTURED}).status_code == 401
    assert producer.post(body, {"content-type": "text/plain"}).status_code == 415
    assert stack.stop_process(page) == 0
    lines = [line for _, text in logs_in(stack.folder) for line in text.splitlines() if b"http_events_refused" in line]
    assert [json.loads(line)["code"] for line in lines] == ["signature", "media_type"]


@pytest.mark.parametrize("is_for_people", [True, False], ids=["with the page", "for events alone"])
def test_a_process_with_secrets_of_the_workers_warns_that_it_needs_none_of_them(
    stack: EmbeddedStack, *, is_for_people: bool
) -> None:
    stack.environment |= {"HTTP_EVENTS_SECRETS": f"crm={SECRET}", "LOG_FORMAT": "json"}
    stack.environment |= {"REVIEW_USERS": REVIEW_USERS} if is_for_people else {}
    page = stack.start_process("review", [*REVIEW, "--port", "0"], ready=listening_url)
    assert stack.stop_process(page) == 0
    lines = [json.loads(line) for line in page.output().splitlines()]
    assert [line["settings"] for line in lines if line.get("event") == "secrets_not_needed_here"] == [
        ["FLINKS_AUTH_KEY"] if is_for_people else ["LOGIN_KEYS", "FLINKS_AUTH_KEY"]
    ]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"REDIS_URL": ""}, "REDIS_URL: is required here; it names the ledger"),
        ({"SEAL_TO": LOGIN}, "SEAL_TO: is not a public key; `nightly keys public` prints it"),
        ({"HTTP_EVENTS_SECRETS": LOGIN}, "HTTP_EVENTS_SECRETS: entry 1 must be name=whsec_...; `nightly keys webhook`"),
    ],
)
def test_a_setting_that_is_wrong_or_missing_stops_the_start_with_one_line(
    redis_url: str, changed: dict[str, str], reason: str
) -> None:
    given = {"REDIS_URL": redis_url, "HTTP_EVENTS_SECRETS": f"crm={SECRET}"} | changed
    command, environment = REVIEW, os.environ | given | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, done.stdout, line["event"]) == (2, "", "start_refused")
    assert line["reason"].startswith(reason)
    assert LOGIN not in done.stderr
