"""Shared by tests of the settings: valid values, secret values, and how to read a refusal."""

from collections.abc import Callable

import pytest

from worker.config.settings import Settings
from worker.errors import SettingsError

CANARY = "cAnArY-5ecret"
GUID = "43387CA6-0391-4C82-857D-70D95F087ECB"
FURTHER = {"customer_id": GUID, "auth_key": "k2", "base_url": "https://eu.example/{instance}/"}
NO_HEADER_VALUE = "must be printable ASCII with no line break and no space at either end"
NO_LABEL = "must be a host name label: lower-case letters, digits and hyphens"
NO_GUID = "must be a GUID such as 43387ca6-0391-4c82-857d-70d95f087ecb"
NO_BASE_URL = "must be a URL such as https://{instance}-api.private.fin.ag"
Set = Callable[..., None]


def refused(*require: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings.load(require=require)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines
