"""The short names of a login's fields, which the Lua scripts and Python must agree on."""

import re
from importlib.resources import files

import pytest

from worker.ledger.login_fields import LOGIN_FIELDS, newest_text, read_hash, read_values, stored_names


def test_the_scripts_name_each_field_as_python_does() -> None:
    text = files("worker.ledger").joinpath("lua/lib/common.lua").read_text("utf-8")
    table = re.search(r"^local FIELD = \{$(.*?)^\}$", text, re.DOTALL | re.MULTILINE)
    assert table is not None
    assert re.findall(r"^  (\w+) = '(\w)',", table[1], re.MULTILINE) == list(LOGIN_FIELDS.items())
    assert table[1].count(" = '") == len(LOGIN_FIELDS), "no field is written in another way"


def test_no_two_fields_share_a_name() -> None:
    assert len(set(LOGIN_FIELDS.values())) == len(LOGIN_FIELDS)


def test_a_whole_login_is_read_by_words_without_what_a_person_added() -> None:
    found = read_hash({b"w": b"7:0:-1:toolbox", b"l": b"live", b"note": b"by hand"})
    newest = {"revision": b"7", "occurred_us": b"-1", "wish": b"0", "instance": b"toolbox"}
    assert found == {"lane": b"live"} | newest


def test_a_newest_wish_that_a_person_damaged_is_none() -> None:
    assert read_hash({b"w": b"7:1", b"s": b"due"}) == {"state": b"due"}


def test_some_fields_are_read_by_words_without_those_that_the_login_lacks() -> None:
    words = ("state", "wish", "account_id")
    assert stored_names(words) == ["s", "w", "a"]
    newest = newest_text(revision=1, occurred_us=2, wish="0", instance="toolbox").encode()
    assert read_values(words, [b"due", newest, None]) == {"state": b"due", "wish": b"0"}


def test_an_unknown_word_is_an_error() -> None:
    with pytest.raises(KeyError):
        stored_names(["state", "mood"])
