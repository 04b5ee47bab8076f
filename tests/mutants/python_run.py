"""Runs the unit tests on mutants of the decision core, each in a fork of a process that has imported all libraries.

The fork imports our own modules, and the mutated one from the text of the mutant: no file is changed.
"""

import importlib
import os
import signal
from importlib.machinery import SourceFileLoader
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.mutants.lanes import Say, in_lanes
from tests.mutants.mutant import ROOT, Fate, Mutant

FLINKS_TESTS = (
    "tests/unit/flinks/test_protocol.py",
    "tests/unit/flinks/test_request.py",
    "tests/unit/flinks/test_response_body.py",
    "tests/unit/flinks/test_successes.py",
    "tests/unit/flinks/test_redaction.py",
    "tests/unit/flinks/test_any_response_body.py",
)
EVENTS_TESTS = tuple(f"tests/unit/events/test_{theme}.py" for theme in ("fields", "times", "bodies", "secrecy"))
CORE = {
    "worker/flinks/protocol.py": FLINKS_TESTS,
    "worker/flinks/response_body.py": FLINKS_TESTS,
    "worker/flinks/redaction.py": ("tests/unit/flinks/test_redaction.py", *FLINKS_TESTS),
    "worker/reconciler/retry_policy.py": ("tests/unit/reconciler/test_retry_policy.py",),
    "worker/reconciler/settlement.py": ("tests/unit/reconciler/test_settlement.py",),
    "worker/events/contract.py": EVENTS_TESTS,
    "worker/ledger/audit_entries.py": ("tests/unit/ledger/test_audit_entries.py",),
    "worker/vault/vault.py": ("tests/unit/vault/test_vault.py",),
    "worker/vault/spellings.py": ("tests/unit/vault/test_spellings.py",),
    "worker/vault/tokens.py": ("tests/unit/vault/test_tokens.py",),
}
LIBRARIES = (
    "redis",
    "pydantic_settings",
    "cryptography.hazmat.primitives.ciphers.aead",
    "hypothesis.strategies",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "structlog",
    "sentry_sdk",
)
PYTEST = (
    "-x",
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "_hypothesis_pytestplugin",
    "--hypothesis-seed=1",
    "--assert=plain",
)
SECONDS = 180


class FirstFailure:
    """Remembers the test that failed."""

    def __init__(self) -> None:
        self.name = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.name = self.name or report.nodeid


def judge_python(mutants: list[Mutant], folder: Path, *, jobs: int, say: Say) -> list[Fate]:
    """Return the result of each mutant."""
    for library in LIBRARIES:
        importlib.import_module(library)
    fates: list[Fate] = []

    def judge(mutant: Mutant, lane: int, answer: Connection) -> None:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        signal.alarm(SECONDS)
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # plugins take longer to load than our tests to run
        _import_instead(mutant)
        first = FirstFailure()
        options = [*PYTEST, f"--basetemp={folder}/unit-{lane}"]
        code = pytest.main([*options, *dict.fromkeys(CORE[mutant.path])], plugins=[first])
        answer.send(("killed", first.name or "the module cannot be imported") if code else ("survived", ""))

    def tell(fate: Fate, _: int) -> None:
        fates.append(fate)
        say(fate)

    in_lanes(mutants, judge, tell, jobs=jobs)
    return fates


def _import_instead(mutant: Mutant) -> None:
    original, path = SourceFileLoader.get_code, str(ROOT / mutant.path)

    def get_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if loader.path == path:
            return compile(mutant.text, path, "exec")
        return original(loader, name)

    SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
