"""Prints what `nightly run` has started: addresses, and lines to copy into another shell."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sandbox.stack import EmbeddedStack
from sandbox.stack.private_files import read_private
from sandbox.stack.readiness import listening_url
from worker.cli.output import COMMAND, DIM, NAME, pairs
from worker.cli.shell import typed
from worker.config.settings import Settings
from worker.redis_client.connect import connect
from worker.redis_client.error_messages import place_of
from worker.web.review.ways_in import new_link

FOLDER = Path(".nightly")
PASSWORD_FILE, HTTP_SECRET_FILE = FOLDER / "page-password", FOLDER / "http-events-secret"
PAGE_USER = "nightly"
LINK_MINUTES = 30
LOGIN, OTHER_LOGIN = "demo-1", "demo-2"
"""LoginIds of the printed examples; the emulated Flinks accepts every loginId."""


def print_addresses(screen: Console, stack: EmbeddedStack) -> None:
    """Print where everything is, and what to type."""
    screen.print()
    screen.print(Text("Nightly is up. Ctrl-C stops it.", NAME))
    screen.print(pairs(_places(stack, stack.settings())), soft_wrap=True)
    screen.print()
    screen.print(Text("In another shell, in this folder:", NAME))
    for line in _commands(stack):
        screen.print(Text(f"  {line}", COMMAND), soft_wrap=True)
    screen.print(Text("\nFor redis-cli, Node and other programs:", NAME))
    for line in _other_programs(stack):
        screen.print(Text(f"  {line}", COMMAND), soft_wrap=True)
    screen.print(Text(f"\nIf a part dies, everything stops. {FOLDER}/ holds data, keys and logs.", DIM), soft_wrap=True)


def made_by(stack: EmbeddedStack, setting: str) -> bool:
    """Return whether the run made this setting, instead of the caller."""
    return stack.environment.get(setting) not in {None, os.environ.get(setting)}


def _places(stack: EmbeddedStack, settings: Settings) -> Iterator[tuple[str, object]]:
    if stack.redis:
        yield "Redis", f"at {place_of(stack.redis.url)} ({stack.redis.server}, data in {FOLDER}/)"
    else:
        yield "Redis", f"at {place_of(settings.redis_address())} (from REDIS_URL)"
    if stack.emulator_url:
        yield "Flinks", f"emulated at {stack.emulator_url}; nothing real is called"
    else:
        yield "Flinks", f"the REAL one: instance {', '.join(settings.instances())}"
    yield "ledger", "a sandbox, which production workers refuse" if settings.sandbox else "production"
    page = _page(stack)
    yield "review page", page
    if made_by(stack, "REVIEW_USERS"):
        yield "", f"{page}/sign-in/once?token={_link_token(settings)} signs in once, within {LINK_MINUTES} minutes"
        yield "", f"user {PAGE_USER} (admin), password {read_private(PASSWORD_FILE)}"
    yield "events by HTTP", f"POST {page}/events"
    if made_by(stack, "HTTP_EVENTS_SECRETS"):
        yield "", f"signed with the secret in {HTTP_SECRET_FILE}"
    yield "metrics", f"http://{settings.metrics_host}:{settings.metrics_port}/metrics"
    yield "logs", f"{FOLDER}/logs/"


def _link_token(settings: Settings) -> str:
    """Return the token of a new link that signs in the run's user."""
    with connect(settings.redis_address(), name="nightly-run") as client:
        return new_link(client, settings, PAGE_USER, minutes=LINK_MINUTES)


def _page(stack: EmbeddedStack) -> str:
    return next(listening_url(process) or "" for process in stack.processes if process.name == "review")


def _commands(stack: EmbeddedStack) -> Iterator[str]:
    nightly = typed("nightly")
    if stack.redis is None and stack.emulator_url:
        yield f"export SANDBOX=1 FLINKS_BASE_URL={stack.emulator_url}"
    yield f"{nightly} publish linked --login-id {LOGIN} --wait"
    yield f"{nightly} status"
    yield f"{nightly} explain {LOGIN}"
    if stack.emulator_url:
        yield f"{nightly} emulator fault INVALID_LOGIN --login {LOGIN}"


def _other_programs(stack: EmbeddedStack) -> Iterator[str]:
    """Yield lines that show no password, not even that of a REDIS_URL set by hand."""
    if stack.redis:
        yield f'export REDIS_URL="$(cat {stack.redis.url_path.relative_to(Path.cwd())})"'
    if made_by(stack, "HTTP_EVENTS_SECRETS"):
        yield f'export NIGHTLY_URL={_page(stack)} NIGHTLY_SECRET="$(cat {HTTP_SECRET_FILE})"'
    yield f"""{typed("redis-cli")} -u "$REDIS_URL" XADD account-events:stream '*' event '{_example()}'"""


def _example() -> str:
    time_now = datetime.now(UTC).replace(microsecond=0).isoformat()
    envelope = {"specversion": "1.0", "id": "evt-1", "source": "shell", "type": "account.inactive", "time": time_now}
    return json.dumps(envelope | {"data": {"loginId": OTHER_LOGIN}})
