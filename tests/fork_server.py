"""A process that has imported what our programs need, and forks them, so that each starts without a second of imports.

`python -m tests.fork_server FD` takes requests from the socket FD; tests/forked_process.py sends them. A forked program
sees the arguments, environment, folder and output that it was given, as if it had been executed.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from dataclasses import dataclass

from tests.light_celery import leave_out_extras

PRELOADED = (
    "celery.__main__",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "sandbox.emulator.__main__",
    "worker.backfill.feeder",
    "worker.celery_worker.bootsteps",
    "worker.celery_worker.consumer",
    "worker.celery_worker.hints",
    "worker.celery_worker.patches.kombu_redis",
    "worker.celery_worker.patches.kombu_sentinel",
    "worker.celery_worker.patches.prefork_pool",
    "worker.celery_worker.patches.py_amqp",
    "worker.celery_worker.remote_control",
    "worker.celery_worker.task_dispatch",
    "worker.celery_worker.task_events",
    "worker.cli.review",
    "worker.intake.celery_queue",
    "worker.intake.redis_stream",
    "worker.reconciler.dispatcher",
    "worker.services",
    "worker.telemetry.sentry",
)
"""What workers, the emulator and the review page import, except what reads the environment when it is imported."""
LARGEST_REQUEST = 1 << 20


@dataclass
class Program:
    """One request: what to run, and two descriptors: for its output, and for a pipe to the one who asked."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    output: int
    reports_to: int


def main() -> None:
    """Fork programs until the other end closes the socket; a forked process becomes its program."""
    leave_out_extras()
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children then copy fewer pages
    with socket.socket(fileno=int(sys.argv[1])) as requests:
        program = _serve(requests)
    if program:
        _become(program)


def _serve(requests: socket.socket) -> Program | None:
    """Return None at the end, and in each forked process its program."""
    pipes: dict[int, int] = {}
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    while True:
        ready, _, _ = select.select([requests, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_ended(pipes)
        if requests in ready:
            program = _receive(requests)
            if program is None:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                for descriptor in (woken, wakes, *pipes.values()):
                    os.close(descriptor)
                return program
            os.close(program.output)
            pipes[pid] = program.reports_to


def _receive(requests: socket.socket) -> Program | None:
    content, descriptors, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 2)
    return Program(*json.loads(content), *descriptors) if content else None


def _report_ended(pipes: dict[int, int]) -> None:
    """Write the exit code of each program that has ended to the one who asked for it."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            with contextlib.suppress(BrokenPipeError), os.fdopen(pipes.pop(pid), "w") as pipe:
                pipe.write(f"{os.waitstatus_to_exitcode(status)}\n")


def _become(program: Program) -> None:
    """Run the module as `python -m` does; the interpreter then ends as usual."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.write(program.reports_to, f"{os.getpid()}\n".encode())
    os.close(program.reports_to)
    for descriptor in (1, 2):
        os.dup2(program.output, descriptor)
    os.close(program.output)
    os.chdir(program.folder)
    os.environ.clear()
    os.environ.update(program.environment)
    sys.argv = [program.module, *program.arguments]
    sys.modules.pop(program.module, None)  # runpy warns of a module that it runs anew
    runpy.run_module(program.module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
