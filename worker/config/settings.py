"""The only reader of the environment and of `.env`; fields.py describes every setting.

A wrong value stops the start with one line that names the variable and the rule. No line repeats a value, because a
secret may have been pasted into the wrong variable.
"""

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Self

from dotenv import dotenv_values
from pydantic import ValidationError

from worker.config.fields import SettingsFields
from worker.config.gate_thresholds import GateRules
from worker.config.instances import FurtherInstance, Instance
from worker.config.sources import Say, read_dotenv, say_once, settings_files
from worker.config.unknown_names import unknown_names
from worker.config.validators import split_login_keys, split_webhook_secrets
from worker.errors import SettingsError
from worker.vault.vault import Vault


class Settings(SettingsFields):
    """The settings of this process, and what follows from them."""

    @classmethod
    def load(cls, *, require: Iterable[str] = (), say: Say = say_once) -> Self:
        """Read the environment, the stack that runs in this folder (sources.py, `say`), and `.env`.

        Raises SettingsError with a line for each wrong or missing value.
        """
        dotenv, files = read_dotenv(), settings_files(say)
        sources: list[Mapping[str, str | None]] = [*map(dotenv_values, files), os.environ]
        given = {name.upper(): value for found in sources for name, value in found.items() if value}
        lines = unknown_names(os.environ, dotenv, known=[name.upper() for name in cls.model_fields])
        try:
            settings = cls(_env_file=files)
        except ValidationError as error:
            lines += _lines_of(error, given)
            missing = [name for name in require if name not in given]
        else:
            missing = [name for name in require if getattr(settings, name.lower()) is None]
        lines += [f"{name}: is required here; {WHY_REQUIRED[name]}" for name in missing]
        if lines:
            found = given.get("LOG_FORMAT")
            raise SettingsError(
                lines, log_format="json" if found == "json" else "console" if found == "console" else None
            )
        return settings

    @property
    def lease_margin_seconds(self) -> float:
        """How long after its claim a call may begin.

        A call that begins this late reaches its deadline when the lease ends. Its write lands within
        FLINKS_SETTLE_SECONDS after that.
        """
        return 5.0

    @property
    def lease_seconds(self) -> float:
        """How long a claimed login belongs to its worker."""
        return self.flinks_timeout_seconds + self.lease_margin_seconds

    @property
    def gate_rules(self) -> GateRules:
        """The thresholds at which the gate shuts by itself."""
        return GateRules(
            outage_ratio=self.gate_outage_ratio,
            outage_min_calls=self.gate_outage_min_calls,
            outage_window_seconds=self.gate_outage_window_seconds,
            outage_in_a_row=self.gate_outage_in_a_row,
            storm_logins=self.gate_storm_logins,
        )

    def redis_address(self) -> str:
        """Return REDIS_URL, which the caller must have required."""
        return self.redis_url.get_secret_value() if self.redis_url else ""

    def vault(self) -> Vault:
        """Return the vault for LOGIN_KEYS, which the caller must have required."""
        return Vault(split_login_keys(self.login_keys.get_secret_value() if self.login_keys else ""))

    def webhook_keys(self) -> dict[str, bytes]:
        """Return the keys that sign events sent over HTTP, by name; if there is none, `POST /events` is closed."""
        return split_webhook_secrets(self.http_events_secrets.get_secret_value()) if self.http_events_secrets else {}

    def instances(self) -> dict[str, Instance]:
        """Return every instance that we may call, by name; the default instance only if it has a key."""
        shared: dict[str, Any] = {"auth_header": self.flinks_auth_header, "auth_scheme": self.flinks_auth_scheme}
        found: dict[str, Instance] = {}
        if self.flinks_auth_key is not None:
            found[self.flinks_instance] = Instance(
                name=self.flinks_instance,
                customer_id=self.flinks_customer_id,
                auth_key=self.flinks_auth_key,
                base_url=self.flinks_base_url.replace("{instance}", self.flinks_instance),
                **shared,
            )
        for name, entry in self.flinks_instances.items():
            found[name] = Instance(
                name=name,
                customer_id=entry.customer_id,
                auth_key=entry.auth_key,
                base_url=(entry.base_url or self.flinks_base_url).replace("{instance}", name),
                **shared,
            )
        return found


WHY_REQUIRED = {
    "REDIS_URL": "it names the ledger, for example redis://localhost:6379/0; `make run` starts one for trials",
    "FLINKS_AUTH_KEY": "it is the key that Flinks gave you; `make run` works without one, against the emulator",
    "LOGIN_KEYS": "it seals loginIds; print a key once with `nightly keys new` and keep it as you keep a password",
}
_RULES = {
    "missing": "is required",
    "model_type": "must be a JSON object",
    "extra_forbidden": f"holds a field other than {', '.join(FurtherInstance.model_fields)}",
}


def _lines_of(error: ValidationError, given: Mapping[str, str]) -> list[str]:
    lines = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        if item["type"] == "default_factory_not_called":  # FLINKS_SETTLE_SECONDS has no default until others are valid
            continue
        message = _RULES.get(item["type"], item["msg"].removeprefix("Value error, "))
        lines.append(f"{_place(item['loc'], given)}: {message[:1].lower()}{message[1:]}")
    return lines


def _place(location: tuple[int | str, ...], given: Mapping[str, str]) -> str:
    """Return the variable's name; an instance is given by number, because its name may be a misplaced secret."""
    variable = str(location[0]).upper()
    if len(location) == 1:
        return variable
    names = json.loads(given.get(variable, "{}"))
    number = next((number for number, name in enumerate(names, 1) if name == location[1]), "?")
    field = f", {location[2]}" if location[2:] and location[2] in FurtherInstance.model_fields else ""
    return f"{variable} (entry {number}{field})"
