"""`/operations`: gates, rates, queues, workers, backfills and bulk jobs."""

from worker.web.review.pages.empty import action, page

show = page("Operations")
open_gate = action()
close_gate = action()
pause_backfill = action()
resume_backfill = action()
cancel_backfill = action()
