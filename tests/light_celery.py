"""The `celery` command without flower and its shell, which a worker imports but never uses: a seventh of its start.

`nightly run`, the demo, the Procfile's test and others start `python -m celery`, as in production.
"""

import sys
from types import SimpleNamespace

from celery.__main__ import main as celery


def main() -> None:
    """Run the command."""
    sys.modules["flower"] = None  # type: ignore[assignment]
    sys.modules["click_repl"] = SimpleNamespace(register_repl=lambda _: None)  # type: ignore[assignment]
    sys.argv[0] = "celery"
    celery()


if __name__ == "__main__":
    main()
