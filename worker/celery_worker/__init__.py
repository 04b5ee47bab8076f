"""Everything Celery-shaped: Celery executes, and what it needs to do so safely is here (docs/adr/0002).

app.py               the Celery app: settings, services, tasks, bootsteps and signals
bootsteps.py         the threads of a worker: pacemaker, readers, wake-ups, watchdog; repeating_thread.py is one of them
task_dispatch.py     hands what readers read to the task of its type
consumer.py          keeps what Celery would delete
patches/             faults of kombu and py-amqp that would end a worker
redacted_request.py  hides arguments from logs, events and inspection
remote_control.py    answers `celery inspect` and refuses what would change a worker
watchdog.py          ends a worker that makes no progress; progress.py counts, celery_parts.py has Celery's parts
shutdown.py          ends a worker within a time limit; hints.py sends wake-ups without holding up the caller
"""
