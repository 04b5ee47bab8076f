"""The way in over HTTP, `POST /events`, for producers that cannot reach Redis.

endpoint.py    the life of a request, step by step; recorder.py is its blocking half
waking.py      has a worker rung for afterwards
modes.py       which CloudEvents a request holds: one, a batch, or attributes in headers
signature.py   who may send: the Standard Webhooks specification
allowance.py   how much; body.py reads no more than that of a body, and not for ever
refusals.py    what a refused sender is told
opening.py     builds it from the settings
"""
