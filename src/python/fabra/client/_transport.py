"""How a call is sent: within one deadline, reads again where that may help, with a pause that grows and differs from caller to caller."""

import random
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import AsyncIterator, Dict, Iterator, Optional, TypeVar, Union

import anyio
import httpx

from .._errors import FabraError
from ._errors import ClientError, DeadlineExceeded, Overloaded, SchemaMismatch, ServerUnreachable
from ._requests import Answer, Operation, Request, failure_of
from ._settings import Settings

T = TypeVar("T")

_CHUNK_BYTES = 256 * 1024
_WATCH_SECONDS = 0.5
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0
#: Of something before the server, whose own errors with these statuses are not worth a second try.
_GATEWAY = (502, 504)


class Deadline:
    """When a call's time is over. `remaining` raises when it is."""

    def __init__(self, seconds: float, what: str) -> None:
        self.seconds = seconds
        self.what = what
        self.at = time.monotonic() + seconds

    def remaining(self) -> float:
        left = self.at - time.monotonic()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"{self.what} had no answer within {self.seconds:g} s.", "Give it more time: timeout=…, in seconds.")


class Attempts:
    """Says of a failed request whether and when it is sent again."""

    def __init__(self, request: Request, deadline: Deadline, retries: int) -> None:
        self._left = retries if request.is_read else 0
        self._deadline = deadline
        self._pause = _FIRST_PAUSE

    def pause(self, error: ClientError) -> float:
        """Seconds to wait before the next try. Raises the error where there is none."""
        again = isinstance(error, (ServerUnreachable, Overloaded)) or error.status == 503 or (
            error.status in _GATEWAY and error.code == "internal"
        )
        if self._left == 0 or not again:
            raise error
        self._left -= 1
        wait = error.retry_after if error.retry_after is not None else 0.0
        wait += random.uniform(0, self._pause)
        self._pause = min(_LONGEST_PAUSE, self._pause * 2)
        if wait >= self._deadline.at - time.monotonic():
            raise error
        return wait


def _limits(deadline: Deadline) -> httpx.Timeout:
    return httpx.Timeout(deadline.remaining())


@contextmanager
def _told(settings: Settings, request: Request, deadline: Deadline) -> Iterator[None]:
    """httpx's errors as ours."""
    try:
        yield
    except httpx.TimeoutException as cause:
        raise deadline.exceeded() from cause
    except httpx.TransportError as cause:
        unsure = "" if request.is_read else " Whether it took place is not known; pushing the same values again is safe."
        at_all = isinstance(cause, httpx.ConnectError)
        message = f"No server answers at {settings.url}." if at_all else f"The connection to {settings.url} broke before the answer."
        hint = 'Is it running ("fabra serve")? Is the address right (FABRA_URL)?' if at_all else f"See the server's log.{unsure}"
        raise ServerUnreachable(message, hint) from cause


def _checked(status: int, headers: httpx.Headers, content: bytes) -> Answer:
    answer = Answer(status, {name.lower(): value for name, value in headers.items()}, content)
    error = failure_of(answer)
    if error is not None:
        raise error
    return answer


def _length(request: Request) -> Dict[str, str]:
    return {"content-length": str(request.content.stat().st_size)} if isinstance(request.content, Path) else {}


def _next_request(operation: Operation[T], answer: Answer) -> Request:
    try:
        return operation.send(answer)
    except (KeyError, IndexError, TypeError) as cause:
        raise SchemaMismatch(
            f"The answer lacks what this client looks for ({cause}).", "Are the server and this client of one version?", status=answer.status
        ) from cause


class Transport:
    def __init__(self, settings: Settings, http: Optional[httpx.Client]) -> None:
        self._settings = settings
        self._http = http or httpx.Client()
        self._owns = http is None

    def close(self) -> None:
        if self._owns:
            self._http.close()

    def run(self, operation: Operation[T], what: str, timeout: Optional[float]) -> T:
        deadline = Deadline(timeout or self._settings.timeout, what)
        try:
            request = next(operation)
            while True:
                try:
                    answer = self._send(request, deadline)
                except FabraError as error:
                    request = operation.throw(error)
                else:
                    request = _next_request(operation, answer)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            operation.close()

    def _send(self, request: Request, deadline: Deadline) -> Answer:
        attempts = Attempts(request, deadline, self._settings.retries)
        while True:
            try:
                with _told(self._settings, request, deadline), self._watching(request, deadline):
                    return self._once(request, deadline)
            except ClientError as error:
                time.sleep(attempts.pause(error))

    def _once(self, request: Request, deadline: Deadline) -> Answer:
        file = request.content.open("rb") if isinstance(request.content, Path) else None
        try:
            with self._http.stream(
                request.method,
                self._settings.url + request.path,
                params=dict(request.params) or None,
                headers={**self._settings.headers, **request.headers, **_length(request)},
                content=file or (request.content if isinstance(request.content, bytes) else None),
                timeout=_limits(deadline),
            ) as response:
                pieces = []
                into = request.into.open("wb") if request.into is not None and response.status_code < 400 else None
                try:
                    for piece in response.iter_bytes():
                        deadline.remaining()
                        if into is not None:
                            into.write(piece)
                        else:
                            pieces.append(piece)
                finally:
                    if into is not None:
                        into.close()
                return _checked(response.status_code, response.headers, b"".join(pieces))
        finally:
            if file is not None:
                file.close()

    @contextmanager
    def _watching(self, request: Request, deadline: Deadline) -> Iterator[None]:
        watch = request.watch
        if watch is None:
            yield
            return
        done = threading.Event()

        def look() -> None:
            while not done.wait(_WATCH_SECONDS):
                try:
                    watch(self._once(Request("GET", request.watch_path), deadline).json())
                except (FabraError, httpx.HTTPError):
                    continue

        thread = threading.Thread(target=look, name="fabra-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(1)


class AsyncTransport:
    def __init__(self, settings: Settings, http: Optional[httpx.AsyncClient]) -> None:
        self._settings = settings
        self._http = http or httpx.AsyncClient()
        self._owns = http is None

    async def close(self) -> None:
        if self._owns:
            await self._http.aclose()

    async def run(self, operation: Operation[T], what: str, timeout: Optional[float]) -> T:
        deadline = Deadline(timeout or self._settings.timeout, what)
        try:
            request = next(operation)
            while True:
                try:
                    answer = await self._send(request, deadline)
                except FabraError as error:
                    request = operation.throw(error)
                else:
                    request = _next_request(operation, answer)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            operation.close()

    async def _send(self, request: Request, deadline: Deadline) -> Answer:
        attempts = Attempts(request, deadline, self._settings.retries)
        while True:
            try:
                with _told(self._settings, request, deadline):
                    return await self._within(request, deadline)
            except ClientError as error:
                await anyio.sleep(attempts.pause(error))

    async def _within(self, request: Request, deadline: Deadline) -> Answer:
        with anyio.move_on_after(deadline.remaining()):
            if request.watch is None:
                return await self._once(request, deadline)
            # An error that left the group would come out wrapped in a group of errors.
            failed: Optional[Exception] = None
            answer: Optional[Answer] = None
            async with anyio.create_task_group() as group:
                group.start_soon(self._look, request, deadline)
                try:
                    answer = await self._once(request, deadline)
                except (FabraError, httpx.HTTPError) as error:
                    failed = error
                group.cancel_scope.cancel()
            if failed is not None:
                raise failed
            if answer is not None:
                return answer
        raise deadline.exceeded()

    async def _look(self, request: Request, deadline: Deadline) -> None:
        while True:
            await anyio.sleep(_WATCH_SECONDS)
            try:
                state = (await self._once(Request("GET", request.watch_path), deadline)).json()
            except (FabraError, httpx.HTTPError):
                continue
            if request.watch is not None:
                request.watch(state)

    async def _once(self, request: Request, deadline: Deadline) -> Answer:
        content: Union[bytes, AsyncIterator[bytes], None]
        content = _pieces(request.content) if isinstance(request.content, Path) else request.content
        async with self._http.stream(
            request.method,
            self._settings.url + request.path,
            params=dict(request.params) or None,
            headers={**self._settings.headers, **request.headers, **_length(request)},
            content=content,
            timeout=_limits(deadline),
        ) as response:
            pieces = []
            into = request.into.open("wb") if request.into is not None and response.status_code < 400 else None
            try:
                async for piece in response.aiter_bytes():
                    if into is not None:
                        into.write(piece)
                    else:
                        pieces.append(piece)
            finally:
                if into is not None:
                    into.close()
            return _checked(response.status_code, response.headers, b"".join(pieces))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while True:
            piece = file.read(_CHUNK_BYTES)
            if not piece:
                return
            yield piece
