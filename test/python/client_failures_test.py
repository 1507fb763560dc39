"""What the client makes of servers that fail, and of what stands before them. Run by client.test.ts against a server that asks for keys."""

import os
import signal
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, List, Optional

import fabra
from fabra import client as errors
from fabra.client import Client

READER, WRITER = "reader-key-of-the-test", "writer-key-of-the-test"
GOOD = b'{"features":["i"],"types":["int"],"results":[{"entity":{"user_id":"u1"},"values":[7],"statuses":["fresh"],"served_from":["online"],"freshness_ms":[0],"event_timestamps":[null]}]}'
BUSY = b'{"error":{"code":"overloaded","message":"Too much at once.","hint":"Try again.","request_id":"r1"}}'

Answerer = Callable[[BaseHTTPRequestHandler], None]


class Gateway:
    """Something before the server: answers the n-th request by the n-th answer, the last one for ever."""

    def __init__(self, *answers: Answerer) -> None:
        self.seen: List[float] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(handler) -> None:
                handler.rfile.read(int(handler.headers.get("content-length") or 0))
                self.seen.append(time.monotonic())
                answers[min(len(self.seen), len(answers)) - 1](handler)

            do_GET = do_DELETE = do_POST

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_: Any) -> None:
        self.server.shutdown()
        self.server.server_close()


def says(status: int, body: bytes, headers: Optional[Dict[str, str]] = None) -> Answerer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"content-length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"features"')
    handler.wfile.flush()
    hangs_up(handler)


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("content-length", "100000")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        handler.close_connection = True


class Before(unittest.TestCase):
    def test_reads_are_sent_again_where_that_may_help(self) -> None:
        busy = says(503, BUSY, {"retry-after": "0"})
        for trouble in (busy, hangs_up, breaks_off, says(502, b"<html>Bad gateway</html>"), says(503, b"no healthy upstream")):
            with Gateway(trouble, trouble, says(200, GOOD)) as gateway, Client(gateway.url, timeout=60) as client:
                self.assertEqual(client.feature("i", "u1").value, 7)
                self.assertEqual(len(gateway.seen), 3)

    def test_and_no_more_often_than_asked(self) -> None:
        with Gateway(says(503, BUSY, {"retry-after": "0"})) as gateway, Client(gateway.url, retries=2, timeout=60) as client:
            with self.assertRaises(errors.Overloaded) as caught:
                client.features("i", ["u1"])
            self.assertEqual((len(gateway.seen), caught.exception.retry_after, caught.exception.request_id), (3, 0.0, "r1"))

    def test_the_server_says_when(self) -> None:
        with Gateway(says(503, BUSY, {"retry-after": "1"}), says(200, GOOD)) as gateway, Client(gateway.url, timeout=60) as client:
            self.assertEqual(client.feature("i", "u1").value, 7)
            self.assertGreaterEqual(gateway.seen[1] - gateway.seen[0], 1)
        # What lies behind the deadline is not waited for.
        with Gateway(says(503, BUSY, {"retry-after": "3600"})) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaises(errors.Overloaded) as caught:
                client.feature("i", "u1")
            self.assertEqual((len(gateway.seen), caught.exception.retry_after), (1, 3600.0))

    def test_writes_are_never_sent_again(self) -> None:
        for trouble, raised in ((says(503, BUSY, {"retry-after": "0"}), errors.Overloaded), (hangs_up, errors.ServerUnreachable)):
            with Gateway(trouble) as gateway, Client(gateway.url, timeout=60) as client:
                for write in (
                    lambda: client.push("i", [{"user_id": "u1", "value": 1}]),
                    lambda: client.append("events", [{"user_id": "u1"}]),
                    lambda: client.forget("User", "u1"),
                ):
                    before = len(gateway.seen)
                    with self.assertRaises(raised):
                        write()
                    self.assertEqual(len(gateway.seen) - before, 1)

    def test_other_errors_are_not_tried_again(self) -> None:
        failed = b'{"error":{"code":"feature_failed","message":"It failed.","request_id":"r2"}}'
        with Gateway(says(502, failed)) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaises(errors.FeatureFailed):
                client.features("i", ["u1"])
            self.assertEqual(len(gateway.seen), 1)

    def test_a_deadline_holds_whatever_trickles_in(self) -> None:
        with Gateway(drips) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaises(errors.DeadlineExceeded):
                client.feature("i", "u1", timeout=0.4)

    def test_an_answer_that_is_not_fabras(self) -> None:
        with Gateway(says(200, b"<html>Welcome</html>")) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaises(errors.SchemaMismatch):
                client.feature("i", "u1")
        for other in (b'{"ok":true}', b'[]', GOOD.replace(b'"served_from":["online"],', b''), GOOD.replace(b'"results":[', b'"results":[{},')):
            with Gateway(says(200, other)) as gateway, Client(gateway.url, timeout=60) as client:
                with self.assertRaises(errors.SchemaMismatch):
                    client.feature("i", "u1")
        newer = b'{"error":{"code":"not_invented_yet","message":"Something new."}}'
        with Gateway(says(418, newer)) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaises(fabra.FabraError) as caught:
                client.feature("i", "u1")
            self.assertEqual(caught.exception.code, "not_invented_yet")

    def test_definitions_that_change_between_lots_of_one_read(self) -> None:
        one = GOOD[GOOD.index(b'{"entity"') : GOOD.rindex(b"]")]
        many = GOOD.replace(one, b",".join([one] * 5_000))
        with Gateway(says(200, many), says(200, GOOD.replace(b'"int"', b'"float"'))) as gateway, Client(gateway.url, timeout=60) as client:
            with self.assertRaisesRegex(errors.SchemaMismatch, "changed"):
                client.features("i", ["u1"] * 5_001)
        with Gateway(says(200, many), says(200, GOOD)) as gateway, Client(gateway.url, timeout=60) as client:
            self.assertEqual(len(client.features("i", ["u1"] * 5_001)), 5_001)

    def test_nothing_listens(self) -> None:
        with Gateway(hangs_up) as gateway:
            url = gateway.url
        with Client(url) as client, self.assertRaisesRegex(errors.ServerUnreachable, "fabra serve"):
            client.feature("i", "u1", timeout=30)

    def test_an_address_that_is_none(self) -> None:
        for url in ("localhost:8000", "ftp://x", "http://"):
            with self.assertRaises(errors.InvalidInput):
                Client(url)


class Served(unittest.TestCase):
    def test_a_key_is_needed_and_must_be_able_to(self) -> None:
        for client in (Client(timeout=60), Client(api_key="wrong", timeout=60)):
            with client, self.assertRaises(errors.Unauthorized) as caught:
                client.feature("i", "u1")
            self.assertEqual(caught.exception.status, 401)
        with Client(api_key=READER, timeout=60) as client:
            self.assertEqual(client.feature("i", "u1").status, "missing")
            for write in (
                lambda: client.push("i", [{"user_id": "u1", "value": 1}]),
                lambda: client.training_set("SELECT 1 AS user_id", "i", progress=False),
            ):
                with self.assertRaises(errors.Forbidden):
                    write()

    def test_killed_in_the_middle_of_a_call(self) -> None:
        """The function being computed asks us, and we end the server: so it is in the middle of the call."""

        def ends_the_server(_: BaseHTTPRequestHandler) -> None:
            os.kill(int(os.environ["FABRA_PID"]), signal.SIGKILL)

        with Gateway(ends_the_server) as gateway, Client(api_key=WRITER, timeout=60) as client:
            with self.assertRaises(errors.ServerUnreachable):
                client.feature("asks", "u1", inputs={"url": gateway.url})
            with self.assertRaises(errors.ServerUnreachable):
                client.push("i", [{"user_id": "u1", "value": 1}])


if __name__ == "__main__":
    unittest.main(verbosity=2)
