"""The Celery app: the one place that connects settings, tasks, bootsteps and signals."""

import os
from importlib.metadata import version
from typing import Any

from celery import Celery, signals
from celery.apps import worker as worker_program

from worker.broker.celery_config import celery_settings
from worker.broker.rabbitmq import ANSWER_SECONDS
from worker.celery_worker.bootsteps import Background, LedgerCheck
from worker.celery_worker.hints import Hints
from worker.celery_worker.patches.kombu_redis import guard_kombu
from worker.celery_worker.patches.kombu_sentinel import follow_primary
from worker.celery_worker.patches.prefork_pool import guard_pool
from worker.celery_worker.patches.py_amqp import guard_amqp
from worker.celery_worker.shutdown import MARGIN_SECONDS, Shutdown, Stage
from worker.celery_worker.task_dispatch import TaskDispatch
from worker.celery_worker.task_events import TaskEvents
from worker.celery_worker.watchdog import Progress
from worker.config.settings import Settings
from worker.errors import SettingsError
from worker.events.channels import BACKFILL_QUEUE, REFRESH_QUEUE
from worker.intake.poison import Deliveries
from worker.services import WORKER_SETTINGS, Services, build_services
from worker.telemetry.logs import configure_logging, get_logger, writes_json
from worker.telemetry.printed import log_printed_lines, print_reasons
from worker.telemetry.sentry import configure_sentry

HOPS = 20
"""How often workers that lack a message's key pass it on. After that, the next pulse sends another message."""
_said_of_settings: list[str] = []
"""Where the settings came from, kept until the log is configured."""
TASK_MODULES = ("tasks.account_linked", "tasks.account_inactive", "tasks.reconcile", "tasks.backfill")


class NightlyApp(Celery):
    """A Celery app with our settings; it builds its services once per process."""

    control_cls = "worker.celery_worker.remote_control:QuietControl"
    events_cls = "worker.celery_worker.task_events:DroppingEvents"

    def __init__(self, settings: Settings) -> None:
        super().__init__("worker", set_as_current=True)
        self.settings = settings
        self.version = version("nightly-refresh-worker")
        self.identity = self.worker_name = ""
        """The worker of this process: an id unique to each start, and a readable name (`celery@host#pid`).

        Set when a worker starts; its children inherit both.
        """
        self.has_spare_slot = False
        """Whether the pool has a process for other tasks while a reconciler waits; set when a worker starts, too."""
        self.conf.update(celery_settings(settings))
        self.conf.imports = TASK_MODULES
        self.on_after_finalize.connect(_leave_out_celerys_tasks, weak=False)
        self.steps["worker"].update({LedgerCheck, Background})
        self.progress = Progress()
        self.shutdown = Shutdown(within_seconds=settings.flinks_timeout_seconds + MARGIN_SECONDS)
        self.hints = Hints()
        """For the parent's threads; a task sends its messages itself."""
        self.task_dispatch, self.task_events = TaskDispatch(self), TaskEvents(self)
        self.reads: tuple[str, ...] = ()
        """The sources of this worker's readers: the stream, and the event queue if this worker consumes it."""
        self._services: dict[int, Services] = {}

    def services(self) -> Services:
        """Return the services of this process; a forked child builds its own."""
        pid = os.getpid()
        if pid not in self._services:
            self._services[pid] = build_services(self.settings, dispatch=self.task_dispatch)
        return self._services[pid]

    def deliveries(self) -> Deliveries:
        """Return the counter of redelivered events."""
        services = self.services()
        return Deliveries(services.redis, services.vault)

    def wake(self, services: Services) -> None:
        """Send a reconcile message if due work has too few reconcilers."""
        if self.needs_reconcilers(services):
            self.send_reconcile()

    def needs_reconcilers(self, services: Services) -> bool:
        """Return whether to send a reconcile message; if so, the ledger answers no for the next second."""
        return services.ledger.pulse(services.fingerprints, worker=self.identity).should_wake

    def begin_shutdown(self, stage: Stage = Stage.WARM) -> None:
        """Stop claiming; calls in flight end within their deadline."""
        self.shutdown.begin(stage)

    def send_reconcile(self, key_id: str = "", hops: int = HOPS) -> None:
        """Send a reconcile message for a worker that has a key (default: our newest); others pass it on."""
        arguments = {"key": key_id or self.services().vault.key_ids[0], "hops": hops}
        self.send_task("refresh.reconcile", kwargs=arguments, queue=REFRESH_QUEUE, confirm_timeout=ANSWER_SECONDS)

    def send_feed(self, hops: int = HOPS) -> None:
        """Send a message to hand over rows of backfills; a worker that lacks their key passes it on."""
        self.send_task("backfill.feed", kwargs={"hops": hops}, queue=BACKFILL_QUEUE)


def _leave_out_celerys_tasks(sender: Celery, **_: Any) -> None:
    """Unregister Celery's own tasks (`celery.map`, `celery.chain` ...), which run any task that a message names."""
    for name in [name for name in sender.tasks if name.startswith("celery.")]:
        sender.tasks.unregister(name)


def _say(line: str) -> None:
    if line not in _said_of_settings:
        _said_of_settings.append(line)


def _load_settings(*, for_worker: bool = False) -> Settings:
    """Return the settings, or end the process with a line for each wrong or missing one.

    Celery's other commands (`inspect`, `control`, `report`) need no more than a broker, and so no secret of a worker.
    """
    try:
        settings = Settings.load(require=WORKER_SETTINGS if for_worker else (), say=_say)
        return settings if settings.broker_url else Settings.load(require=("REDIS_URL",), say=_say)
    except SettingsError as error:
        print_reasons((*_said_of_settings, *error.lines), log_format=error.log_format)
        raise SystemExit(2) from None


def _print(text: object, _: object = None) -> None:
    print(text)  # noqa: T201 - it becomes a log line


@signals.celeryd_init.connect(weak=False)
def _set_up_output(instance: Any = None, **_: Any) -> None:
    """Check a worker's settings, and configure logging before Celery prints anything.

    With JSON, omit its banner and log what anything prints.
    """
    _load_settings(for_worker=True)
    _set_up_logging()
    for line in _said_of_settings:
        get_logger(__name__).info("settings_read", reason=line)
    if writes_json(app.settings.log_format):
        instance.quiet = True
        worker_program.safe_say = _print  # type: ignore[attr-defined] # Celery's writes to the descriptor
        log_printed_lines()


@signals.setup_logging.connect(weak=False)
def _set_up_logging(**_: Any) -> None:
    configure_logging(log_format=app.settings.log_format, log_level=app.settings.log_level)


@signals.worker_shutting_down.connect(weak=False)
def _begin_shutdown(how: str = "Warm", **_: Any) -> None:
    app.begin_shutdown(Stage.COLD if how == "Cold" else Stage.WARM)


@signals.task_prerun.connect(weak=False)
def _guard_task(**_: Any) -> None:
    app.shutdown.obey_in_child()  # here, because the pool sets a child's signal handlers last


for _name in ("CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"):
    os.environ.pop(_name, None)  # Celery would prefer these to our settings and use a different Redis
guard_kombu()
guard_amqp()
follow_primary()
guard_pool()
app = NightlyApp(_load_settings())
_dsn = app.settings.sentry_dsn
configure_sentry(dsn=_dsn.get_secret_value() if _dsn else None, environment=app.settings.sentry_environment)
