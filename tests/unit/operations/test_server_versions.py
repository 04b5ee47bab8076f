"""The servers that let a script escape from Lua, by their version."""

import pytest

from worker.operations import checks as doctor
from worker.operations.checks import Level
from worker.operations.server_versions import has_lua_holes


@pytest.mark.parametrize(
    ("server", "version", "has_holes"),
    [
        ("Redis", (6, 2, 14), True), ("Redis", (6, 2, 19), True), ("Redis", (6, 2, 20), False),
        ("Redis", (7, 0, 15), True), ("Redis", (7, 2, 10), True), ("Redis", (7, 2, 11), False),
        ("Redis", (7, 4, 5), True), ("Redis", (7, 4, 6), False),
        ("Redis", (8, 0, 3), True), ("Redis", (8, 0, 4), False),
        ("Redis", (8, 2, 1), True), ("Redis", (8, 2, 2), False), ("Redis", (8, 4, 0), False), ("Redis", (10, 0), False),
        ("Redis", (7, 2), True),
        ("Valkey", (7, 2, 10), True), ("Valkey", (7, 2, 11), False), ("Valkey", (8, 0, 5), True),
        ("Valkey", (8, 0, 6), False), ("Valkey", (8, 1, 3), True), ("Valkey", (8, 1, 4), False),
        ("Valkey", (9, 0, 0), False),
    ],
)  # fmt: skip
def test_a_release_before_the_fix_is_vulnerable(server: str, version: tuple[int, ...], has_holes: bool) -> None:  # noqa: FBT001 - a column of the table
    assert has_lua_holes(server, version) is has_holes


def test_the_doctor_names_the_vulnerabilities_and_the_fixed_versions() -> None:
    check = doctor.check_version({"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "8.1.3"})
    assert check.level is Level.WARN
    assert "CVE-2025-49844" in check.what
    assert "Valkey 7.2.11, 8.0.6, 8.1.4 or newer" in check.advice
