"""Backfills: wishes for millions of logins at once, packed in the ledger and handed over no faster than they drain.

model.py        the values: a row, a backfill, what became of a row
chunks.py       rows as the bytes of one chunk
reading.py      a backfill as Redis holds it
store.py        create, load, commit, steer, read: the only owner of the keys `nightly:backfill*`
quiet_hours.py  the hours in which nothing is handed over
feeder.py       hands rows over to the ledger's backfill lane
"""
