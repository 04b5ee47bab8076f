"""The way in over HTTP, `POST /events`, for producers that cannot reach Redis. It holds no key that opens a loginId.

endpoint.py     the life of a request, step by step; accepting.py its blocking half
modes.py        which CloudEvents a request holds: one, a batch, or attributes in headers
signature.py    who may send: the Standard Webhooks specification
repeats.py      which requests were accepted before
judging.py      which events are accepted
allowance.py    how much; body.py reads no more than that of a body, and not for ever
appending.py    puts them on the stream; accepting.py seals their loginIds before
refusals.py     what a refused sender is answered; refusal_log.py what is logged of it
opening.py      builds it from the settings
"""
