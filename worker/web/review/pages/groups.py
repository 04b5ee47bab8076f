"""`/`: the groups of open dead letters, and what to do about them."""

from worker.web.review.pages.empty import action, page

show = page("Groups")
acknowledge = action()
mute = action()
reopen = action()
assign = action()
