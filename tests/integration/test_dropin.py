# ruff: noqa: ARG005 - callbacks get what the vendor gives, used or not
"""What the drop-in does better than the class that it stands for, on real sockets."""

from __future__ import annotations

import gc
import logging
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dropin_script import FULL, MODES
from tests.integration.scripted import Awaits, Close, ScriptedServer
from tests.integration.test_dropin_parity import do, finish, start, ticks
from tickloom.kite import KiteTicker

ONE = Awaits({FULL: "full"})
GOOD = ticks((FULL, 184))


def ticker(server: ScriptedServer, **options: Any) -> Any:
    made = KiteTicker("key", "canary-token", root=server.url, **options)
    made.set_mode("full", [FULL])
    return made


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def run_until_stopped(one: Any, seconds: float = 10.0) -> None:
    one.connect(threaded=True)
    one.websocket_thread.join(seconds)
    assert not one.websocket_thread.is_alive()


def test_a_callback_that_raises_costs_neither_the_connection_nor_the_next_tick(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ScriptedServer([[ONE, *[GOOD] * 50, '{"type":"message","data":"over"}']]) as server:
        one, seen = ticker(server), []

        def on_ticks(ws: Any, made: list[dict[str, Any]]) -> None:
            seen.append(made)
            raise SystemExit("no reason") if len(seen) % 2 else ValueError("a mistake")

        one.on_ticks = on_ticks
        one.on_message = lambda ws, payload, is_binary: None if is_binary else ws.stop()
        run_until_stopped(one)
        assert (len(seen), server.attempts) == (50, 1)
    assert caplog.text.count("on_ticks raised") == 1


def test_a_callback_that_sleeps_does_not_keep_the_socket_waiting() -> None:
    frames = 2_000
    with ScriptedServer([[ONE, *[GOOD] * frames]]) as server:
        one, held, entered = ticker(server), threading.Event(), threading.Event()
        one.on_ticks = lambda ws, made: (entered.set(), held.wait(20))
        one.connect(threaded=True)
        assert entered.wait(5)
        inbox = one._session.inbox
        eventually(lambda: inbox.offered == frames)
        assert one.is_connected()
        one.on_ticks = None
        held.set()
        one.stop()
        one.websocket_thread.join(5)
        assert server.attempts == 1


def test_a_stop_does_not_wait_for_what_a_slow_callback_has_left() -> None:
    with ScriptedServer([[ONE, *[GOOD] * 500]]) as server:
        one, calls = ticker(server), []
        one.on_ticks = lambda ws, made: (calls.append("ticks"), time.sleep(0.2))
        one.on_close = lambda ws, code, reason: calls.append("close")
        one.connect(threaded=True)
        inbox = one._session.inbox
        eventually(lambda: inbox.offered == 500)
        stopped = time.monotonic()
        one.stop()
        one.websocket_thread.join(5)
        assert time.monotonic() - stopped < 2
        assert calls[-1] == "close"
        assert inbox.offered == calls.count("ticks") + inbox.dropped


FORKS = """
import os, time
from tickloom.kite import KiteTicker
one = KiteTicker("key", "token", root={url!r})
one.connect(threaded=True)
while not one.is_connected():
    time.sleep(0.01)
child = os.fork()
if not child:
    try:
        one.subscribe([256])
    except RuntimeError as error:
        print(error, flush=True)
        raise SystemExit(0)
    raise SystemExit(9)
assert os.waitpid(child, 0)[1] == 0
assert one.is_connected()
one.stop()
"""


def test_use_after_a_fork_is_a_clear_error_and_harms_the_parent_nothing() -> None:
    with ScriptedServer([[ONE]]) as server:
        run = subprocess.run(
            [sys.executable, "-c", FORKS.format(url=server.url)],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert "before the fork" in run.stdout
        assert server.attempts == 1


def test_frames_that_nobody_listens_to_are_not_even_kept() -> None:
    with ScriptedServer([[ONE, *[GOOD] * 100, do("stop")]]) as server:
        one = ticker(server)
        one.on_open = lambda ws: None
        one.connect(threaded=True)
        inbox = one._session.inbox
        eventually(lambda: server.clients != [] and not server.clients[0].steps)
        time.sleep(0.1)
        assert inbox.offered == 0
        one.stop()
        one.websocket_thread.join(5)


def test_a_ticker_runs_any_number_of_times_and_leaves_no_thread_and_no_descriptor() -> None:
    def once(server: ScriptedServer, one: Any) -> None:
        one.on_ticks = lambda ws, made: ws.stop()
        run_until_stopped(one)

    with ScriptedServer([[ONE, GOOD]] * 12) as server:
        one = ticker(server)
        once(server, one)
        gc.collect()
        threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
        for _ in range(10):
            once(server, one)
        eventually(lambda: threading.active_count() == threads)
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= files + 2
        assert server.attempts == 11


def test_many_run_at_once_in_one_process() -> None:
    with ScriptedServer([[ONE, GOOD]] * 5) as server:
        made, seen = [ticker(server) for _ in range(5)], []
        for one in made:
            one.on_ticks = lambda ws, found: seen.append(ws)
            one.connect(threaded=True)
        eventually(lambda: len(seen) == 5)
        assert {id(one) for one in seen} == {id(one) for one in made}
        for one in made:
            one.stop()
            one.websocket_thread.join(5)


def test_any_thread_may_subscribe_while_others_do() -> None:
    tokens = range(256, 256 + 400 * 256, 256)
    with ScriptedServer([[Awaits(dict.fromkeys(tokens, "ltp")), '{"type":"message","data":"all"}']]) as server:
        one, heard = KiteTicker("key", "canary-token", root=server.url), threading.Event()
        one.on_message = lambda ws, payload, is_binary: heard.set()
        one.connect(threaded=True)
        threads = [
            threading.Thread(target=lambda part=part: [one.set_mode("ltp", [token]) for token in tokens[part::8]])
            for part in range(8)
        ]
        for thread in threads:
            thread.start()
        assert heard.wait(10)
        one.stop()
        one.websocket_thread.join(5)


def test_no_token_streams_in_quote_mode_between_subscribe_and_set_mode() -> None:
    with ScriptedServer([[ONE, Close(1001)], [ONE, do("over")]]) as server:
        one = KiteTicker("key", "canary-token", root=server.url)

        def on_connect(ws: Any, response: Any) -> None:
            ws.subscribe([FULL])
            time.sleep(0.002)
            ws.set_mode(ws.MODE_FULL, [FULL])

        one.on_connect = on_connect
        one.on_message = lambda ws, payload, is_binary: ws.stop()
        run_until_stopped(one)
        for client in server.clients:
            assert client.received == [{"a": "subscribe", "v": [FULL]}, {"a": "mode", "v": ["full", [FULL]]}]


def test_resubscribe_asks_for_everything_again() -> None:
    with ScriptedServer([[ONE, do("again")]]) as server:
        one = ticker(server)
        one.on_message = lambda ws, payload, is_binary: ws.resubscribe()
        one.connect(threaded=True)
        eventually(lambda: server.clients != [] and len(server.clients[0].received) >= 5)
        one.stop()
        one.websocket_thread.join(5)
        assert [message["a"] for message in server.clients[0].received] == [
            "subscribe", "mode", "unsubscribe", "subscribe", "mode",
        ]  # fmt: skip
        assert server.clients[0].modes == {FULL: "full"}


def test_without_reconnect_a_lost_connection_is_the_end() -> None:
    with ScriptedServer([[ONE, Close(None)], [ONE]]) as server:
        one, calls = ticker(server, reconnect=False), []
        one.on_close = lambda ws, code, reason: calls.append(code)
        one.on_noreconnect = lambda ws: calls.append("noreconnect")
        run_until_stopped(one)
        assert (calls, server.attempts) == ([1006], 1)


def test_a_script_may_close_and_connect_again_from_its_callback() -> None:
    with ScriptedServer([[ONE, GOOD], [ONE, GOOD]]) as server:
        one, calls = ticker(server), []

        def on_ticks(ws: Any, made: Any) -> None:
            calls.append("ticks")
            ws.close(1000, "enough") if len(calls) == 1 else ws.stop()

        def on_close(ws: Any, code: int, reason: str) -> None:
            calls.append((code, reason))
            if len(calls) == 2:
                ws.connect(threaded=True)

        one.on_ticks, one.on_close = on_ticks, on_close
        run_until_stopped(one)
        assert calls[:3] == ["ticks", (1000, "enough"), "ticks"]
        assert server.attempts == 2


def test_connect_while_connected_starts_nothing_new(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedServer([[ONE, GOOD]] * 2) as server:
        one = ticker(server)
        one.on_ticks = lambda ws, made: (ws.connect(threaded=True), ws.connect(), ws.stop())
        run_until_stopped(one)
        assert server.attempts == 1
    assert "nothing new is started" in caplog.text


def test_a_new_token_resumes_without_a_restart() -> None:
    with ScriptedServer([403, [ONE, GOOD]]) as server:
        one, calls = ticker(server), []
        one.token_provider = lambda: "fresh"
        one.on_noreconnect = lambda ws: calls.append("noreconnect")
        one.on_ticks = lambda ws, made: (calls.append("ticks"), ws.stop())
        run_until_stopped(one)
        assert calls == ["ticks"]
        assert ["access_token=fresh" in request for request in server.requests] == [False, True]


def test_the_connection_object_takes_what_scripts_send_through_it() -> None:
    with ScriptedServer([[Awaits({FULL: "ltp"}), do("over")]]) as server:
        one = KiteTicker("key", "canary-token", root=server.url)

        def on_open(ws: Any) -> None:
            assert ws.ws.state == ws.ws.STATE_OPEN
            ws.ws.sendMessage(b'{"a":"subscribe","v":[408065]}')
            ws.ws.sendMessage('{"a":"mode","v":["ltp",[408065]]}')

        one.on_open = on_open
        one.on_message = lambda ws, payload, is_binary: ws.ws.sendClose(1000, "over")
        run_until_stopped(one)
        assert one.ws.state == one.ws.STATE_CLOSED
        with pytest.raises(ValueError, match="no message of the protocol"):
            one.ws.sendMessage("[]")


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", path.with_suffix(".crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


@pytest.mark.parametrize("unverified", [False, True])
def test_a_certificate_nobody_vouches_for_is_refused_unless_verification_is_off(
    self_signed: Path, unverified: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed)
    with ScriptedServer([[ONE, GOOD]] * 2, ssl_context=context) as server:
        one, calls = ticker(server, reconnect=False), []
        one.on_error = lambda ws, code, reason: calls.append("error")
        one.on_ticks = lambda ws, made: (calls.append("ticks"), ws.stop())
        one.connect(threaded=True, disable_ssl_verification=unverified)
        one.websocket_thread.join(10)
        assert calls[:1] == (["ticks"] if unverified else ["error"])
        assert len(server.requests) == int(unverified)


def test_nothing_that_is_logged_holds_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer([503, [ONE, GOOD, Close(1011)], 403]) as server:
        one = ticker(server, debug=True)
        run_until_stopped(one)
        assert server.attempts == 3
    assert "canary" not in caplog.text
    assert len(caplog.records) > 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_signal_ends_a_blocking_run_with_the_vendors_callbacks_and_the_process_with_its_code(
    number: int, code: int
) -> None:
    ended = []
    for which, expected in (("vendor", 0), ("ours", code)):
        with ScriptedServer([[Awaits(MODES), GOOD]]) as server:
            process = start(which, server.url, "blocking", {})
            eventually(lambda: server.clients != [] and not server.clients[0].steps, 20)
            time.sleep(0.3)
            sent = time.monotonic()
            process.send_signal(number)
            seen = finish(process, expected)["seen"]
            ended.append([name for name, *_ in seen])
            if which == "ours":
                eventually(lambda: server.clients[0].closed != [])
                assert server.clients[0].closed[0][0] == 1000
    assert time.monotonic() - sent < 2
    assert ended[0] == ended[1]
    assert ended[1][-2:] == ["on_error", "on_close"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [((1000, "bye"), (1000, "bye")), ((3001, None), (3001, "")), ((4999, "é" * 100), (4999, "é" * 61)),
     ((None, "bye"), (1000, "bye")), ((), (1000, ""))],
)  # fmt: skip
def test_the_code_and_the_reason_of_a_close_reach_the_server(given: tuple[Any, ...], sent: tuple[int, str]) -> None:
    with ScriptedServer([[ONE, GOOD]]) as server:
        one, calls = ticker(server), []
        one.on_ticks = lambda ws, made: ws.close(*given)
        one.on_close = lambda ws, code, reason: calls.append((code, reason))
        run_until_stopped(one)
        eventually(lambda: server.clients[0].closed != [])
        assert server.clients[0].closed == [sent]
        assert calls == [(*given, None, None)[:2]]


@pytest.mark.parametrize("code", [0, 999, 1001, 1006, 2999, 5000, "1000", 1000.0])
def test_a_code_that_no_client_may_send_is_refused_and_changes_nothing(code: Any) -> None:
    with ScriptedServer([[ONE, GOOD]]) as server:
        one, calls = ticker(server), []

        def on_ticks(ws: Any, made: Any) -> None:
            with pytest.raises(ValueError, match="close with 1000 or 3000 to 4999"):
                ws.close(code)
            calls.append(ws.is_connected())
            ws.stop()

        one.on_ticks = on_ticks
        run_until_stopped(one)
        assert calls == [True]


EXIT = """
import sys
from tickloom.kite import KiteTicker
one = KiteTicker("key", "token", root={url!r})
one.set_mode("full", [408065])
one.on_ticks = lambda ws, ticks: sys.exit(7)
one.connect()
"""


def test_an_exit_in_a_callback_of_a_blocking_run_ends_the_process_with_its_code() -> None:
    with ScriptedServer([[ONE, GOOD]]) as server:
        started = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-c", EXIT.format(url=server.url)], capture_output=True, text=True, timeout=20, check=False
        )
        assert (run.returncode, run.stderr) == (7, "")
        assert time.monotonic() - started < 5


LEAVES = """
import time
from tickloom.kite import KiteTicker
one = KiteTicker("key", "token", root={url!r})
one.connect(threaded=True)
while not one.is_connected():
    time.sleep(0.01)
"""


def test_a_program_that_ends_with_a_threaded_ticker_ends_at_once_and_quietly() -> None:
    with ScriptedServer([[ONE]]) as server:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", LEAVES.format(url=server.url)],
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        assert run.returncode == 0
        assert "Traceback" not in run.stderr
