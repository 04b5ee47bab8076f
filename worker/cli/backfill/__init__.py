"""`nightly backfill`."""
