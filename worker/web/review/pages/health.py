"""`/health`: whether Redis answers, for probes; open to anybody."""

import redis
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response


def show(request: Request) -> Response:
    """Answer 200 if Redis answers, else 503."""
    try:
        request.app.state.parts.client.ping()
    except redis.RedisError:
        return PlainTextResponse("Redis does not answer\n", status_code=503)
    return PlainTextResponse("ok\n")
