"""The review page, read-only: `nightly status` in a browser, and the newest dead letters with what to do about them."""
