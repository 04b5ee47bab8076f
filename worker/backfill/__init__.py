<<<<<<< HEAD
"""Backfills: wishes for millions of logins at once, packed in the ledger and handed over no faster than they drain."""
=======
"""Backfills: wishes for many logins at once, packed in the ledger, and handed over no faster than calls are made.

models.py       the values: a row, a backfill, the outcome of a row
chunks.py       packs rows into the bytes of one chunk
reading.py      decodes a backfill as Redis stores it
store.py        create, load, commit, pause, resume, cancel, read: the only owner of the keys `nightly:backfill*`
quiet_hours.py  the hours in which no rows are handed over
feeder.py       hands rows over to the ledger's backfill lane
"""
>>>>>>> 19b9fa6 (Write the texts of commands and backfills in plain words)
