"""The `nightly demo` command: runs the whole product here, and compares the result with the published events.

Redis and the Celery worker are real; Flinks is emulated and returns every kind of fault. All run in a temporary folder,
which is removed unless the demo fails or `--keep` is given.
"""

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sandbox.demo.mix import Mix, Parcel, mix_of
from sandbox.demo.outcome import Evidence, Outcome, judge
from sandbox.demo.screen import Screen
from sandbox.demo.system import System
from sandbox.demo.table import picture
from sandbox.stack import EmbeddedStack
from worker.cli.output import console, number, print_json
from worker.cli.shell import INTERRUPTED, told_to_stop

DEADLINE_SECONDS = 80.0
PUBLISHING_SECONDS = 8.0
PUBLISHED_IN_PARTS = 80
LOOK_SECONDS = 0.1
SETTINGS = {
    "FLINKS_TIMEOUT_SECONDS": "1",
    "FLINKS_SETTLE_SECONDS": "2",
    "FLINKS_CALLS_PER_SECOND": "600",
    "LOG_FORMAT": "json",
    # Celery prefers these variables to the configured broker: the demo must not reach a real one.
    **dict.fromkeys(("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"), ""),
}


def demo(
    *,
    events: Annotated[int, typer.Option(help="Minimum number of events.", min=200, max=10_000)] = 2000,
    seed: Annotated[int | None, typer.Option(help="Seed of the events and faults. [a new one]")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the folder with logs and data.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object; progress on stderr.")] = False,
) -> None:
    """Run the whole product here for half a minute: 2,000 events, 1,000 logins, and a faulty Flinks.

    Exit code 0 only if every login matches its newest event and every event is accounted for.
    """
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    screen = Console(stderr=True, markup=False, highlight=False, emoji=False) if as_json else console()
    mix = mix_of(events, random.Random(seed), datetime.now(UTC).replace(microsecond=0))  # noqa: S311 - replayable
    try:
        with told_to_stop():
            outcome = _run(mix, seed, screen, keep=keep)
    except KeyboardInterrupt:
        screen.print("Stopped. Nothing is left running.")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        print_json([{"seed": seed, **outcome.document()}])
    else:
        screen.print(picture(outcome))
    if not outcome.is_right:
        raise typer.Exit(1)


def _run(mix: Mix, seed: int, screen: Console, *, keep: bool) -> Outcome:
    deadline = time.monotonic() + DEADLINE_SECONDS
    screen.print(f"Nightly demo, seed {seed}: {number(mix.events)} events for {number(mix.logins)} logins.")
    screen.print("Starting Redis, an emulated Flinks and a Celery worker. Ctrl-C stops it all.")
    with _folder(screen) as folder:
        stack = EmbeddedStack(
            folder, isolated=True, overrides=SETTINGS, concurrency=3, on_step=lambda line: screen.print(f"  {line}")
        )
        with stack, System.of(stack) as system:
            found = _watched(mix, system, screen, deadline)
            settings = stack.settings()
            vault, instance = settings.vault(), settings.flinks_instance
            outcome = judge(mix, found, lambda login: vault.reference(instance, login))
            screen.print("Every event has ended; stopping." if not outcome.still_open else "Time is up; stopping.")
        if outcome.is_right and not keep:
            shutil.rmtree(folder)
    return outcome


@contextlib.contextmanager
def _folder(screen: Console) -> Iterator[Path]:
    """Yield a temporary folder, remove it if the demo is interrupted, and print its path if it is kept."""
    folder = Path(tempfile.mkdtemp(prefix="nightly-demo-"))
    try:
        yield folder
    except KeyboardInterrupt:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()  # only if it is empty
        if folder.exists():
            screen.print(f"Logs and data are kept in {folder}", soft_wrap=True)


def _watched(mix: Mix, system: System, screen: Console, deadline: float) -> Evidence:
    """Publish everything, then show progress until all work is done or time is up; return the result."""
    system.emulator.unknown_logins(*mix.unknown)
    system.emulator.faults(*mix.faults)
    parts, volleys = _parts(mix.parcels), list(mix.volleys)
    share = len(parts) // (len(volleys) + 1)
    with Screen(screen, mix.events) as shown:
        for count, part in enumerate(parts, 1):
            if count % share == 0 and volleys:
                system.emulator.add_faults(volleys.pop(0))
            next_at = time.monotonic() + PUBLISHING_SECONDS / len(parts)
            system.publish(part)
            shown.show(system.look())
            time.sleep(max(0.0, next_at - time.monotonic()))
        while True:
            look = system.look()
            shown.show(look)
            if not look.still_open or time.monotonic() >= deadline:
                return system.evidence(look)
            time.sleep(LOOK_SECONDS)


def _parts(parcels: Sequence[Parcel]) -> list[Sequence[Parcel]]:
    size = max(1, -(-len(parcels) // PUBLISHED_IN_PARTS))
    return [parcels[at : at + size] for at in range(0, len(parcels), size)]
