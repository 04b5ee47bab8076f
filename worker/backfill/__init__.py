"""Backfills: wishes for millions of logins at once, packed in the ledger and handed over no faster than they drain."""
