"""Log lines, Sentry events and metrics, none of which contains a secret.

`scrub.py` masks everything that leaves the process; `foreign.py` and `sentry_client.py` pass on only known parts of
what libraries write.
"""
