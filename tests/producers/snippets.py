"""Reads the code blocks of the documents, so that the tests run what a reader copies."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.places import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

RUN_BY: Mapping[str, str] = {
    "README.md": "tests/producers/test_snippets.py",
    "docs/backfills.md": "tests/producers/test_snippets.py",
    "docs/emulator.md": "tests/producers/test_snippets.py",
    "docs/flinks-connect.md": "tests/producers/test_flinks_connect.py",
    "docs/http.md": "tests/integration/web/webhook/test_process.py",
    "docs/operating.md": "tests/producers/test_snippets.py",
    "docs/sending-events.md": "tests/producers/test_snippets.py",
}
"""Which test runs the blocks of a document."""
NOT_RUN: Mapping[str, str] = {
    "make demo": "takes half a minute: tests/integration/sandbox/test_demo.py and test_run.py start both commands",
    "export REDIS_URL=redis://...": "needs a key of Flinks: tests/integration/test_procfile.py starts the same worker",
    "python -m sandbox.emulator": "does not end: tests/conftest.py starts the same process",
    "nightly keys webhook": "does not end: tests/integration/web/webhook/test_process.py starts the same process",
    'curl -s -H "Authorization': "needs a token and a dead letter: tests/integration/web/review/test_api.py does",
    "nightly dead-letters nothing-left": "needs a letter of each kind: tests/integration/cli/test_letter_commands.py",
    'printf %s "$PASSWORD"': "needs a password of yours: tests/unit/cli/test_users.py and the tests of the review page",
    "export REVIEW_URL=": "needs an identity provider: tests/integration/web/review/test_single_sign_on.py has one",
    "export REVIEW_PROXY_ADDRESSES=": "needs a proxy: tests/integration/web/review/test_other_ways_in.py has one",
    "nightly users token": "needs the address of a page: tests/integration/web/review/test_api.py sends a token",
    "nightly audit-log list --target": "needs the log of a worker: tests/integration/cli/test_audit_log.py runs each",
    "nightly dead-letters replay --code retries": "needs such letters: tests/integration/cli/test_bulk.py runs each",
    "import json\n\nfrom kombu": "needs RabbitMQ: tests/rabbitmq/test_producers.py runs it where RabbitMQ is installed",
}
"""The blocks that no test of RUN_BY runs: how they begin, and why."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """One fenced block of a document; `name` is its position."""

    name: str
    language: str
    code: str

    @property
    def why_not_run(self) -> str:
        """The reason in NOT_RUN, or an empty text."""
        return next((reason for start, reason in NOT_RUN.items() if self.code.startswith(start)), "")

    @property
    def is_for_operators(self) -> bool:
        """Whether each line is a `nightly` command, other than one that only sends events."""
        lines = self.code.splitlines()
        return all(line.startswith("nightly ") for line in lines) and not lines[0].startswith("nightly publish ")


def snippets(document: str) -> Iterator[Snippet]:
    """Yield the blocks of a document below the root that have a language."""
    text = (ROOT / document).read_text()
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        yield Snippet(f"{document}:{line}", block[1], block[2])


def run_snippets(document: str) -> list[Snippet]:
    """Return the blocks of a document that its test has to run."""
    return [snippet for snippet in snippets(document) if not snippet.why_not_run]
