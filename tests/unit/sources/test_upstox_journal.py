"""Journals of Upstox's messages: which key has which token, from every place in the file, whatever happened to it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.upstox_feed import NS, OPEN, message
from tickloom import Engine, Feed, StoreError
from tickloom._core import JournalWriter, UpstoxDecoder
from tickloom.sources import Recorder, Replay
from tickloom.sources.journal import FRAME, KEYS, UPSTOX, Journal, Reading
from tickloom.sources.keyed import keys_at, speaks

INFY, TCS = "NSE_EQ|INE009A01021", "NSE_EQ|INE467B01029"
TOKENS = {INFY: 257, TCS: 513}


def decoder(tokens: dict[str, int]) -> UpstoxDecoder:
    made = UpstoxDecoder()
    for key, token in tokens.items():
        made.track(key, token)
    return made


def tick(at: float, key: str = INFY, **fields: Any) -> tuple[bytes, int]:
    """A message of one tick, and when it came."""
    fields.setdefault("ltt", OPEN + at)
    return message("live_feed", OPEN + at + 0.1, {key: fields}), round((OPEN + at + 0.2) * NS)


def record(path: Path, messages: Sequence[tuple[bytes, int]], knows: UpstoxDecoder, *, each: bool = False) -> None:
    """A journal of messages; with `each`, of one block a message."""
    with Recorder(path, source="upstox", decoder=knows) as recorder:
        for whole, at in messages:
            recorder.write_frame(whole, at)
            if each:
                recorder.flush()


def bars(engine: Engine, token: int = 257) -> list[tuple[float, float, int]]:
    return [
        (b.open, b.close, b.volume)
        for b in (*engine.candles(token, "1m").last(99), *engine.candles(token, "1m").unsealed)
    ]


def into(replay: Replay) -> Engine:
    engine = Engine(["1m"])
    replay.into(engine)
    return engine


def hour(count: int = 600) -> list[tuple[bytes, int]]:
    return [tick(6.0 * n, ltp=100 + n / 100, vtt=100 * (n + 1)) for n in range(count)]


def test_keys_stand_before_the_first_message_and_new_ones_before_theirs(tmp_path: Path) -> None:
    path, knows = tmp_path / "a.tlj", decoder({INFY: 257})
    with Recorder(path, source="upstox", decoder=knows) as recorder:
        recorder.write_text("hello", 5)
        recorder.write_frame(*tick(1, ltp=1.0))
        knows.track(TCS, 513)
        recorder.write_clock(OPEN * NS)
        recorder.write_frame(*tick(2, TCS, ltp=2.0))
        stats = recorder.stats()
    with Journal(path) as journal:
        records = list(Reading([journal]))
    assert [record.kind for record in records] == [KEYS, 2, KEYS, UPSTOX, 5, KEYS, UPSTOX]
    assert records[0].received_ns == 5
    # How many were said before, then token, length and key: docs/journal.md.
    first = struct.pack("<IIH", 0, 257, len(INFY)) + INFY.encode()
    assert [record.payload for record in records if record.kind == KEYS] == [
        bytes(4), first, struct.pack("<IIH", 1, 513, len(TCS)) + TCS.encode(),
    ]  # fmt: skip
    assert (stats["offered"], stats["dropped"]) == (4, 0)
    assert Replay(path).symbols == TOKENS


def test_keys_are_said_again_now_and_then_and_cost_little(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, hour(300), decoder(TOKENS), each=True)
    with Journal(path) as journal:
        records = list(Reading([journal]))
        whole = [n for n, found in enumerate(records) if found.kind == KEYS and found.payload[:4] == bytes(4)]
        said = sum(len(found.payload) for found in records if found.kind == KEYS)
        assert len(whole) == 300 // 64 + 1
        assert said < sum(len(found.payload) for found in records) / 16
        # From everywhere all of them are found without going back to the start.
        for number in range(len(journal.blocks)):
            knows = UpstoxDecoder()
            for payload in keys_at(journal, number):
                knows.load(payload)
            assert knows.tokens() == TOKENS


def test_keys_that_outweigh_what_is_written_are_not_said_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, hour(300), decoder({f"NSE_FO|{n}": n << 8 | 2 for n in range(1, 2_000)} | TOKENS), each=True)
    kinds = [found.kind for found in Replay(path).records()]
    assert kinds.count(KEYS) == 1
    assert len(Replay(path, start=(OPEN + 1_500) * NS).symbols) == 2_001


def test_what_waits_for_the_disk_and_is_dropped_takes_no_key_with_it(tmp_path: Path) -> None:
    knows = decoder({INFY: 257})
    writer = JournalWriter(200, knows)
    large, small = tick(1, ltp=1.0, levels=[(1.0, 2.0)] * 5)[0], tick(2, TCS, ltp=2.0)[0]
    for whole in (small, large, large):
        writer.append(whole, OPEN * NS)
    knows.track(TCS, 513)
    writer.append(large, OPEN * NS)
    written = writer.take(True)
    writer.append(small, OPEN * NS)
    written += writer.take(True)
    offered, dropped, taken, _, _ = writer.counts()
    assert (offered, dropped + taken) == (5, 5)
    assert dropped >= 2
    path = tmp_path / "a.tlj"
    path.write_bytes(JournalWriter.header("upstox", 0) + b"".join(block for block, *_ in written))
    assert Replay(path).symbols == TOKENS


def test_a_seek_into_the_middle_begins_with_nothing_known_but_the_keys(tmp_path: Path) -> None:
    path, middle = tmp_path / "a.tlj", (OPEN + 600) * NS
    said = [
        tick(1, ltp=100.0, vtt=1_000, oi=70.0), tick(590, ltp=101.0, vtt=9_000),
        (message("live_feed", OPEN + 601, {INFY: {"levels": [(5.0, 6.0)]}}), (OPEN + 601) * NS),
        tick(602, ltp=105.0), tick(603, ltp=106.0, vtt=9_500), tick(604, ltp=107.0, vtt=9_700),
    ]  # fmt: skip
    record(path, said, decoder(TOKENS), each=True)
    whole = into(Replay(path))
    # A price without volume is no trade.
    assert bars(whole)[-1] == (106.0, 107.0, 700)
    assert whole.board()["oi"][0] == 70
    sought = into(Replay(path, start=middle))
    # The depth alone has no price. What traded before the first volume is the baseline, as in a feed that begins there
    # (R12): 9,500 are not a trade of this minute, and what was said of open interest before is not known.
    assert bars(sought) == [(107.0, 107.0, 200)]
    assert sought.account(257)["baseline"] == 9_500
    assert sought.board()["oi"][0] == 0
    # Both ways are one, and a second pass knows nothing of the first.
    replay = Replay(path, start=middle, speed=None)
    for _ in range(2):
        feed = Feed(replay, ["1m"])
        feed.run()
        assert bars(feed.engine) == bars(sought)


def test_a_seek_while_it_runs_forgets_what_was_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, [tick(1, ltp=100.0, vtt=50), tick(600, ltp=101.0, vtt=80)], decoder(TOKENS))
    replay = Replay(path, speed=None)
    assert replay.decoder is not None
    engines = [Engine(["1m"]), Engine(["1m"])]
    seen: list[bytes] = []

    class Sink:
        def on_frame(self, frame: bytes, received_ns: int, _: int) -> None:
            if len(seen) == 2:
                return
            engines[len(seen)].apply_upstox(replay.decoder, frame, received_ns)
            seen.append(frame)
            if len(seen) == 1:
                replay.seek((OPEN + 500) * NS)

    asyncio.run(replay.run(Sink()))
    alone = into(Replay(path, start=(OPEN + 500) * NS))
    assert seen[1] == tick(600, ltp=101.0, vtt=80)[0]
    assert bars(engines[1]) == bars(alone)
    assert engines[1].account(257) == alone.account(257)


@pytest.mark.parametrize("closed", [True, False])
def test_a_file_that_is_cut_anywhere_opens_and_replays_what_is_whole(tmp_path: Path, closed: bool) -> None:
    path, cut, messages = tmp_path / "a.tlj", tmp_path / "cut.tlj", hour(150)
    record(path, messages, decoder(TOKENS), each=True)
    data = path.read_bytes()
    with Journal(path) as journal:
        ends = [block.end for block in journal.blocks]
        header = journal.blocks[0].offset
    data = data if closed else data[: ends[-1]]
    for length in [*range(header, len(data), 997), *ends[60:70], len(data)]:
        cut.write_bytes(data[:length])
        kept = sum(end <= length for end in ends)
        replay = Replay(cut)
        engine = into(replay)
        assert engine.stats()["ticks"] == kept
        assert engine.stats()["rejected"] == 0
        assert replay.symbols == (TOKENS if kept else {})
        replay.close()


@pytest.mark.parametrize("damaged", [0, 65, 130])
def test_a_damaged_block_costs_its_messages_and_no_keys(tmp_path: Path, damaged: int) -> None:
    path = tmp_path / "a.tlj"
    record(path, hour(200), decoder(TOKENS), each=True)
    data = bytearray(path.read_bytes())
    with Journal(path) as journal:
        data[journal.blocks[damaged].offset + 60] ^= 1
    path.write_bytes(data)
    engine = into(Replay(path))
    assert (engine.stats()["ticks"], engine.stats()["rejected"]) == (199, 0)
    late = into(Replay(path, start=(OPEN + 6 * 140) * NS))
    assert (late.stats()["ticks"], late.stats()["rejected"]) == (60, 0)
    with Journal(path) as journal:
        for number in (0, damaged, 199):
            knows = UpstoxDecoder()
            for payload in keys_at(journal, number):
                knows.load(payload)
            assert knows.tokens() == TOKENS


def test_two_instruments_with_one_token_are_an_error_and_not_a_candle(tmp_path: Path) -> None:
    first, second = tmp_path / "a.tlj", tmp_path / "b.tlj"
    record(first, [tick(1, ltp=1.0, vtt=1)], decoder({INFY: 257}))
    record(second, [tick(2, TCS, ltp=2.0, vtt=1)], decoder({TCS: 257}))
    with pytest.raises(StoreError, match="token belongs to another instrument key"):
        Replay([first, second])
    # One instrument with two tokens keeps the first.
    record(tmp_path / "c.tlj", [tick(2, ltp=2.0, vtt=2)], decoder({INFY: 513}))
    engine = into(Replay([first, tmp_path / "c.tlj"]))
    assert [token for token, _ in engine.instruments] == [257]


def test_messages_of_two_brokers_are_an_error_wherever_they_meet(tmp_path: Path) -> None:
    upstox, kite, mixed = tmp_path / "a.tlj", tmp_path / "b.tlj", tmp_path / "c.tlj"
    record(upstox, [tick(1, ltp=1.0)], decoder(TOKENS))
    with Recorder(kite, source="kite") as recorder:
        recorder.write_frame(b"\0", OPEN * NS)
    assert (Replay(upstox).decoder is None, Replay(kite).decoder is None) == (False, True)
    with pytest.raises(StoreError, match="are replayed apart"):
        Replay([kite, upstox])
    with pytest.raises(StoreError, match="other messages \\(upstox\\) cannot be gone on with"):
        Recorder(upstox, append=True)
    with pytest.raises(StoreError, match="other messages \\(kite\\) cannot be gone on with"):
        Recorder(kite, append=True, decoder=decoder(TOKENS))
    # A file that somebody made otherwise.
    writer = JournalWriter(1 << 20, decoder(TOKENS))
    writer.append(tick(1, ltp=1.0)[0], OPEN * NS)
    blocks = writer.take(True)
    writer = JournalWriter()
    writer.append(b"\0", (OPEN + 1) * NS)
    blocks += writer.take(True)
    mixed.write_bytes(JournalWriter.header("upstox", 0) + b"".join(block for block, *_ in blocks))
    with pytest.raises(StoreError, match="frame of Kite's among messages of Upstox's"):
        into(Replay(mixed))
    feed = Feed(Replay(mixed, speed=None), ["1m"])
    with pytest.raises(StoreError, match="cannot be replayed as one"):
        feed.run()


def test_a_journal_can_be_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, [tick(1, ltp=1.0, vtt=1)], decoder({INFY: 257}))
    with Recorder(path, source="upstox", append=True, decoder=decoder(TOKENS)) as recorder:
        recorder.write_frame(*tick(61, TCS, ltp=2.0, vtt=2))
    engine = into(Replay(path))
    assert engine.stats()["ticks"] == 2
    assert Replay(path).symbols == TOKENS


def test_keys_of_every_run_that_went_on_with_a_journal_are_found(tmp_path: Path) -> None:
    path, third = tmp_path / "a.tlj", "NSE_FO|54452"
    for at, key in ((1, INFY), (61, TCS), (121, third)):
        with Recorder(path, source="upstox", append=at > 1, decoder=decoder({key: at << 8 | 1})) as recorder:
            for n in range(3):
                recorder.write_frame(*tick(at + n, key, ltp=1.0, vtt=n + 1))
                recorder.flush()
    for start, ticks in ((None, 9), ((OPEN + 2) * NS, 8), ((OPEN + 62) * NS, 5), ((OPEN + 122) * NS, 2)):
        replay = Replay(path, start=start, speed=None)
        assert into(replay).stats()["ticks"] == ticks
        feed = Feed(Replay(path, start=start, speed=None), ["1m"])
        feed.run()
        assert feed.engine.stats()["ticks"] == ticks
        assert feed.status().rejected == 0


def test_journals_of_earlier_versions_are_read_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    with Recorder(path, source="kite") as recorder:
        recorder.write_frame(b"\0", OPEN * NS)
    with Journal(path) as journal:
        assert speaks(journal) == "kite"
    replay = Replay(path, symbols={"INFY": 408065})
    assert (replay.decoder, replay.symbols) == (None, {"INFY": 408065})
    with Journal(path) as journal:
        assert [found.kind for found in Reading([journal])] == [FRAME]
    # Upstox's messages were once written without keys: they cannot be read, and that is said.
    old = tmp_path / "b.tlj"
    with Recorder(old, source="upstox") as recorder:
        recorder.write_frame(*tick(1, ltp=1.0))
    with pytest.raises(StoreError, match="without the keys of their instruments"):
        Replay(old)


def test_names_and_modes_are_the_brokers(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, [tick(1, ltp=1.0, vtt=1)], decoder(TOKENS))
    replay = Replay(path, symbols={"INFY": INFY, "NIFTY": 256_265})
    assert replay.symbols == TOKENS | {"INFY": 257, "NIFTY": 256_265}
    feed = Feed(replay, ["1m"])
    feed.subscribe(["INFY", TCS], mode="option_greeks")
    assert feed.subscriptions() == {257: "option_greeks", 513: "option_greeks"}
    with pytest.raises(ValueError, match="mode must be one of ltpc, option_greeks, full, full_d30"):
        feed.subscribe("INFY", mode="quote")
    with pytest.raises(ValueError, match="no such instrument key in the journal: NSE_EQ"):
        Replay(path, symbols={"X": "NSE_EQ|X"})


def test_a_recorder_of_a_feed_has_its_decoder(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    record(path, [tick(1, ltp=1.0, vtt=1)], decoder(TOKENS))
    replay = Replay(path, speed=None)
    with Recorder(tmp_path / "b.tlj") as wrong, pytest.raises(ValueError, match="must have the source's decoder"):
        Feed(replay, ["1m"], record=wrong)
    with Recorder(tmp_path / "c.tlj", decoder=replay.decoder) as right:
        Feed(replay, ["1m"], record=right).run()
    assert into(Replay(tmp_path / "c.tlj")).stats()["ticks"] == 1


@pytest.mark.parametrize("record", [b"", b"\0", b"\0\0\0", bytes(9), bytes(4) + struct.pack("<IH", 1, 5) + b"abcd"])
def test_a_record_of_keys_that_is_none_is_refused(record: bytes) -> None:
    with pytest.raises(ValueError, match="record of keys is damaged"):
        UpstoxDecoder().load(record)
