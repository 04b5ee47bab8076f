"""Log lines, Sentry events and metrics, none of which contains a secret.

Everything that leaves the process passes `scrub`; text of a library is shown only if we know its shape.
"""
