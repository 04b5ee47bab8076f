"""Calls the emulated endpoint and reads a flag."""

from typing import Any

import httpx
import pytest

from sandbox.emulator.remote import EmulatorControl
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID

LOGIN = "bb8b8569-3bfc-43c1-ae31-08d6decf1675"
OTHER_CUSTOMER = "11111111-1111-4111-8111-111111111111"
SHORT_SECONDS = 0.25


def path(customer_id: str = DEFAULT_CUSTOMER_ID, name: str = "SetScheduledRefresh") -> str:
    return f"/v3/{customer_id}/BankingServices/{name}"


class Client:
    """Calls the endpoint as a worker would; `send` returns the response, `error` the class of the transport error."""

    def __init__(self, base_url: str) -> None:
        self.http = httpx.Client(base_url=base_url, timeout=10, trust_env=False)

    def send(self, login_id: str = LOGIN, wish: bool = True, **options: Any) -> httpx.Response:  # noqa: FBT001, FBT002 - a wish
        body = {"loginId": login_id, "isActivated": wish}
        return self.http.patch(options.pop("path", path()), json=body, **options)

    def error(self, login_id: str = LOGIN, **options: Any) -> type[Exception]:
        with pytest.raises(httpx.TransportError) as caught:
            self.send(login_id, **options)
        return caught.type


def flag(emulator: EmulatorControl, login_id: str = LOGIN) -> bool | None:
    found = emulator.state()[DEFAULT_CUSTOMER_ID].get(login_id)
    return None if found is None else found.is_activated
