"""What Nightly tells about itself: log lines, Sentry events and metrics, none of which holds a secret.

Everything that leaves the process passes `scrub`; what a library wrote is shown only where we know its shape.
"""
