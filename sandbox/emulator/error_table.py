"""The error answers that a fault can give: HTTP status, FlinksCode and Message, by the fault's name.

Statuses follow Flinks' documentation where it gives one; a fault may set another.
"""

from typing import Literal

ErrorName = Literal[
    "retry_later",
    "too_many_requests",
    "invalid_login",
    "invalid_login_storm",
    "unauthorized",
    "bad_key",
    "card_in_use",
    "operation_pending",
    "unknown_code",
    "server_error",
    "error_in_200",
    "flinks_error",
]

ERRORS: dict[str, tuple[int, str, str]] = {
    "retry_later": (401, "RETRY_LATER", "The institution is not available right now."),
    "too_many_requests": (401, "TOO_MANY_REQUESTS", "Too many requests."),
    "invalid_login": (400, "INVALID_LOGIN", "LoginId is invalid or does not belong to the CustomerId."),
    "invalid_login_storm": (400, "INVALID_LOGIN", "LoginId is invalid or does not belong to the CustomerId."),
    "unauthorized": (401, "UNAUTHORIZED", "The institution did not authorize access."),
    "bad_key": (401, "ACCESS_DENIED", "The key is missing or is not accepted."),
    "card_in_use": (401, "CARD_IN_USE", "This card is being used by another operation."),
    "operation_pending": (202, "OPERATION_PENDING", "The operation is still being processed."),
    "unknown_code": (400, "SOMETHING_QUITE_NEW", "No page documents this code."),
    "server_error": (500, "AGGREGATION_ERROR", "An unexpected error occurred."),
    "error_in_200": (200, "AGGREGATION_ERROR", "An unexpected error occurred."),
    "flinks_error": (400, "INVALID_REQUEST", "The request is not valid."),
}
