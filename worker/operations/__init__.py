"""What operators do, whether the command line or the page asks: replay, advice, checks."""
