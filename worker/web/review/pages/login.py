"""`/logins/{reference}`: what is known about one login."""

from worker.web.review.pages.empty import page

show = page("Login")
