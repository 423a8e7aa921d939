"""What a broker may answer to a request for minutes, however odd, over real HTTP: nothing of it ends in a wrong bar."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kiteconnect
import pytest

from tests.integration.rest import MINUTE, SECOND, Broker
from tests.oracle.sessions import ist
from tickloom.errors import AuthenticationFailed, ConnectionFailed
from tickloom.history import History, Instrument, KiteHistory, Limiter, Minutes, Retries, UpstoxHistory

SECRET = "-".join(("a", "very", "secret", "token"))
INFY, NIFTY, OPTION = (
    Instrument(408065, "NSE:INFY"),
    Instrument(256265, "NSE:NIFTY 50"),
    Instrument(2 << 8 | 2, "NFO:X"),
)
NOW = ist("2026-07-02 08:00:00")
START = ist("2026-07-01 09:15:00")

Answer = tuple[int, dict[str, str], bytes]


class Server:
    """Gives the answers of a list, one a request, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, str, str | None]] = []

        class Handler(BaseHTTPRequestHandler):
            server: Any
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.server.owner.answer(self)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.owner = self  # type: ignore[attr-defined]
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append((time.monotonic(), handler.path, handler.headers.get("Authorization")))
        status, headers, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        handler.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @contextmanager
    def running(self) -> Iterator[Server]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(5)


def candles(*rows: Any, status: int = 200, **headers: str) -> Answer:
    """An answer with these rows."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, json.dumps({"status": "success", "data": {"candles": list(rows)}}).encode()


def at(nth: int, offset: str = "+0530") -> str:
    """The nth minute of the day, as a broker writes it."""
    start = dt.datetime.fromtimestamp(START / SECOND + 60 * nth, dt.UTC)
    shown = start if offset == "Z" else start + dt.timedelta(hours=5, minutes=30)
    return f"{shown:%Y-%m-%dT%H:%M:%S}{offset}"


def row(nth: int, volume: Any = 100, *rest: Any, offset: str = "+0530") -> list[Any]:
    return [at(nth, offset), 10.0, 11.0, 9.0, 10.5, volume, *rest]


@pytest.fixture(params=["kite", "upstox"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., History]:
    def history(server: Server | Broker, *, attempts: int = 2, **options: Any) -> History:
        limiter, retries = Limiter(tmp_path / "limit.json", 1_000), Retries(attempts=attempts, base=0.01)
        common: dict[str, Any] = {"root": server.root, "cache": False, "limiter": limiter, "timeout": 2.0}
        common |= {"retries": retries, **options}
        if request.param == "kite":
            return KiteHistory("key", SECRET, **common)
        keys: dict[str | int, str] = {each.token: f"NSE_EQ|{each.token}" for each in (INFY, NIFTY, OPTION)}
        return UpstoxHistory(SECRET, keys, **common)

    return history


def fetch(history: History, instrument: Instrument = INFY) -> Minutes:
    return history.fetch(instrument, START, START + 375 * MINUTE, now_ns=NOW)


def test_a_day_may_have_no_minute(make):
    with Server(candles()).running() as server:
        assert len(fetch(make(server))) == 0
        assert len(server.asked) == 1


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"data": null}', b'{"data": {"candles": null}}',
                                  b'{"status": "success", "data": {"candles": 7}}', b'{"data": {"candles": {"a": 1}}}',
                                  b"\xff\xfe", b"[" * 100_000])  # fmt: skip
def test_an_answer_that_is_none_is_asked_for_again_and_then_given_up(make, body):
    with Server((200, {}, body)).running() as server, pytest.raises(ConnectionFailed, match="failed 2 times"):
        fetch(make(server))
    with Server((200, {}, body), candles(row(0))).running() as server:
        assert len(fetch(make(server))) == 1


def test_rows_in_any_order_and_twice_make_one_column_in_order(make):
    with Server(candles(row(2, 3), row(0, 1), row(2, 4), row(1, 2), row(0, 1))).running() as server:
        minutes = fetch(make(server))
    assert minutes.time.tolist() == [START, START + MINUTE, START + 2 * MINUTE]
    assert minutes.volume is not None
    # Of one minute the later row counts.
    assert minutes.volume.tolist() == [1, 2, 4]


@pytest.mark.parametrize("offset", ["+0530", "+05:30", "Z"])
def test_a_stamp_may_be_written_in_any_way_that_says_its_offset(make, offset):
    with Server(candles(row(0, offset=offset), row(374, offset=offset))).running() as server:
        assert fetch(make(server)).time.tolist() == [START, START + 374 * MINUTE]


@pytest.mark.parametrize(
    "bad",
    [
        ["2026-07-01T09:16:00", 10, 11, 9, 10.5, 5], ["soon", 10, 11, 9, 10.5, 5], [None] * 6, [], None, "row", 7, {},
        ["2026-07-01T09:16:00+0530", 10, 11, 9], ["2026-07-01T09:16:00+0530", 10, 11, 9, None, 5],
        ["2026-07-01T09:16:00+0530", 10, 11, 9, 10.5, None], ["2026-07-01T09:16:00+0530", 10, 11, 9, 10.5, "many"],
        ["2026-07-01T09:16:00+0530", 10, 11, 9, 10.5, float("nan")], ["2026-07-01T09:16:30+0530", 10, 11, 9, 10.5, 5],
    ],
)  # fmt: skip
def test_a_row_that_is_none_costs_no_other_and_is_counted(make, bad):
    with Server(candles(row(0), bad, row(2))).running() as server:
        history = make(server)
        assert fetch(history).time.tolist() == [START, START + 2 * MINUTE]
        assert history.bad_rows == 1
        assert len(server.asked) == 1


def test_open_interest_may_be_absent_or_null(make):
    with Server(candles(row(0, 5), row(1, 5, None), row(2, 5, 70))).running() as server:
        stock, option = (fetch(make(server), each) for each in (INFY, OPTION))
    assert len(stock) == len(option) == 3
    assert stock.oi is None
    assert option.oi is not None
    assert option.oi.tolist() == [0, 0, 70]


def test_an_index_may_have_no_volume(make):
    with Server(candles(row(0, None), row(1, 0), row(2, None, None))).running() as server:
        minutes = fetch(make(server), NIFTY)
    assert len(minutes) == 3
    assert minutes.volume is None


def test_minutes_that_were_not_asked_for_are_left_out(make):
    stray = ["2026-06-01T09:15:00+0530", 10, 11, 9, 10.5, 5]
    later = ["2026-07-02T09:15:00+0530", 10, 11, 9, 10.5, 5]
    with Server(candles(stray, row(0), later)).running() as server:
        assert fetch(make(server)).time.tolist() == [START]


def test_a_429_that_does_not_say_how_long_is_waited_out_all_the_same(make):
    with Server(candles(status=429), candles(row(0))).running() as server:
        assert len(fetch(make(server))) == 1
        first, second = (asked for asked, *_ in server.asked)
        # Twice the limiter's second.
        assert second - first >= 2


def test_a_date_to_wait_for_is_waited_for(make):
    until = time.time() + 3
    date = email.utils.formatdate(until, usegmt=True)
    with Server(candles(status=429, Retry_After=date), candles(row(0))).running() as server:
        assert len(fetch(make(server))) == 1
    # In whole seconds, as the date is written.
    assert time.time() >= int(until) - 0.1


@pytest.mark.parametrize("header", ["nan", "soon", "-5", ""])
def test_a_wait_that_is_none_does_not_stop_the_limiter(make, header):
    with Server(candles(status=429, Retry_After=header), candles(row(0))).running() as server:
        assert len(fetch(make(server))) == 1
        assert len(server.asked) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else(make, status):
    with Server(candles(row(0))).running() as other:
        away = (status, {"Location": f"{other.root}/instruments/historical/408065/minute"}, b"")
        with Server(away).running() as server, pytest.raises(ConnectionFailed):
            fetch(make(server))
        assert other.asked == []


def test_a_client_of_ones_own_follows_a_redirect_without_the_token(tmp_path: Path) -> None:
    with Server(candles(row(0))).running() as other:
        away = (302, {"Location": f"{other.root}/elsewhere"}, b"")
        with Server(away).running() as server:
            client = kiteconnect.KiteConnect("key", access_token=SECRET, root=server.root)
            fetch(KiteHistory(client, cache=False, limiter=Limiter(tmp_path / "limit.json", 1_000)))
        assert [token for *_, token in other.asked] == [None]


@pytest.mark.parametrize("body", [b"<html>forbidden</html>", b"{}", b'{"status": "error"}'])
@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_one_whatever_its_body(make, status, body):
    kind = "text/html" if body.startswith(b"<") else "application/json"
    with Server((status, {"Content-Type": kind}, body)).running() as server:
        with pytest.raises(AuthenticationFailed, match="log in again"):
            fetch(make(server))
        assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["TokenException", "InputException", "GeneralException", "DataException"])
def test_a_message_that_quotes_the_token_reaches_nobody_with_it(make, kind):
    said = {"status": "error", "error_type": kind, "message": f"bad header token key:{SECRET} for {SECRET}"}
    answer = (403 if kind == "TokenException" else 400, {}, json.dumps(said).encode())
    with Server(answer).running() as server, pytest.raises(Exception) as caught:  # noqa: PT011 - which one is told by another test
        fetch(make(server))
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in str(seen) + repr(seen)
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)


def test_a_body_without_an_end_is_given_up(make):
    huge = b'{"data": {"candles": [' + b" " * (40 << 20)
    with Server((200, {}, huge), candles(row(0))).running() as server:
        assert len(fetch(make(server))) == 1


def test_a_body_that_comes_drop_by_drop_is_given_up(tmp_path: Path) -> None:
    sent = []

    class Drip(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "400")
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(400):
                    self.wfile.write(b" ")
                    sent.append(1)
                    time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    history = UpstoxHistory(
        SECRET, {INFY.token: "NSE_EQ|1"}, root=f"http://127.0.0.1:{server.server_address[1]}", timeout=0.3, cache=False,
        limiter=Limiter(tmp_path / "limit.json", 1_000), retries=Retries(attempts=1),
    )  # fmt: skip
    with pytest.raises(ConnectionFailed, match="does not end"):
        fetch(history)
    assert len(sent) < 400
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_a_day_is_over_at_midnight_and_kept_from_then_on(make, tmp_path):
    metals = Instrument(7 << 8 | 7, "MCX:GOLD")
    evening = [[f"2026-07-01T23:{minute:02}:00+0530", 10, 11, 9, 10.5, 5, 7] for minute in range(30)]
    start = ist("2026-07-01 00:00:00")
    options: dict[str, Any] = {"cache": tmp_path / "kept"}
    with Server(candles(*evening)).running() as server:
        history = make(server, **options)
        if isinstance(history, UpstoxHistory):
            history = UpstoxHistory(
                SECRET, {metals.token: "MCX_FO|1"}, root=server.root, limiter=Limiter(tmp_path / "l", 1_000), **options
            )
        for now, asked in (
            ("2026-07-01 23:59:50", 1),
            ("2026-07-01 23:59:59", 2),
            ("2026-07-02 00:00:01", 3),
            ("2026-07-02 00:10:00", 3),
        ):
            found = history.fetch(metals, start, ist(now), now_ns=ist(now))
            assert (len(found), len(server.asked)) == (30, asked), now
