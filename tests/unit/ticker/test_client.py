"""The asyncio client over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine

import picows
import pytest

from tests.unit.ticker.broker import QUICK, SECRET, Broker, Recorder, running, until
from tests.unit.ticker.world import frame
from tickloom import AuthenticationFailed, SubscriptionLimit
from tickloom.ticker import ConnectionEvent, Credentials, Settings, TickerClient

INFY, OPTION = 408065, 12345602


def client_of(broker: Broker, **changes: object) -> TickerClient:
    options = {"credentials": SECRET, "settings": QUICK, **changes}
    return TickerClient(broker.url, **options)


def run(main: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 30), debug=True)


def test_a_client_connects_subscribes_and_delivers() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            client.subscribe([INFY, OPTION], "full")
            before = time.time_ns()
            async with running(client, sink):
                await until(lambda: len(sink.frames) >= 3)
                assert client.connected()
                broker.clients[0].send('{"type":"message","data":"hi"}')
                await until(lambda: sink.texts)
            assert client.subscriptions() == {INFY: "full", OPTION: "full"} == broker_table
        assert sink.frames[-1][0] == frame((INFY, "full"), (OPTION, "full"))
        assert all(before < received <= time.time_ns() and number == 0 for _, received, number in sink.frames)
        assert sink.texts == ['{"type":"message","data":"hi"}']
        assert sink.states == ["connecting", "connected", "stopped"]
        assert broker.requests[0].headers["X-Kite-Version"] == "3"
        assert broker.goodbyes == [1000]
        assert not client.connected()

    broker_table = {INFY: "full", OPTION: "full"}
    run(main)


def test_a_market_may_have_a_clock_of_its_own() -> None:
    asked: list[int] = []

    def is_open(time_ns: int) -> bool:
        asked.append(time_ns)
        return False

    async def main() -> None:
        async with Broker().running() as broker:
            # A clock that stands still: no time-out is counted by it, and frames go on.
            sink, client = Recorder(), client_of(broker, clock=lambda: 1_000, market_open=is_open)
            client.subscribe([INFY], "full")
            async with running(client, sink):
                await until(lambda: len(sink.frames) >= 3)
                for _ in range(30):
                    broker.clients[0].send(frame((INFY, "full")))
                await until(lambda: len(sink.frames) >= 33 and asked)
                assert client.connected()
        assert {received for _, received, _ in sink.frames} == {1_000} == set(asked)
        assert {event.time_ns for event in sink.events} == {1_000}

    run(main)


def test_changes_while_it_runs_are_gathered() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(client.connected)
                for token in range(1, 101):
                    client.subscribe([token], "ltp")
                client.unsubscribe([5])
                await until(lambda: len(broker.table) == 99)
                assert [message["a"] for message in broker.texts] == ["subscribe", "mode"]

    run(main)


def test_a_client_runs_again_on_the_same_loop_and_on_another() -> None:
    sink = Recorder()
    broker = Broker()
    clients: list[TickerClient] = []

    async def main() -> None:
        async with broker.running():
            if not clients:
                clients.append(client_of(broker))
                clients[0].subscribe([INFY], "full")
            client = clients[0]
            client.url = broker.url
            for _ in range(2):
                async with running(client, sink):
                    await until(lambda: broker.table == {INFY: "full"})
                await until(lambda: not broker.clients)

    run(main)
    run(main)
    assert sink.states == ["connecting", "connected", "stopped"] * 4


@pytest.mark.parametrize("code", [1000, 1001, 1011, 4001, None])
def test_after_any_close_everything_is_back(code: int | None) -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            client.subscribe([INFY], "full")
            async with running(client, sink):
                await until(lambda: broker.table == {INFY: "full"})
                transport = broker.clients[0].transport
                if code is None:
                    transport.disconnect(graceful=False)
                else:
                    transport.send(picows.WSMsgType.CLOSE, struct.pack(">H", code) + b"because")
                await until(lambda: broker.served == 2 and broker.table == {INFY: "full"}, 2)
        lost = next(event for event in sink.events if event.state == "disconnected")
        assert lost.code == (1006 if code is None else code)
        assert ("because" in lost.reason) == (code is not None)

    run(main)


def test_a_silent_server_is_noticed_and_left() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(client.connected)
                await asyncio.sleep(0.5)
                assert broker.clients[0].pings >= 3
                assert "disconnected" not in sink.states
                broker.silent = True
                start = time.monotonic()
                await until(lambda: "disconnected" in sink.states)
                assert time.monotonic() - start < QUICK.silence_timeout + 0.2
                broker.silent = False
                await until(client.connected)
        assert "no byte for 0.3 s" in sink.events[2].reason

    run(main)


def test_a_servers_pings_are_answered_and_are_a_sign_of_life() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(client.connected)
                pongs = await asyncio.wait_for(broker.clients[0].transport.measure_roundtrip_time(3), 1)
                assert len(pongs) == 3
                broker.silent = True
                for _ in range(10):
                    broker.clients[0].transport.send_ping(b"there?")
                    await asyncio.sleep(0.1)
                assert sink.states == ["connecting", "connected"]

    run(main)


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel does not tell")
def test_a_frame_that_trickles_in_is_a_sign_of_life() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(client.connected)
                broker.silent = True
                whole = frame(*((token, "full") for token in range(1, 6)))
                header = bytes([0x82, 126]) + struct.pack(">H", len(whole))
                for byte in range(0, len(header + whole), 80):
                    broker.clients[0].transport.underlying_transport.write((header + whole)[byte : byte + 80])
                    await asyncio.sleep(0.08)
                await until(lambda: sink.frames[-1][0] == whole)
                assert sink.states == ["connecting", "connected"]

    run(main)


def test_hostile_messages_are_delivered_and_end_nothing() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(client.connected)
                other = broker.clients[0]
                sink.frames.clear()
                good = frame((INFY, "full"))
                for _ in range(200):
                    for data in (b"", b"\x00", good[:-1], b"\xff" * 5000, b"\x00\x05", "[" * 9000, "\x00", "", '{"a"'):
                        other.send(data)
                    other.transport.send(picows.WSMsgType.TEXT, b"\xff\xfe")
                    other.transport.send(picows.WSMsgType.CONTINUATION, b"of nothing")
                    other.send(good)
                await until(lambda: sum(data == good for data, _, _ in sink.frames) == 200)
                assert sink.states == ["connecting", "connected"]
                assert len(sink.frames) == 200 * 6
                assert len(sink.texts) == 200 * 5
                assert client.statistics()["sink_errors"] == 0

    run(main)


def test_a_message_in_several_frames_is_delivered_whole() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Recorder(), client_of(broker, settings=Settings(max_frame_size=2000))
            async with running(client, sink):
                await until(client.connected)
                sink.frames.clear()
                transport = broker.clients[0].transport
                good = frame((INFY, "full"))
                transport.send(picows.WSMsgType.BINARY, good[:50], fin=False)
                transport.send_ping(b"in between")
                transport.send(picows.WSMsgType.CONTINUATION, good[50:100], fin=False)
                transport.send(picows.WSMsgType.CONTINUATION, good[100:])
                transport.send(picows.WSMsgType.TEXT, "ü".encode()[:1], fin=False)
                transport.send(picows.WSMsgType.CONTINUATION, "ü".encode()[1:])
                await until(lambda: sink.texts)
                assert [data for data, _, _ in sink.frames] == [good]
                assert sink.texts == ["ü"]
                transport.send(picows.WSMsgType.BINARY, bytes(500), fin=False)
                for _ in range(5):
                    transport.send(picows.WSMsgType.CONTINUATION, bytes(500), fin=False)
                await until(lambda: "disconnected" in sink.states)
                assert sink.events[2].code == 1009

    run(main)


def test_a_sink_that_raises_loses_nothing_and_a_sink_may_subscribe(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(Recorder):
        client: TickerClient

        def on_frame(self, data: bytes, received_ns: int, connection: int) -> None:
            super().on_frame(data, received_ns, connection)
            raise ValueError("no")

        def on_connection(self, event: object) -> None:
            super().on_connection(event)
            if event.state == "connected":
                self.client.unsubscribe([INFY])
                self.client.subscribe([OPTION], "full")
            raise ValueError("no")

        def on_text(self, text: str, received_ns: int, connection: int) -> None:
            super().on_text(text, received_ns, connection)
            raise ValueError("no")

    async def main() -> None:
        async with Broker().running() as broker:
            sink, client = Raising(), client_of(broker)
            sink.client = client
            client.subscribe([INFY], "ltp")
            async with running(client, sink):
                await until(lambda: broker.table == {OPTION: "full"})
                for _ in range(50):
                    broker.clients[0].send(frame((OPTION, "full")))
                    broker.clients[0].send("text")
                await until(lambda: len(sink.texts) == 50)
                assert sink.states == ["connecting", "connected"]
                assert client.statistics()["sink_errors"] > 100

    run(main)
    assert 3 <= sum("the sink raised" in record.message for record in caplog.records) <= 4


# Refusals.


def test_a_refused_token_costs_one_attempt_and_a_new_one_resumes_on_all_connections() -> None:
    asked: list[str] = []

    def provider(api_key: str) -> str | None:
        asked.append(api_key)
        assert threading.current_thread() is not threading.main_thread()
        return [None, "stale token", "canary-new"][min(len(asked), 3) - 1] if len(asked) != 2 else None

    async def main() -> None:
        async with Broker().running() as broker:
            broker.accepts = "canary-new"
            sink = Recorder()
            client = client_of(
                broker, token_provider=provider, settings=Settings(max_tokens=2, token_poll=0.1, backoff_base=0.02)
            )
            client.subscribe(range(1, 7), "full")
            async with running(client, sink):
                await until(lambda: sink.states.count("authentication_failed") == 3)
                assert len(broker.requests) == 1
                await until(lambda: broker.table == dict.fromkeys(range(1, 7), "full"))
                assert len(broker.requests) == 4
        assert asked == [SECRET.api_key] * 3

    run(main)


def test_a_token_provider_that_is_a_coroutine_raises_or_repeats_itself() -> None:
    answers = iter([ValueError("canary"), SECRET, "", Credentials("another", "x") and None, SECRET.with_token("good")])

    async def provider() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def main() -> None:
        async with Broker().running() as broker:
            broker.accepts = "good"
            sink, client = Recorder(), client_of(broker, token_provider=provider)
            async with running(client, sink):
                await until(client.connected)
            assert len(broker.requests) == 2
            assert list(answers) == []

    run(main)


def test_a_refused_token_without_a_provider_stays_refused_until_it_is_replaced() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            broker.accepts = "good"
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink) as task:
                await until(lambda: "authentication_failed" in sink.states)
                client.set_credentials(SECRET)
                await asyncio.sleep(0.3)
                assert not task.done()
                assert len(broker.requests) == 1
                with pytest.raises(ValueError, match="another API key"):
                    client.set_credentials(Credentials("another", "good"))
                client.set_credentials(SECRET.with_token("good"))
                await until(client.connected)

    run(main)


def test_a_sink_may_set_credentials_when_it_hears_of_the_refusal_and_is_not_called_meanwhile() -> None:
    class Renewing(Recorder):
        client: TickerClient
        inside = False

        def on_connection(self, event: ConnectionEvent) -> None:
            assert not self.inside
            self.inside = True
            super().on_connection(event)
            if event.state == "authentication_failed":
                self.client.set_credentials(SECRET.with_token("good"))
            self.inside = False

    async def main() -> None:
        async with Broker().running() as broker:
            broker.accepts = "good"
            sink, client = Renewing(), client_of(broker)
            sink.client = client
            async with running(client, sink):
                await until(client.connected)
                assert client.statistics()["sink_errors"] == 0
                assert sink.states == ["connecting", "authentication_failed", "connecting", "connected"]

    run(main)


def test_authentication_failed_is_raised_to_who_asks_for_it() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            broker.accepts = "good"
            client = client_of(broker, settings=Settings(raise_authentication_failed=True))
            with pytest.raises(AuthenticationFailed, match="the broker refused the access token"):
                await client.run(Recorder())

    run(main)


@pytest.mark.parametrize(("header", "least"), [({}, 0.2), ({"Retry-After": "1"}, 1.0)])
def test_429_waits_for_all_connections_of_the_key(header: dict, least: float) -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            broker.refusal = lambda: picows.WSUpgradeResponse.create_error_response(429, b"", header)
            settings = Settings(limited_wait=0.2, backoff_base=0.02, max_tokens=1)
            sink, client = Recorder(), client_of(broker, settings=settings)
            client.subscribe([1, 2, 3], "full")
            start = time.monotonic()
            async with running(client, sink):
                await until(lambda: len(sink.states) == 6)
                assert len(broker.requests) == 1
                broker.refusal = None
                await until(client.connected)
                assert time.monotonic() - start >= least
                await until(lambda: broker.table == dict.fromkeys([1, 2, 3], "full"))

    run(main)


def test_a_redirect_is_refused_and_its_target_never_sees_the_query() -> None:
    async def main() -> None:
        async with Broker().running() as broker, Broker().running() as thief:
            broker.refusal = lambda: picows.WSUpgradeResponse.create_redirect_response(302, thief.url)
            sink, client = Recorder(), client_of(broker)
            async with running(client, sink):
                await until(lambda: "waiting" in sink.states)
                assert sink.events[1].code == 302
                assert "redirect refused" in sink.events[1].reason
                assert thief.requests == []

    run(main)


async def answer(raw: bytes) -> tuple[asyncio.Server, str]:
    """A server that answers every request with these bytes and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(raw)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    return server, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("raw", "code", "says"),
    [
        (b"", None, "hung up"),
        (b"garbage\r\n\r\n", None, "not HTTP"),
        (b"HTTP/1.1 429 \r\nretry-after: 7\r\n\r\n", 429, "too many"),
        (b"HTTP/1.1 599 What\r\n\r\n", 599, "the server failed"),
        (b"HTTP/1.1 503\r\n\r\n", 503, "the server failed"),
        (b"HTTP/1.1 200 OK\r\n\r\n", 200, "did not upgrade"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            101,
            "did not upgrade",
        ),
    ],
)
def test_any_answer_to_the_upgrade_has_a_row_in_the_table(raw: bytes, code: int | None, says: str) -> None:
    async def main() -> None:
        server, url = await answer(raw)
        sink = Recorder()
        async with server, running(TickerClient(url, credentials=SECRET, settings=QUICK), sink):
            await until(lambda: "waiting" in sink.states)
        assert (sink.events[1].code, says in sink.events[1].reason) == (code, True), sink.events[1]

    run(main)


def test_a_port_where_nobody_listens_and_a_name_that_nobody_has() -> None:
    async def main() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        for url, says in ((f"ws://127.0.0.1:{port}", "refused"), ("ws://no.such.host.invalid", "no such host")):
            sink = Recorder()
            async with running(TickerClient(url, credentials=SECRET), sink):
                await until(lambda sink=sink: "waiting" in sink.states, 10)
            assert says in sink.events[1].reason.lower()

    run(main)


# Sharding.


def test_tokens_are_spread_over_connections_and_keys() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            keys = [SECRET, Credentials("canary-second-key", "token")]
            sink, client = Recorder(), client_of(broker, credentials=keys, settings=Settings(max_tokens=2))
            client.subscribe([1, 2, 3], "full")
            async with running(client, sink):
                await until(lambda: len(broker.table) == 3)
                client.subscribe(range(4, 13), "ltp")
                await until(lambda: len(broker.table) == 12)
                assert sorted(event.connection for event in sink.events if event.state == "connected") == [*range(6)]
                assert sorted(c.key for c in broker.clients) == ["canary-second-key"] * 3 + [SECRET.api_key] * 3
                assert all(len(c.table) == 2 for c in broker.clients)
                with pytest.raises(SubscriptionLimit):
                    client.subscribe([13], "full")
                assert client.subscriptions() == broker.table

    run(main)


# Misuse.


@pytest.mark.parametrize("url", ["http://h", "ws.kite.trade", "wss://", "wss://h/#x", "wss://canary:canary@h"])
def test_a_url_that_cannot_be_used_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="the URL must") as caught:
        TickerClient(url, credentials=SECRET)
    assert "canary" not in str(caught.value)


def test_wrong_credentials_modes_and_tokens_are_refused() -> None:
    with pytest.raises(ValueError, match="no credentials"):
        TickerClient("ws://127.0.0.1", credentials=[])
    with pytest.raises(ValueError, match="each API key may be given once"):
        TickerClient("ws://127.0.0.1", credentials=[SECRET, SECRET])
    client = TickerClient("ws://127.0.0.1", credentials=SECRET)
    with pytest.raises(ValueError, match="mode must be one of"):
        client.subscribe([1], "depth")
    with pytest.raises(TypeError, match="a token must be an integer"):
        client.subscribe(["NSE:INFY"])
    assert client.subscriptions() == {}


def test_a_running_client_cannot_be_run_twice_or_used_from_another_thread() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            client = client_of(broker)
            async with running(client, Recorder()):
                await until(client.connected)
                with pytest.raises(RuntimeError, match="is running already"):
                    await client.run(Recorder())
                with pytest.raises(RuntimeError, match="loop's thread only"):
                    await asyncio.to_thread(client.subscribe, [1])

    run(main)


# Leaving nothing behind.


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_an_attempt_that_is_cancelled_leaves_no_socket() -> None:
    async def main() -> None:
        gone: list[bytes] = []

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            gone.append(await reader.read())
            writer.close()

        server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            client = TickerClient(url, credentials=SECRET)
            for _ in range(10):
                task = asyncio.create_task(client.run(Recorder()))
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await until(lambda: len(gone) == 10, 1)

    before = descriptors()
    run(main)
    assert descriptors() == before


def test_many_reconnects_leave_no_thread_and_no_descriptor() -> None:
    async def main() -> None:
        async with Broker().running() as broker:
            client = client_of(broker, settings=Settings(backoff_base=0.005))
            client.subscribe([INFY], "full")
            async with running(client, Recorder()):
                for cycle in range(100):
                    # Told apart by the count: the client may be back before anybody sees that it was gone.
                    await until(lambda cycle=cycle: broker.served == cycle + 1 and broker.table == {INFY: "full"})
                    broker.clients[-1].transport.disconnect(graceful=False)
                    if cycle == 10:
                        at_ten = descriptors(), threading.active_count()
                await until(client.connected)
                await asyncio.sleep(0.05)
                assert descriptors() <= at_ten[0] + 2
                assert threading.active_count() == at_ten[1]

    before = descriptors(), threading.active_count()
    run(main)
    assert (descriptors(), threading.active_count()) == before
