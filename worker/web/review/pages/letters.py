"""`/letters`: dead letters by filter, and the search."""

from worker.web.review.pages.empty import action, page

show = page("Letters")
search = action()
