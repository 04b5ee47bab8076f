"""Requests that schemathesis makes from docs/openapi.yaml: valid, unsigned, and signed but invalid ones."""

import random
from collections import Counter
from collections.abc import Callable
from itertools import cycle
from time import monotonic
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup  # a BaseExceptionGroup, and no Exception

from tests.http_contract import OPERATION, SIGNED_ANEW, UNSIGNED, Signed, acceptable, call

FEW = settings(
    max_examples=5,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MOST_CHARACTERS = 400


class FromSchema:
    """Sends to one address; `wrong` has one line for each kind of request with a response that the document forbids."""

    def __init__(self, url: str, seed: int) -> None:
        self._url, self._chance = url, random.Random(seed)
        self._is_over_at = 0.0
        self._kinds: dict[str, tuple[Any, Callable[[Case[Any]], int]]] = {
            "sound": (OPERATION.as_strategy(GenerationMode.POSITIVE).map(acceptable), self._sound),
            "unsigned": (OPERATION.as_strategy(GenerationMode.NEGATIVE), self._unsigned),
            "unfit": (OPERATION.as_strategy(GenerationMode.NEGATIVE), self._unfit),
        }
        self.statuses: dict[str, Counter[int]] = {kind: Counter() for kind in self._kinds}
        self.wrong: list[str] = []
        self._turns = cycle(list(self._kinds))

    def send_until(self, at: float) -> None:
        """Send requests of every kind in turn until `monotonic()` reaches `at`; a later call continues from there."""
        self._is_over_at = at
        while monotonic() < at and self._kinds:
            kind = next(self._turns)
            if kind in self._kinds:
                self._send_a_few(kind, *self._kinds[kind])

    def _send_a_few(self, kind: str, strategy: Any, send: Callable[[Case[Any]], int]) -> None:
        @seeded(self._chance.randrange(2**32))
        @given(case=strategy)
        @FEW
        def run(case: Case[Any]) -> None:
            if monotonic() < self._is_over_at:
                self.statuses[kind][send(case)] += 1

        try:
            run()
        except (Exception, FailureGroup) as error:  # noqa: BLE001 - the others go on
            self._kinds.pop(kind)
            self.wrong.append(f"schemathesis, {kind}: {type(error).__name__}: {error!s:.{MOST_CHARACTERS}}")

    def _sound(self, case: Case[Any]) -> int:
        answer = call(case, self._url, Signed())
        case.validate_response(answer, excluded_checks=SIGNED_ANEW)
        assert answer.status_code == 202, answer.text
        return answer.status_code

    def _unsigned(self, case: Case[Any]) -> int:
        answer = call(case, self._url)
        case.validate_response(answer, excluded_checks=UNSIGNED)
        return answer.status_code

    def _unfit(self, case: Case[Any]) -> int:
        answer = call(case, self._url, Signed())
        case.validate_response(answer, excluded_checks=SIGNED_ANEW)
        return answer.status_code
