"""An environment that a test sets."""

import json

import pytest

from tests.unit.config.loading import Set


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Set:
    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value if isinstance(value, str) else json.dumps(value))

    return put
