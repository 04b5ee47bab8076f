from dataclasses import replace

import pytest

from worker.backfill.file_rows import Form
from worker.backfill.loader import END_OF_FORM, Digests, form_of, line_of
from worker.backfill.models import Row
from worker.errors import SameFile
from worker.vault.vault import Vault

ROW = Row(1, "a-login", "cust-1")
FORM = Form("csv", "loginId;account", ";")


@pytest.mark.parametrize("change", [{"line": 2}, {"login_id": "b"}, {"account_id": None}, {"raw": b"x"}])
def test_rows_that_differ_anywhere_have_another_digest(vault: Vault, change: dict[str, object]) -> None:
    assert Digests(vault, "toolbox").add([ROW]) == Digests(vault, "toolbox").add([replace(ROW)])
    assert Digests(vault, "toolbox").add([ROW]) != Digests(vault, "toolbox").add([replace(ROW, **change)])
    assert Digests(vault, "toolbox").add([ROW]) != Digests(vault, "other").add([ROW])


def test_the_digest_covers_all_rows_whatever_their_chunks(vault: Vault) -> None:
    together, apart = Digests(vault), Digests(vault)
    apart.add([ROW])
    assert together.add([ROW, ROW]) == apart.add([ROW])


def test_the_form_of_a_file_is_stored_before_its_first_line() -> None:
    marked = FORM.to_text().encode() + END_OF_FORM
    for line in (b"", b"a;b;c", b"\0"):
        row = replace(ROW, raw=marked + line)
        assert (form_of(row), line_of(row)) == (FORM, line)
    assert line_of(replace(ROW, raw=b"a\0b")) == b"a\0b"


def test_a_file_loaded_twice_names_the_first_backfill() -> None:
    assert (SameFile("bf-1").backfill_id, "bf-1" in str(SameFile("bf-1"))) == ("bf-1", True)
