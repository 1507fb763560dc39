"""Requests and answers as plain data. What a call does is written once, over these, for both clients."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Generator, Mapping, Optional, TypeVar, Union

from ._errors import ClientError, SchemaMismatch, error_of
from ._types import read_json

ARROW_STREAM = "application/vnd.apache.arrow.stream"

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: A path is sent as the file's contents.
    content: Union[bytes, Path, None] = None
    #: Changes nothing, so it may be sent again.
    is_read: bool = True
    #: Where the body of a good answer goes, instead of into memory.
    into: Optional[Path] = None
    #: Told of how far it is, while the answer is awaited: what GET `watch_path` says.
    watch: Optional[Callable[[Mapping[str, Any]], None]] = None
    watch_path: str = ""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        try:
            return read_json(self.content)
        except ValueError as cause:
            raise SchemaMismatch(
                "The answer is not JSON.", "Is this the address of a fabra server, and not of something before it?", status=self.status
            ) from cause


#: Yields requests, is sent their answers, returns what the caller gets.
Operation = Generator[Request, Answer, T]


def json_request(method: str, path: str, body: Optional[bytes] = None, *, is_read: bool = True, **more: Any) -> Request:
    headers = {"accept": "application/json", **more.pop("headers", {})}
    if body is not None:
        headers["content-type"] = "application/json"
    return Request(method, path, content=body, is_read=is_read, headers=headers, **more)


def retry_after_of(headers: Mapping[str, str]) -> Optional[float]:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def failure_of(answer: Answer) -> Optional[ClientError]:
    """None for a good answer."""
    if answer.status < 400:
        return None
    after = retry_after_of(answer.headers)
    try:
        body = json.loads(answer.content)["error"]
        return error_of(body, status=answer.status, retry_after=after)
    except (ValueError, KeyError, TypeError, AttributeError):
        code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 413: "body_too_large", 429: "overloaded", 503: "overloaded"}
        text = answer.content[:200].decode("utf-8", "replace").strip()
        body = {
            "code": code.get(answer.status, "internal"),
            "message": f"The answer has status {answer.status}: {text or 'no text'}",
            "hint": "It is not fabra's own: something before the server gave it.",
        }
        return error_of(body, status=answer.status, retry_after=after)
