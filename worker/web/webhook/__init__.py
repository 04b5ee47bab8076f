"""`POST /events`, for producers that cannot reach Redis. This process needs no key that decrypts a loginId.

route.py        builds the endpoint from the settings
endpoint.py     runs the steps of a request; acceptor.py runs those that block
body.py         reads the body, with limits on its size and duration
signature.py    verifies the producer's signature (Standard Webhooks)
repeats.py      recognises requests that were accepted before
cloudevents.py  extracts the CloudEvents: one, a batch, or attributes in headers
judge.py        validates each event
rate_limit.py   limits the events a second of each producer
appender.py     appends the events, with sealed loginIds, to the stream
problems.py     writes the responses to refused requests; refusal_log.py logs them
"""
