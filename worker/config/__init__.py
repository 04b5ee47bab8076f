"""Settings from the environment (`settings.py`), their validation, and the Flinks instances they describe."""
