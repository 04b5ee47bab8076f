"""`POST /events`: the way in over HTTP, for producers that cannot reach Redis. It holds no key that opens a loginId.

endpoint.py     the steps of a request; acceptor.py has the blocking ones
cloudevents.py  which CloudEvents a request holds: one, a batch, or attributes in headers
signature.py    which producer signed it: the Standard Webhooks specification
repeats.py      which requests were accepted before
judge.py        which events are valid
rate_limit.py   events a second for each secret; body.py limits the size and duration of a body
appender.py     appends the events to the stream, after acceptor.py has sealed their loginIds
problems.py     the answers to refused requests; refusal_log.py logs them
route.py        builds it from the settings
"""
