"""Starts the Flinks emulator: `python -m sandbox.emulator --port 0`.

Prints `{"listening": "http://127.0.0.1:PORT"}` on stdout once it accepts connections; exits 0 on SIGTERM or SIGINT.
A missing option is read from the environment variable in its help, so a compose file needs no command line. This is a
test double: do not expose it to a network.
"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence

from sandbox.emulator.server import serve
from sandbox.emulator.state import DEFAULT_CUSTOMER_ID, Emulator, Options

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _guid(value: str) -> str:
    if not _GUID.fullmatch(value):
        raise argparse.ArgumentTypeError("must be a GUID")
    return value.lower()


def _words(environ: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in environ.get(name, "").split(",") if word.strip()]


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Build the command line's parser, with defaults from the environment."""
    options = argparse.ArgumentParser(
        "python -m sandbox.emulator", description="An emulator of the Flinks API with configurable faults."
    )
    add = options.add_argument
    add("--host", default=environ.get("EMULATOR_HOST", "127.0.0.1"), help="address to listen on (EMULATOR_HOST)")
    add("--port", type=int, default=environ.get("EMULATOR_PORT", "0"), help="0 means any free port (EMULATOR_PORT)")
    add("--auth-key", action="append", help="accept only this key; repeatable (EMULATOR_AUTH_KEYS, commas)")
    add("--api-secret", action="append", help="bearer of GetNightlyRefreshStatus (EMULATOR_API_SECRETS, commas)")
    add(
        "--customer-id",
        "--customer",
        action="append",
        type=_guid,
        metavar="GUID",
        help=f"repeatable, one per instance; default {DEFAULT_CUSTOMER_ID} (EMULATOR_CUSTOMER_IDS, commas)",
    )
    add(
        "--invalid-login-status",
        type=int,
        choices=(400, 401),
        default=environ.get("EMULATOR_INVALID_LOGIN_STATUS", "400"),
        help="the contract says 400, the error-code page 401 (EMULATOR_INVALID_LOGIN_STATUS)",
    )
    add(
        "--log-level",
        choices=("critical", "error", "warning", "info", "debug"),
        default=environ.get("EMULATOR_LOG_LEVEL", "warning").lower(),
        help="log level of the server; requests are never logged (EMULATOR_LOG_LEVEL)",
    )
    return options


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parser(environ)
    given = options.parse_args(arguments)
    try:
        customers = given.customer_id or [_guid(word) for word in _words(environ, "EMULATOR_CUSTOMER_IDS")]
    except argparse.ArgumentTypeError as error:
        options.error(f"EMULATOR_CUSTOMER_IDS: {error}")
    emulator = Emulator(
        Options(
            customer_ids=tuple(customers) or (DEFAULT_CUSTOMER_ID,),
            auth_keys=tuple(given.auth_key or _words(environ, "EMULATOR_AUTH_KEYS")),
            api_secrets=tuple(given.api_secret or _words(environ, "EMULATOR_API_SECRETS")),
            invalid_login_status=given.invalid_login_status,
        )
    )
    serve(emulator, host=given.host, port=given.port, log_level=given.log_level)


if __name__ == "__main__":
    main()
