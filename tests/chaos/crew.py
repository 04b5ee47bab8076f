"""Keeps workers running as a supervisor does, kills or stops them, and watches the children of dead parents."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from random import Random

from sandbox.stack import EmbeddedStack, ManagedProcess, wait_until
from sandbox.stack.readiness import answers_ping
from tests.chaos.schedule import Kind

RESTART_AFTER_SECONDS = 0.5
LOOK_SECONDS = 0.5
ANSWER_SECONDS = 20.0


class Crew:
    """Workers with a number of slots each; `look_after` has to be called often."""

    def __init__(self, stack: EmbeddedStack, *, size: int, slots: int) -> None:
        self._stack, self._size, self._slots = stack, size, slots
        self._alive: list[ManagedProcess] = []
        self._dead: dict[ManagedProcess, float] = {}
        self._stopped: set[ManagedProcess] = set()
        self._established: set[ManagedProcess] = set()
        self._told_ready: set[ManagedProcess] = set()
        self._looked_at = 0.0
        self.started = 0
        self.died_by_themselves: list[str] = []
        self.orphans_lived_seconds = 0.0
        self.woken = 0

    def look_after(self) -> None:
        """Replace each dead worker, and forget dead ones whose children have ended."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        for worker in [worker for worker in self._alive if not worker.is_running]:
            self.died_by_themselves.append(f"{worker.name}: exit code {worker.exit_code}\n{worker.tail(5)}")
            self._mourn(worker)
        for worker, died_at in list(self._dead.items()):
            if not worker.children():
                self._bury(worker)
            else:
                self.orphans_lived_seconds = max(self.orphans_lived_seconds, now - died_at)
        self._established = {worker for worker in self._alive if self._is_ready(worker)}
        is_due = all(now - died_at > RESTART_AFTER_SECONDS for died_at in self._dead.values())
        while len(self._alive) < self._size and is_due:
            self._alive.append(self._stack.start_worker(concurrency=self._slots, ready=lambda _: True))
            self.started += 1

    def has_orphans(self) -> bool:
        """Whether children of a dead parent are still running."""
        return any(worker.children() for worker in self._dead)

    def those_who_do_not_answer(self) -> list[str]:
        """Return live workers that no longer consume, as they answer on their control channel."""
        url = self._stack.environment["REDIS_URL"]

        def answers(worker: ManagedProcess) -> bool:
            return bool(wait_until(lambda: answers_ping(url, worker.name), seconds=ANSWER_SECONDS))

        return [worker.name for worker in self._alive if not answers(worker)]

    def kill(self, kind: Kind, chance: Random) -> bool:
        """SIGKILL the parent of a worker or one of its children; False if there is none to kill now."""
        worker = self._pick(chance)
        if worker is None:
            return False
        if kind is Kind.KILL_WORKER:
            worker.kill()
            self._alive.remove(worker)
            self._mourn(worker)
            return True
        return _send(signal.SIGKILL, [chance.choice(sorted(worker.children()))])

    def stop(self, kind: Kind, chance: Random) -> tuple[ManagedProcess, list[int]] | None:
        """SIGSTOP a parent, a child, or both with all other children; None if there is none to stop now."""
        worker = self._pick(chance)
        if worker is None:
            return None
        children = sorted(worker.children())
        pids = {
            Kind.STOP_WORKER: [worker.pid],
            Kind.STOP_CHILD: [chance.choice(children)],
            Kind.STOP_ALL: [worker.pid, *children],
        }[kind]
        if not _send(signal.SIGSTOP, pids):  # one has just ended: do not stop the others either
            _send(signal.SIGCONT, pids)
            return None
        self._stopped.add(worker)
        return worker, pids

    def wake(self, worker: ManagedProcess, pids: Sequence[int]) -> None:
        """SIGCONT the stopped processes."""
        self._stopped.discard(worker)
        self.woken += _send(signal.SIGCONT, pids)

    def _pick(self, chance: Random) -> ManagedProcess | None:
        """Choose a worker that runs with all its children and is not stopped.

        Celery ends a worker with exit code 1 if it loses a child while it starts; that is the job of a supervisor.
        """
        able = [worker for worker in self._alive if worker in self._established and worker not in self._stopped]
        able = [worker for worker in able if worker.is_running and len(worker.children()) >= self._slots]
        return chance.choice(able) if able else None

    def _is_ready(self, worker: ManagedProcess) -> bool:
        """Report it from the second check on after its log says that it consumes."""
        is_told = worker in self._told_ready or b" ready." in worker.log_path.read_bytes()
        was_told = worker in self._told_ready
        self._told_ready |= {worker} if is_told else set()
        return was_told

    def _mourn(self, worker: ManagedProcess) -> None:
        self._alive = [other for other in self._alive if other is not worker]
        self._dead[worker] = time.monotonic()

    def _bury(self, worker: ManagedProcess) -> None:
        del self._dead[worker]
        self._stack.stop_process(worker)


def _send(number: int, pids: Sequence[int]) -> bool:
    """Send a signal to each process; return whether all existed."""
    reached = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached += 1
    return reached == len(pids)
