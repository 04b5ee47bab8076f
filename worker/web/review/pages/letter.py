"""`/letters/{id}`: one dead letter, and every action on it."""

from worker.web.review.pages.empty import action, page

show = page("Letter")
replay = action()
resolve = action()
nothing_left = action()
correct = action()
resubmit = action()
assign = action()
note = action()
snooze = action()
reveal = action()
