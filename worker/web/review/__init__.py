"""The review page: operations staff look at dead letters and decide about them, under their own name.

app.py              builds the application; parts.py has what the handlers work with
routes.py           every route: method, path, the role it needs, its handler
endpoint.py         the steps of each request: who, may they, was it forged, the form, the handler, errors
identity.py         who a request is from: a session (sessions.py), a proxy's header, a token
users.py            REVIEW_USERS; passwords.py hashes, password_checks.py queues the checks
cookies.py          signs cookies; forgery.py makes and checks the tokens of forms
forms.py            reads the body of a form, with limits
flash.py            a message that the next page shows once
rendering.py        Jinja2; static_files.py CSS and scripts; security_headers.py
pages/              the handlers, one file for each page
"""
