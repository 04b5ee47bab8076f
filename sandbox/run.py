"""`nightly run`: starts the embedded stack at fixed addresses, prints them, and watches it until Ctrl-C.

The caller's settings and `.env` apply. Redis is embedded only if REDIS_URL is not set. Flinks is emulated only if no
key is set, and only on a sandbox ledger: the embedded one, or yours with SANDBOX=1. If a part dies, the run ends and
prints the end of that part's log. Secrets made for the run are kept in `.nightly/`, for the next run.
"""

import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from sandbox.run_file import RunFile
from sandbox.run_screen import FOLDER, HTTP_SECRET_FILE, PAGE_USER, PASSWORD_FILE, made_by, print_addresses
from sandbox.stack import EmbeddedStack
from sandbox.stack.ports import check_free, free_port
from sandbox.stack.private_files import read_private, write_private
from sandbox.stack.readiness import listening_url
from worker.broker.celery_config import default_concurrency
from worker.cli.output import console
from worker.cli.shell import INTERRUPTED, told_to_stop
from worker.config.settings import Settings
from worker.errors import EmbeddedStackError
from worker.web.review.passwords import hash_password
from worker.web.webhook.route import UNNEEDED
from worker.web.webhook.signature import new_secret

FIRST_PORT = 8080
LOOK_SECONDS = 0.5
MADE = ("REDIS_URL", "LOGIN_KEYS", "SEAL_TO", "FLINKS_BASE_URL", "FLINKS_AUTH_KEY", "SANDBOX")
"""Settings that a run makes if they are missing, and that commands in other shells need."""


class Ports(NamedTuple):
    """Neighbouring ports on loopback, so that the first one says where everything is; 0 means any free one."""

    page: int
    emulator: int
    metrics: int
    redis: int


def run(
    *,
    port: Annotated[
        int,
        typer.Option(
            help="First of four ports: review page, emulated Flinks, metrics, Redis. 0: any free ones.",
            min=0,
            max=65_536 - len(Ports._fields),
        ),
    ] = FIRST_PORT,
) -> None:
    """Run Redis, a worker and the review page until Ctrl-C, and an emulated Flinks if no key is set.

    While it runs, `nightly` commands in this folder use it without further settings.
    """
    screen, is_up = console(), False
    ports = Ports(*range(port, port + len(Ports._fields))) if port else Ports(0, 0, free_port(), 0)
    try:
        with told_to_stop(), RunFile(FOLDER) as run_file:
            settings = Settings.load()
            _check(ports, settings)
            screen.print("Starting; Ctrl-C stops everything.")
            stack = EmbeddedStack(
                FOLDER,
                isolated=False,
                overrides={} if settings.metrics_port else {"METRICS_PORT": str(ports.metrics)},
                concurrency=default_concurrency(),
                emulator_port=ports.emulator,
                tcp=True,
                redis_port=ports.redis,
                on_step=lambda line: screen.print(f"  {line}", soft_wrap=True),
            )
            with stack:
                _start_review(stack, ports.page)
                if stack.redis:
                    run_file.write({name: stack.environment[name] for name in MADE if made_by(stack, name)})
                print_addresses(screen, stack)
                is_up = True
                _watch(stack)
    except KeyboardInterrupt:
        screen.print("Stopped. Nothing is left running.")
        raise typer.Exit(0 if is_up else INTERRUPTED) from None


def _check(ports: Ports, settings: Settings) -> None:
    """Raise EmbeddedStackError if a port that this run needs is taken."""
    advice = f"Stop it, or choose four other ports: nightly run --port {ports.page + 100}"
    check_free({"the review page": ports.page}, advice)
    if not settings.instances():
        check_free({"the emulated Flinks": ports.emulator}, advice)
    if settings.metrics_port is None:
        check_free({"metrics": ports.metrics}, advice)
    if settings.redis_url is None:
        try:
            check_free({"Redis": ports.redis}, advice)
        except EmbeddedStackError:
            (FOLDER / "redis-ledger" / "url").unlink(missing_ok=True)  # clients may have sent that password there
            raise


def _start_review(stack: EmbeddedStack, port: int) -> None:
    """Start the review page, with a user and a secret for `POST /events` if the settings have none.

    It gets LOGIN_KEYS, so that every action on a letter works.
    """
    settings, made = stack.settings(), stack.environment
    if settings.seal_to is None:
        made["SEAL_TO"] = str(settings.vault().public_keys[0])
    if settings.review_users is None:
        made["REVIEW_USERS"] = f"{PAGE_USER}:admin:{hash_password(_kept(PASSWORD_FILE, secrets.token_hex(8)))}"
    if settings.http_events_secrets is None:
        made["HTTP_EVENTS_SECRETS"] = f"run={_kept(HTTP_SECRET_FILE, new_secret())}"
    argv = [sys.executable, "-m", "worker", "review", "--port", str(port)]
    stack.start_process("review", argv, ready=listening_url, without=UNNEEDED)


def _kept(path: Path, fresh: str) -> str:
    """Return the secret of the first run in this folder, which is `fresh` if there is none."""
    return read_private(path) or write_private(path, fresh)


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
