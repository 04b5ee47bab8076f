"""The short names of a login's fields, which the Lua scripts and Python must agree on."""

import re
from importlib.resources import files

import pytest

from worker.ledger.login_fields import LOGIN_FIELDS, read_hash, read_values, stored_names


def test_the_scripts_name_each_field_as_python_does() -> None:
    text = files("worker.ledger").joinpath("lua/lib/common.lua").read_text("utf-8")
    table = re.search(r"^local FIELD = \{$(.*?)^\}$", text, re.DOTALL | re.MULTILINE)
    assert table is not None
    assert re.findall(r"^  (\w+) = '(\w)',", table[1], re.MULTILINE) == list(LOGIN_FIELDS.items())
    assert table[1].count(" = '") == len(LOGIN_FIELDS), "no field is written in another way"


def test_no_two_fields_share_a_name() -> None:
    assert len(set(LOGIN_FIELDS.values())) == len(LOGIN_FIELDS)


def test_a_whole_login_is_read_by_words_without_what_a_person_added() -> None:
    assert read_hash({b"w": b"1", b"l": b"live", b"note": b"by hand"}) == {"wish": b"1", "lane": b"live"}


def test_some_fields_are_read_by_words_without_those_that_the_login_lacks() -> None:
    words = ("state", "wish", "account_id")
    assert stored_names(words) == ["s", "w", "a"]
    assert read_values(words, [b"due", b"0", None]) == {"state": b"due", "wish": b"0"}


def test_an_unknown_word_is_an_error() -> None:
    with pytest.raises(KeyError):
        stored_names(["state", "mood"])
