"""Judges mutants in parallel: a fork for each, so that a crash ends only its process."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.mutants.mutant import Fate, Mutant

FORK = multiprocessing.get_context("fork")
Say = Callable[[Fate], None]
Judge = Callable[[Mutant, int, Connection], None]


def in_lanes(mutants: Iterable[Mutant], judge: Judge, tell: Callable[[Fate, int], None], *, jobs: int) -> None:
    """Run `judge` (mutant, lane, answer) in a fork for each mutant, `jobs` at a time, and pass its last answer to
    `tell`.

    A fork that its own alarm ended has timed out; another end without an answer is `lost`, an error of ours.
    """
    waiting, out = iter(mutants), dict[int, tuple[BaseProcess, Connection, Mutant]]()
    lanes = list(range(jobs))
    while True:
        while lanes and (mutant := next(waiting, None)) is not None:
            receiver, sender = FORK.Pipe(duplex=False)
            lane = lanes.pop()
            process = FORK.Process(target=judge, args=(mutant, lane, sender))
            process.start()
            sender.close()
            out[lane] = process, receiver, mutant
        if not out:
            return
        wait([process.sentinel for process, _, _ in out.values()])
        for lane, (process, receiver, mutant) in list(out.items()):
            if not process.is_alive():
                del out[lane]
                lanes.append(lane)
                tell(_fate(mutant, process, receiver), lane)
                receiver.close()


def _fate(mutant: Mutant, process: BaseProcess, receiver: Connection) -> Fate:
    if process.exitcode == -signal.SIGALRM:
        return Fate(mutant, "timed out")
    try:
        return Fate(mutant, *receiver.recv())
    except EOFError:
        return Fate(mutant, "lost")
