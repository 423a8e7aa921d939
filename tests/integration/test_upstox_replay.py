"""Upstox's feed over real sockets is recorded, and its journal gives the same candles again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tests.integration.digest import digest
from tests.integration.test_upstox import INFY, NIFTY, QUICK, until
from tests.integration.upstox_server import TOKEN, UpstoxServer
from tests.upstox_feed import NS, OPEN, message
from tickloom import Engine, Feed, StoreError
from tickloom.sources import Recorder, Replay, Upstox
from tickloom.sources.journal import CLOCK, DISCONNECTED, KEYS, UPSTOX, Journal
from tickloom.ticker.settings import Settings

INTERVALS = ["1m", "3m", "5m", "30s"]
OPTION, FUTURE, LATE = "NSE_FO|54452", "MCX_FO|469601", "BSE_EQ|INE467B01029"
KEYS_OF = {INFY: 100.0, NIFTY: 25_000.0, OPTION: 12.5, FUTURE: 6_500.0}
TWO = Settings(**{
    name: getattr(QUICK, name) for name in ("backoff_base", "backoff_cap", "stable_after", "connect_timeout")
}, max_connections=2, max_tokens=3)  # fmt: skip


class Day:
    """A few minutes of trade, as the broker tells of them: only what has changed, and a snapshot where it begins."""

    def __init__(self, seed: int = 1) -> None:
        self.rng = random.Random(seed)
        self.prices = dict(KEYS_OF) | {LATE: 3_100.0}
        self.volumes = dict.fromkeys(self.prices, 0)

    def snapshot(self, at: float, keys: list[str]) -> bytes:
        feeds = {}
        for key in keys:
            feeds[key] = {"ltp": self.prices[key], "ltt": OPEN + at - 1, "cp": self.prices[key] - 1}
            feeds[key] |= {"index": True} if key == NIFTY else {"vtt": self.volumes[key] or 1, "oi": 500.0}
        return message("initial_feed", OPEN + at, feeds)

    def live(self, at: float, keys: list[str]) -> bytes:
        feeds: dict[str, dict[str, Any]] = {}
        for key in self.rng.sample(keys, self.rng.randrange(1, len(keys) + 1)):
            fields: dict[str, Any] = {"index": True} if key == NIFTY else {}
            self.prices[key] = round(self.prices[key] + self.rng.randrange(-3, 4) * 0.05, 2)
            if self.rng.random() < 0.8:
                fields |= {"ltp": self.prices[key], "ltt": OPEN + at - self.rng.random(), "ltq": 25}
            if key != NIFTY:
                if "ltp" in fields and self.rng.random() < 0.9:
                    self.volumes[key] += self.rng.randrange(0, 900)
                    fields["vtt"] = self.volumes[key] or 1
                if self.rng.random() < 0.5:
                    fields["levels"] = [(self.prices[key] - 0.05, self.prices[key] + 0.05)]
                if self.rng.random() < 0.2:
                    fields["oi"] = float(self.rng.randrange(1000, 9000))
            minute = int(at // 60 - 1) * 60
            if minute >= 0 and self.rng.random() < 0.3:
                day = ("1d", OPEN - 33_300, (99.0, self.prices[key] + 5, 1.0, self.prices[key]), 1)
                fields["ohlc"] = [day, ("I1", OPEN + minute, (self.prices[key],) * 4, 50)]
            feeds[key] = fields
        return message("live_feed", OPEN + at, feeds)


def live(path: Path, seed: int = 1, keys: tuple[str, ...] = tuple(KEYS_OF)) -> tuple[tuple[str, int], dict[str, int]]:
    """Records a feed that loses a connection and learns of another instrument; gives its digest and its keys."""
    day, now = Day(seed), -20.0
    wanted: dict[int, list[str]] = {}

    def answer(number: int, asked: list[str]) -> list[bytes]:
        wanted[number] = sorted({*wanted.get(number, ()), *asked})
        return [day.snapshot(now, asked)]

    with UpstoxServer(greeting=[message("market_info", OPEN - 60, NSE_EQ=2)], answer=answer) as server:
        upstox = Upstox(
            TOKEN, url=server.url, symbols={"INFY": INFY}, settings=TWO, clock=lambda: round((OPEN + now + 0.2) * NS)
        )
        feed = Feed(upstox, INTERVALS, record=path)
        feed.subscribe(list(keys))
        with feed:
            until(lambda: sum(map(len, wanted.values())) == len(keys))
            for step in range(600):
                now = step * 0.7
                if step == 250:
                    feed.subscribe(LATE)
                    until(lambda: any(LATE in asked for asked in wanted.values()))
                if step == 400:
                    before = len(server.clients)
                    server.call(lambda: server.clients[0].transport.disconnect(graceful=False))
                    until(lambda before=before: len(server.clients) == before + 1 and before in wanted)
                    del wanted[0]
                packets = feed.engine.stats()["packets"]
                for number, asked in list(wanted.items()):
                    whole = day.live(now, asked)
                    server.call(lambda number=number, whole=whole: server.clients[number].send(whole))
                until(lambda packets=packets: feed.engine.stats()["packets"] > packets)
        found = digest(feed.engine)
        assert feed.status().record_errors == 0
        assert feed.status().bad_frames == 0
        return found, upstox.decoder.tokens()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, int], dict[str, int]]:
    path = tmp_path_factory.mktemp("upstox") / "a.tlj"
    return path, *live(path)


def test_a_recorded_feed_replays_to_the_same_candles_by_every_way(recorded: Any) -> None:
    path, found, keys = recorded
    assert found[1] > 20
    for _ in range(2):
        engine, replay = Engine(INTERVALS), Replay(path)
        replay.into(engine)
        assert digest(engine) == found
        # The same object again, from the start: nothing is left of the first time.
        again = Engine(INTERVALS)
        replay.rewind()
        replay.into(again)
        assert digest(again) == found
    feed = Feed(Replay(path, speed=None), INTERVALS)
    feed.subscribe(INFY, mode="full_d30")
    feed.run()
    assert digest(feed.engine) == found
    assert feed.source.symbols == keys
    assert feed.status().bad_frames == 0


def test_a_replay_in_pieces_is_the_same_as_one_in_a_whole(recorded: Any) -> None:
    path, found, _ = recorded
    engine, replay = Engine(INTERVALS), Replay(path)
    for second in range(-30, 430, 7):
        replay.into(engine, until=round((OPEN + second) * NS))
    replay.into(engine)
    assert digest(engine) == found


def test_the_journal_says_whose_messages_it_has_and_holds_no_secret(recorded: Any) -> None:
    path, _, keys = recorded
    with Journal(path) as journal:
        assert journal.source == "upstox"
    records = list(Replay(path).records())
    kinds = [record.kind for record in records]
    # Old readers take kind 1 for Kite's frames and step over what they do not know.
    assert set(kinds) >= {UPSTOX, KEYS, CLOCK, DISCONNECTED}
    assert 1 not in kinds
    assert kinds[0] == KEYS
    assert {record.connection for record in records if record.kind == UPSTOX} == {0, 1}
    everything = path.read_bytes() + b"".join(record.payload for record in records)
    assert TOKEN.encode() not in everything
    assert b"single-use-code" not in everything
    assert all(key.encode() in everything for key in keys)


def test_a_replay_that_is_recorded_gives_the_same_journal_again(recorded: Any, tmp_path: Path) -> None:
    path, found, _ = recorded
    feed = Feed(Replay(path, speed=None), INTERVALS, record=tmp_path / "b.tlj")
    feed.run()
    engine = Engine(INTERVALS)
    Replay(tmp_path / "b.tlj").into(engine)
    assert digest(engine) == digest(feed.engine) == found


def test_several_journals_are_one_feed(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tlj", tmp_path / "b.tlj"
    live(first, 3, (INFY, NIFTY))
    live(second, 4, (OPTION, FUTURE))
    paths = [first, second]
    one, two = Engine(INTERVALS), Engine(INTERVALS)
    Replay(paths).into(one)
    feed = Feed(Replay(paths, speed=None), engine=two)
    feed.run()
    assert digest(one) == digest(two)
    assert set(feed.source.symbols) == {*KEYS_OF, LATE}
    assert {record.connection for record in Replay(paths).records()} >= {0, 256}
    # The two brokers' counters of a day are not one.
    kite = tmp_path / "c.tlj"
    with Recorder(kite, source="kite") as recorder:
        recorder.write_frame(b"\0", OPEN * NS)
    with pytest.raises(StoreError, match="replayed apart"):
        Replay([first, kite])
