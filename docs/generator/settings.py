"""Describes every setting, from worker/config/fields.py: docs/settings.md for readers, .env.example to copy."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from worker.config import fields
from worker.config.settings import WHY_REQUIRED, Settings

_PAGE = """\
# Settings

Settings are environment variables, or lines of a file `.env` in the working folder. A variable takes precedence over a
line; an empty one counts as not set, so that the line of `.env`, or else the default, is used. A wrong value or a
misspelt name prevents the start with one clear line. In the folder of a `make run`, commands use the settings of that
run ([operating.md](operating.md#trials-and-the-sandbox)). [.env.example](../.env.example) is a template. `make schemas`
generates this page and that file from worker/config/fields.py.

More about [RabbitMQ](operating.md#rabbitmq), [the sandbox](operating.md#trials-and-the-sandbox), [the
gate](operating.md#the-gate), [keys](operating.md#keys), [sealing](sending-events.md#sealed-by-the-producer), [events
over HTTP](operating.md#events-over-http), [what to watch](operating.md#what-to-watch) and [logs](operating.md#logs).

| setting | default | meaning |
|---|---|---|
"""
_EXAMPLE = """\
# Copy to .env and fill in. Empty means the default. A wrong value or a misspelt name prevents the start.
# Write a value that holds a dollar sign, a space or a double quote in 'single quotes'.
# `make schemas` generates this file from worker/config/fields.py.
"""
_WIDTH = 118


@dataclass(frozen=True)
class Setting:
    """One setting; `default` is None if there is none, or if it follows from other settings."""

    name: str
    meaning: str
    default: Any
    is_required: bool


def settings() -> Iterator[Setting]:
    """Yield every setting in the order of the source; raises KeyError for one without a meaning."""
    meanings = dict(_meanings())
    for name, field in Settings.model_fields.items():
        meaning = " ".join(meanings[name].split())
        variable = name.upper()
        yield Setting(variable, meaning, _default(field), variable in WHY_REQUIRED)


def page() -> str:
    """Return docs/settings.md."""
    return _PAGE + "".join(f"| `{one.name}` | {_shown(one)} | {one.meaning} |\n" for one in settings())


def example() -> str:
    """Return .env.example."""
    return _EXAMPLE + "".join(
        f"\n{textwrap.indent(textwrap.fill(_comment(one), _WIDTH, break_on_hyphens=False), '# ')}\n{_line(one)}\n"
        for one in settings()
    )


def _meanings() -> Iterator[tuple[str, str]]:
    """Yield each field with the docstring below it."""
    (definition,) = ast.parse(inspect.getsource(fields.SettingsFields)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - for mypy
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                yield name, meaning


def _default(field: FieldInfo) -> Any:
    return None if field.default_factory or field.default in {None, ""} else field.default


def _shown(setting: Setting) -> str:
    if setting.is_required:
        return "required"
    return "none" if setting.default is None else f"`{_text(setting.default)}`"


def _comment(setting: Setting) -> str:
    return f"{setting.meaning} Required in production." if setting.is_required else setting.meaning


def _line(setting: Setting) -> str:
    return f"{setting.name}={'' if setting.default is None else _text(setting.default)}"


def _text(default: Any) -> str:
    return str(int(default)) if isinstance(default, bool) else str(default)
