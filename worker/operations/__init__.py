"""What operators do from the command line or see on the status page: replay, advice, alerts, checks, diagnosis."""
