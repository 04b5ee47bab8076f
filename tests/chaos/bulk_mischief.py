"""What happens beside a bulk job: letters arrive, newer events come, and another person closes letters by hand."""

import threading
from contextlib import suppress
from typing import Self

from redis.exceptions import RedisError

from sandbox.stack import wait_until
from tests.chaos.bulk_letters import Drawn, send
from tests.chaos.scene import Scene
from tests.ledger_calls import list_letters
from worker.errors import NightlyError
from worker.ledger.audit import Actor
from worker.operations.letter_actions import LetterActions

CARL = Actor("carl", "operator", "page")


class Mischief:
    """A thread that acts as the job advances; all is done by its end. Its last act may come after the job's."""

    def __init__(self, scene: Scene, job_id: str, drawn: Drawn) -> None:
        self._scene, self._id = scene, job_id
        self._actions = LetterActions(scene.redis)
        by_reference = {scene.reference(login): login for login in drawn.with_fate("closed by hand")}
        letters = list_letters(scene.services.letters)
        self.by_hand = [letter.id for letter in letters if letter.login in by_reference]
        """Letters that another person closes, or tries to."""
        self._newer, self._late = list(drawn.newer_events()), drawn.late_events()
        self._steps = max(len(self.by_hand), len(self._newer), len(self._late))
        self._thread = threading.Thread(target=self._run, name="mischief")
        self._ends = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()

    def _run(self) -> None:
        for step in range(self._steps):
            wait_until(lambda: self._ends or self._progress() * self._steps >= step, seconds=600)  # noqa: B023
            for act in (self._close, self._contradict, self._arrive):
                while not self._does(act, step):
                    pass

    def _progress(self) -> float:
        with suppress(RedisError, OSError):
            job = self._scene.services.jobs.get(self._id)
            return 1.1 * job.decided / job.total
        return 0.0

    @staticmethod
    def _does(act: object, step: int) -> bool:
        """Act; False: Redis is away, so try again."""
        assert callable(act)
        with suppress(RedisError, OSError):
            act(step)
            return True
        return False

    def _close(self, step: int) -> None:
        if step < len(self.by_hand):
            with suppress(NightlyError):  # the job may have been faster
                self._actions.resolve(self.by_hand[-1 - step], by=CARL, note="by hand")

    def _contradict(self, step: int) -> None:
        if step < len(self._newer):
            send(self._scene, [self._newer[step][1]])

    def _arrive(self, step: int) -> None:
        if step < len(self._late):
            send(self._scene, [self._late[step]])
