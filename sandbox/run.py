"""`nightly run`: starts the embedded stack, prints its addresses, and watches it until Ctrl-C.

The caller's settings and `.env` apply. Redis is embedded only if REDIS_URL is not set. Flinks is emulated only if no
key is set, and only on a sandbox ledger: the embedded one, or yours with SANDBOX=1. If a part dies, the run ends and
prints the end of that part's log. It prints no secret, and creates secrets (in `.nightly/`) only for an embedded Redis.
"""

import json
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from sandbox.stack import EmbeddedStack, ManagedProcess
from sandbox.stack.readiness import listening_url
from worker.broker.celery_config import default_concurrency
from worker.cli.output import COMMAND, DIM, NAME, console, pairs
from worker.cli.shell import INTERRUPTED, told_to_stop, typed
from worker.config.settings import Settings
from worker.errors import EmbeddedStackError
from worker.redis_client.error_messages import place_of
from worker.web.webhook.route import UNNEEDED

FOLDER = Path(".nightly")
PORT = 8080
LOOK_SECONDS = 0.5
LOGIN, OTHER_LOGIN = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
"""LoginIds of the printed examples; the emulated Flinks accepts every loginId."""


def run(
    *,
    port: Annotated[
        int | None, typer.Option(help="Port of the review page. [8080, or a free one]", min=0, max=65_535)
    ] = None,
    tcp: Annotated[
        bool, typer.Option("--tcp", help="Redis on loopback with a password, for clients without Unix sockets.")
    ] = False,
) -> None:
    """Run Redis, a worker and the review page until Ctrl-C, and an emulated Flinks if no key is set."""
    screen, is_up = console(), False
    try:
        with told_to_stop():
            screen.print("Starting; Ctrl-C stops everything.")
            stack = EmbeddedStack(
                FOLDER,
                isolated=False,
                concurrency=default_concurrency(),
                tcp=tcp,
                on_step=lambda line: screen.print(f"  {line}", soft_wrap=True),
            )
            with stack:
                review = _start_review(stack, port)
                _print_addresses(screen, stack, listening_url(review) or "")
                is_up = True
                _watch(stack)
    except KeyboardInterrupt:
        screen.print("Stopped. Nothing is left running.")
        raise typer.Exit(0 if is_up else INTERRUPTED) from None


def _start_review(stack: EmbeddedStack, port: int | None) -> ManagedProcess:
    chosen = (PORT if _is_free(PORT) else 0) if port is None else port
    argv = [sys.executable, "-m", "worker", "review", "--port", str(chosen)]
    settings = stack.settings()
    if settings.seal_to is None:
        stack.environment["SEAL_TO"] = str(settings.vault().public_keys[0])
    return stack.start_process("review", argv, ready=listening_url, without=UNNEEDED)


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def _print_addresses(screen: Console, stack: EmbeddedStack, page_url: str) -> None:
    settings = stack.settings()
    screen.print()
    screen.print(Text("Nightly is up. Ctrl-C stops it.", NAME))
    screen.print(pairs(_places(stack, settings, page_url)), soft_wrap=True)
    screen.print()
    screen.print(Text("In another shell, in this folder:", NAME))
    for line in _commands(stack):
        screen.print(Text(f"  {line}", COMMAND), soft_wrap=True)
    screen.print(Text(f"\nIf a part dies, everything stops. {FOLDER}/ holds data, keys and logs.", DIM), soft_wrap=True)


def _places(stack: EmbeddedStack, settings: Settings, page_url: str) -> Iterator[tuple[str, object]]:
    if stack.redis:
        yield "Redis", f"at {place_of(stack.redis.url)} (embedded {stack.redis.server}, data in {FOLDER}/)"
    else:
        yield "Redis", f"at {place_of(stack.environment['REDIS_URL'])} (from REDIS_URL)"
    if stack.emulator_url:
        yield "Flinks", f"emulated at {stack.emulator_url}, because no FLINKS_AUTH_KEY is set: nothing real is called"
    else:
        yield "Flinks", f"the REAL one: instance {', '.join(settings.instances())}"
    yield "ledger", "a sandbox, which production workers refuse" if settings.sandbox else "production"
    yield "review page", page_url
    if settings.review_users is None:
        yield "", "closed until REVIEW_USERS names a user. To open it:"
        yield "", f"run {typed('nightly')} users hash, put REVIEW_USERS=you:viewer:HASH into .env, start again"
    is_open = settings.http_events_secrets is not None
    yield "events by HTTP", f"POST {page_url}/events" if is_open else "closed until HTTP_EVENTS_SECRETS is set"
    yield "logs", f"{FOLDER}/logs/"


def _commands(stack: EmbeddedStack) -> Iterator[str]:
    """Yield lines to copy. No password is shown, not even that of a REDIS_URL set by hand."""
    nightly, redis_cli = typed("nightly"), f'{typed("redis-cli")} -u "$REDIS_URL"'
    if stack.redis:
        kept = stack.redis.url_path.relative_to(Path.cwd())
        yield f'export REDIS_URL="$(cat {kept})"' if stack.redis.is_tcp else f"export REDIS_URL={stack.redis.url}"
        yield f'export LOGIN_KEYS="$(cat {FOLDER}/login-keys)"'
        if not stack.redis.is_tcp:
            redis_cli = f"{typed('redis-cli')} -s {shlex.quote(str(stack.redis.socket_path))}"
    if stack.emulator_url:
        yield "export SANDBOX=1"
    yield f"{nightly} publish linked --login-id {LOGIN}"
    yield f"{redis_cli} XADD account-events:stream '*' event '{_example()}'"
    yield f"{nightly} status"
    yield f"{nightly} explain {LOGIN}"


def _example() -> str:
    time_now = datetime.now(UTC).replace(microsecond=0).isoformat()
    envelope = {"specversion": "1.0", "id": "evt-1", "source": "shell", "type": "account.inactive", "time": time_now}
    return json.dumps(envelope | {"data": {"loginId": OTHER_LOGIN}})


def _watch(stack: EmbeddedStack) -> None:
    """Check every part until one has died; then raises EmbeddedStackError with the end of its log."""
    while True:
        for process in stack.processes:
            if not process.is_running:
                raise _died(process.name, f" with exit code {process.exit_code}", process.tail())
        if stack.redis and not stack.redis.is_running:
            raise _died("Redis", "", _tail(stack.redis.log_path))
        time.sleep(LOOK_SECONDS)


def _died(name: str, exit_text: str, tail: str) -> EmbeddedStackError:
    return EmbeddedStackError(f"{name} ended{exit_text}, so everything was stopped; the end of its log:\n{tail}")


def _tail(path: Path, lines: int = 15) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
