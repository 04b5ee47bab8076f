"""Everything Celery-shaped: Celery executes, and what it needs to do so safely is here (docs/adr/0002).

broker.py         what Celery is told about its broker and itself
background.py     the threads beside the pool: pacemaker, readers, wake-ups, watchdog; loop.py is one of them
queue_reader.py   reads events that come as Celery messages on Redis; messages.py says what such an item is
consumer.py       keeps what Celery would delete; envelope.py judges raw queue items before kombu does
decoding.py       bounds what kombu decompresses and decodes
kombu_guard.py    faults of kombu that would end a worker; kombu_primary.py follows a Redis failover
quiet_request.py  hides arguments from logs, events and inspection
remote_control.py answers `celery inspect` and refuses what would change a worker
watchdog.py       ends a worker that stands still; progress.py counts, broker_probe.py asks the broker, and
celery_parts.py   says what of Celery's own should go on
shutdown.py       the way out, bounded; wake_up.py sends wake-ups without holding up anybody
"""
