"""What operators do from the command line or see on the review page: replay, advice, alerts, checks, diagnosis."""
