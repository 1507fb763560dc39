"""What can go wrong in a call: one class for each code of the server, and those of a call that gets no answer."""

from typing import Any, Dict, Mapping, Optional, Type

from .._errors import FabraError


class ClientError(FabraError):
    """A call that failed. `code` says of what kind, `hint` what to do about it."""

    #: The code of the class; instances of a newer server's codes have their own.
    CODE = "internal"

    def __init__(
        self,
        message: str,
        hint: Optional[str] = None,
        *,
        code: Optional[str] = None,
        status: Optional[int] = None,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(code or self.CODE, message, hint)
        #: HTTP status of the answer; None where there was none.
        self.status = status
        #: Under which the server's log tells more.
        self.request_id = request_id
        #: Seconds after which the server asks to try again; None where it does not say.
        self.retry_after = retry_after


class BadRequest(ClientError):
    CODE = "bad_request"


class InvalidBody(ClientError):
    CODE = "invalid_body"


class InvalidKey(ClientError):
    CODE = "invalid_key"


class InvalidInput(ClientError):
    CODE = "invalid_input"


class InvalidTime(ClientError):
    CODE = "invalid_time"


class InvalidValue(ClientError):
    CODE = "invalid_value"


class InvalidLabels(ClientError):
    CODE = "invalid_labels"


class HistoryRemoved(ClientError):
    """What was recorded before some time has left history; `message` says which."""

    CODE = "history_removed"


class ColumnConflict(ClientError):
    CODE = "column_conflict"


class UnknownFeature(ClientError):
    CODE = "unknown_feature"


class UnknownFeatureSet(ClientError):
    CODE = "unknown_feature_set"


class UnknownEntity(ClientError):
    CODE = "unknown_entity"


class UnknownSource(ClientError):
    CODE = "unknown_source"


class NotFound(ClientError):
    CODE = "not_found"


class MethodNotAllowed(ClientError):
    CODE = "method_not_allowed"


class NotRefreshable(ClientError):
    CODE = "not_refreshable"


class NotAppendable(ClientError):
    CODE = "not_appendable"


class NotTrainable(ClientError):
    CODE = "not_trainable"


class BodyTooLarge(ClientError):
    CODE = "body_too_large"


class BodyTooSlow(ClientError):
    CODE = "body_too_slow"


class UnsupportedType(ClientError):
    CODE = "unsupported_type"


class Unauthorized(ClientError):
    CODE = "unauthorized"


class Forbidden(ClientError):
    CODE = "forbidden"


class Overloaded(ClientError):
    CODE = "overloaded"


class TooManyRequests(Overloaded):
    """The key's own rate is used up; `retry_after` says for how long."""

    CODE = "too_many_requests"


class FeatureFailed(ClientError):
    CODE = "feature_failed"


class FeatureTimeout(ClientError):
    CODE = "feature_timeout"


class NotOneRow(ClientError):
    CODE = "not_one_row"


class WrongType(ClientError):
    CODE = "wrong_type"


class ValueTooLarge(ClientError):
    CODE = "value_too_large"


class SourceLoading(ClientError):
    """The server has just started and loads the file of a source that the feature reads."""

    CODE = "source_loading"


class StoreUnavailable(ClientError):
    CODE = "store_unavailable"


class OutcomeUnknown(ClientError):
    """Whether a write took place is not known. Pushing the same values again is safe."""

    CODE = "outcome_unknown"


class SchemaMismatch(ClientError):
    """The server's definitions changed between two answers that belong together, or its answer is not what this client reads."""

    CODE = "schema_mismatch"


class Internal(ClientError):
    CODE = "internal"


class ServerUnreachable(ClientError):
    """No answer: nothing listens there, or the connection broke."""

    CODE = "server_unreachable"


class DeadlineExceeded(ClientError):
    """The call's time was over before the answer was whole."""

    CODE = "deadline_exceeded"


class MissingPackage(ClientError, ImportError):
    """What was asked for needs a package that is not installed."""

    CODE = "missing_package"


_CLASSES: Dict[str, Type[ClientError]] = {
    one.CODE: one for one in list(globals().values()) if isinstance(one, type) and issubclass(one, ClientError) and one is not ClientError
}


def error_of(body: Mapping[str, Any], *, status: Optional[int] = None, retry_after: Optional[float] = None) -> ClientError:
    """The error that an answer tells of: `{"code", "message", "hint"?, "request_id"?}`."""
    code = str(body.get("code", "internal"))
    hint = body.get("hint")
    request_id = body.get("request_id")
    return _CLASSES.get(code, ClientError)(
        str(body.get("message", "Something went wrong.")),
        None if hint is None else str(hint),
        code=code,
        status=status,
        request_id=None if request_id is None else str(request_id),
        retry_after=retry_after,
    )
