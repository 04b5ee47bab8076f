"""Everything Celery-shaped: the app, a worker's threads, and what Celery needs to run safely (docs/adr/0002).

app.py               the Celery app: settings, services, tasks, bootsteps and signals
bootsteps.py         starts a worker's threads: pulse, readers, hints, watchdog; repeating_thread.py runs each
task_dispatch.py     passes messages from the readers to the task of their type
task_events.py       sends Celery's task events for these messages (Flower, exporters)
consumer.py          Celery's own consumer: keeps messages for review that Celery would delete
redacted_request.py  hides arguments from logs, events and inspection
remote_control.py    answers `celery inspect`, and refuses commands that would change a worker
mailboxes.py         removes dead workers from kombu's list of remote-control mailboxes
hints.py             sends `refresh.reconcile` and `backfill.feed` from its own thread
watchdog.py          ends a worker that makes no progress
shutdown.py          ends a worker within a time limit
gc_tuning.py         excludes permanent objects from Python's garbage collection
patches/             corrects faults of Celery's libraries that would end a worker or delay its end
"""
