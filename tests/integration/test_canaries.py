"""No secret in any log, repr, traceback, journal, figure or line of output: canaries are planted, and none is found."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

import tickloom as tl
from tests.integration.canaries import ECHOES, KEY, NEW, PASSWORD, SPELLED, TEXTS, TOKEN, USER, Front, Net, listening
from tests.integration.certificates import self_signed
from tests.unit.feed.fake import until
from tickloom.events import BrokerError, Connection, Event, Message, Order
from tickloom.sources.exchange import Exchange
from tickloom.ticker import Credentials, Settings

QUICK = {"backoff_base": 0.01, "backoff_cap": 0.02, "limited_wait": 0.05, "retry_after_cap": 0.05, "token_poll": 0.05}


def test_a_feed_that_is_sung_its_secrets_shows_none(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []
    events: list[Event] = []

    def provider(key: str) -> str:
        asked.append(key)
        if len(asked) == 1:
            raise RuntimeError(f"cannot log in with {TOKEN}, {NEW}")
        return NEW

    path = tmp_path / "day.tlj"
    with (
        Exchange(6, seed=2, speed=30, tokens={KEY: NEW}) as exchange,
        Front(exchange.port, ECHOES) as front,
        listening() as net,
    ):
        url = f"ws://127.0.0.1:{front.port}"
        source = tl.sources.Kite(KEY, TOKEN, url=url, token_provider=provider, settings=Settings(**QUICK))
        feed = tl.Feed(source, ["1m"], symbols=exchange.symbols, record=path)
        feed.on(Event, events.append)
        feed.on(Event, lambda event: events[event])
        feed.subscribe(list(exchange.symbols))
        with feed:
            until(lambda: feed.status().frames > 20 and feed.status().ticks > 10, 15)
            for text in TEXTS:
                exchange.send_text(text)
            until(lambda: sum(isinstance(event, (Order, BrokerError, Message)) for event in events) >= len(TEXTS))
            seen = len(events)
            exchange.close(1011, SPELLED[:100])
            until(lambda: any(isinstance(event, Connection) and event.code == 1011 for event in events[seen:]))
            until(lambda: feed.status().reconnects >= 1)
            net.objects(feed, exchange)
            for method in (feed.status, feed.engine.stats, source._client.statistics, source.subscriptions):
                net.add("figures", repr(method()))
        objects = net.objects(feed, source, source._client, *events, Credentials(KEY, TOKEN))
        records = net.journal(path)
    net.add("output", "".join(capfd.readouterr()))
    # A busy machine may need an attempt more.
    assert (front.served >= len(ECHOES) + 2, asked[0]) == (True, KEY)
    assert {event.code for event in events if isinstance(event, Connection)} >= {429, 302, 500, 404, 403, 1011}
    assert objects > 40
    assert records > 20
    assert net.records > 20
    assert net.leaks == []


def test_failures_of_the_network_quote_no_secret(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    server, _ = self_signed(tmp_path)
    reasons = []
    with Exchange(2, ssl_context=server, tokens={KEY: TOKEN}) as exchange, listening() as net:
        closed = Exchange(1)
        with closed:
            pass
        urls = [exchange.url, exchange.url.replace("wss", "ws"), "wss://no-such-host.invalid", closed.url]
        proxies = [None, f"http://{USER}:{PASSWORD}@127.0.0.1:{closed.port}"]
        for url, proxy in [(url, None) for url in urls] + [(exchange.url, proxies[1])]:
            events: list[Connection] = []
            settings = Settings(**QUICK, proxy=proxy)
            feed = tl.Feed(tl.sources.Kite(KEY, TOKEN, url=url, settings=settings))
            feed.on(Connection, events.append)
            feed.subscribe([408065])
            with feed:
                until(lambda: any(event.state == "waiting" for event in events), 15)  # noqa: B023 - called here
            reasons.append(next(event.reason for event in events if event.state == "waiting"))
            net.objects(feed, settings, *events)
        assert exchange.subscriptions() == {}
    net.add("output", "".join(capfd.readouterr()))
    assert "certificate" in reasons[0]
    assert "no such host" in reasons[2]
    assert len(set(reasons)) >= 4
    assert net.leaks == []


def test_an_error_that_reaches_the_caller_holds_no_secret() -> None:
    net = Net()
    with Exchange(2, tokens={KEY: NEW}) as exchange:
        settings = Settings(**QUICK, raise_authentication_failed=True)
        feed = tl.Feed(tl.sources.Kite(KEY, TOKEN, url=exchange.url, settings=settings))
        feed.subscribe([408065])
        with pytest.raises(tl.AuthenticationFailed) as refused:
            feed.run()
        net.error("refused", refused.value)
        assert feed.error is not None
        net.error("feed.error", feed.error)
    # What the caller hands over as plain text is in the caller's frames, so these are looked at without locals.
    for make in (
        lambda: tl.sources.Kite(KEY, f" {TOKEN}"),
        lambda: tl.sources.Kite(KEY, TOKEN.encode()),
        lambda: tl.sources.Kite(KEY, TOKEN, url=f"wss://{USER}:{PASSWORD}@127.0.0.1"),
        lambda: tl.sources.Kite(KEY, TOKEN, url=f"{TOKEN}://x"),
        lambda: tl.sources.Kite(KEY, TOKEN, more_keys=[Credentials(KEY, NEW)]),
        lambda: tl.sources.Kite(KEY, TOKEN).set_credentials(Credentials(NEW, TOKEN)),
        lambda: Credentials(KEY, TOKEN).__reduce__(),
    ):
        with pytest.raises((ValueError, TypeError)) as wrong:
            make()
        net.error("wrong use", wrong.value, with_locals=False)
    assert len(net.caught) >= 18
    assert net.leaks == []


def test_the_command_line_prints_no_secret(tmp_path: Path) -> None:
    net, file = Net(), tmp_path / "kite.env"
    file.write_text(f"KITE_API_KEY={KEY}\nKITE_ACCESS_TOKEN={TOKEN}\n")
    file.chmod(0o600)
    open_to_all = tmp_path / "open.env"
    open_to_all.write_text(file.read_text())
    open_to_all.chmod(0o644)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KITE_")}
    given = {**clean, "KITE_API_KEY": KEY, "KITE_ACCESS_TOKEN": TOKEN, "PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}
    with Exchange(4, speed=30, tokens={KEY: TOKEN}) as good, Exchange(4, tokens={KEY: NEW}) as bad:
        token = str(good.instruments[0].token)
        runs = [
            (given, ["doctor", "--url", good.url]),
            (given, ["doctor", "--url", bad.url]),
            (clean, ["doctor", "--offline", "--credentials", str(open_to_all)]),
            (given, ["live", token, "--url", good.url, "--seconds", "1.5", "--record", str(tmp_path / "live.tlj")]),
            (clean, ["live", token, "--url", bad.url, "--seconds", "1.5", "--credentials", str(file)]),
            (clean, ["record", str(tmp_path / "a.tlj"), token, "--url", good.url, "--seconds", "1.5",
                     "--credentials", str(file)]),
            (given, ["record", str(tmp_path / "b.tlj"), token, "--url", bad.url, "--seconds", "1.5"]),
            (given, ["record", str(tmp_path / "c.tlj"), token, "--url", f"{TOKEN}://x"]),
        ]  # fmt: skip
        processes = [
            subprocess.Popen([sys.executable, "-m", "tickloom", *arguments], env=environment, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            for environment, arguments in runs
        ]  # fmt: skip
        singing = threading.Event()

        def sing() -> None:
            while not singing.wait(0.1):
                for text in TEXTS:
                    # These clients know of one token only.
                    good.send_text(text.replace(NEW, TOKEN).replace(quote(NEW, safe=""), TOKEN))

        singer = threading.Thread(target=sing)
        singer.start()
        try:
            said = [process.communicate(timeout=40)[0] for process in processes]
        finally:
            singing.set()
            singer.join()
            for process in processes:
                process.kill()
    for (_, arguments), output in zip(runs, said, strict=True):
        assert output, arguments
        net.add(" ".join(arguments[:1]), output)
    assert "login" in said[0]
    assert "token" in said[1]
    texts = sum(net.journal(tmp_path / name) for name in ("live.tlj", "a.tlj"))
    assert texts > 2 * len(TEXTS)
    assert net.leaks == []


def test_the_net_catches_a_canary_wherever_it_sings(tmp_path: Path) -> None:
    with listening() as net:
        net.add("output", f"x{KEY}")
        assert len(net.leaks) == 1
        logging.getLogger("tickloom.ticker").debug("GET /?access_token=%s", TOKEN)
        assert len(net.leaks) == 2

        class Leaky:
            __module__ = "tickloom.made_up"

            def __init__(self) -> None:
                self.inner = Credentials(KEY, TOKEN)

            def __repr__(self) -> str:
                return f"Leaky({self.inner.url('wss://x')})"

        assert net.objects([{"a": Leaky()}]) == 2
        assert len(net.leaks) >= 3
        try:
            Credentials(KEY, f"{TOKEN} ")
        except ValueError as error:
            before = len(net.leaks)
            net.error("with locals", error)
            assert len(net.leaks) > before
        path = tmp_path / "a.tlj"
        with tl.sources.Recorder(path) as recorder:
            for _ in range(50):
                recorder.write_frame(NEW.encode() * 20, time.time_ns())
        before = len(net.leaks)
        net.journal(path)
        assert len(net.leaks) >= before + 50
