"""`nightly backfill`: commands.py has the subcommands, start.py the largest of them."""
