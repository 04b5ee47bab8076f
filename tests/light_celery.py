"""The `celery` command without flower and its shell, which a worker imports but never uses: a seventh of its start.

`nightly run`, the demo, the Procfile's test and others start `python -m celery`, as in production.
"""

import sys
from types import SimpleNamespace


def leave_out_extras() -> None:
    """Keep Celery from importing what no worker uses."""
    sys.modules["flower"] = None  # type: ignore[assignment]
    sys.modules["click_repl"] = SimpleNamespace(register_repl=lambda _: None)  # type: ignore[assignment]


def main() -> None:
    """Run the command."""
    leave_out_extras()
    from celery.__main__ import main as celery  # noqa: PLC0415 - without the extras

    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()
