"""`/bulk`: actions on many letters: the preflight, the progress and the results."""

from worker.web.review.pages.empty import action, page

show_all = page("Bulk jobs")
prepare = action()
show = page("Bulk job")
report = page("Report")
run = action()
pause = action()
resume = action()
cancel = action()
