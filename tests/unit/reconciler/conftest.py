"""A slice that looks for work often, and its reports to Sentry."""

from typing import Any

import pytest

from tests.unit.reconciler.slices import LOOK_SECONDS, Slice
from worker.reconciler import dispatcher
from worker.vault.vault import Vault


@pytest.fixture
def piece(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Slice:
    monkeypatch.setattr(dispatcher, "REDIS_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(dispatcher, "LOOK_SECONDS", LOOK_SECONDS)
    return Slice(vault)


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """The reports to Sentry."""
    told: list[tuple[str, dict[str, Any]]] = []
    for name in ("report_unexpected",):
        monkeypatch.setattr(dispatcher, name, lambda *_, _name=name, **fields: told.append((_name, fields)))
    return told
