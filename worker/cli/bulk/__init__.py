"""`nightly bulk`: commands.py has the subcommands; `nightly dead-letters replay | resolve` start jobs, too."""
