"""`/audit`: who did what, and whether the record of it is whole."""

from worker.web.review.pages.empty import page

show = page("Audit log")
verify = page("Audit log")
export = page("Audit log")
