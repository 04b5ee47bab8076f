"""Backfills: wishes for many logins at once, packed in the ledger, and handed over no faster than calls are made."""
