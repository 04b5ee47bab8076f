"""Restores logging, which belongs to the whole process, after a test."""

import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from worker.telemetry.logs import TALKATIVE_LOGGERS, TASK_LOGGERS


@contextmanager
def restored_logging() -> Iterator[None]:
    """Let the body configure logging, warnings and hooks, then undo it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*TALKATIVE_LOGGERS, *TASK_LOGGERS)}
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as hooks:
        # A logger that caches its first configuration could not be restored.
        hooks.setattr(structlog, "configure", lambda **given: configure(**given | {"cache_logger_on_first_use": False}))
        hooks.setattr(sys, "excepthook", sys.excepthook)
        hooks.setattr(threading, "excepthook", threading.excepthook)
        hooks.setattr(warnings, "showwarning", warnings.showwarning)
        try:
            yield
        finally:
            logging.captureWarnings(capture=False)
            root.handlers[:] = handlers
            root.setLevel(level)
            for name, before in levels.items():
                logging.getLogger(name).setLevel(before)
            structlog.reset_defaults()
