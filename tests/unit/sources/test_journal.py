"""Record and replay: what is written comes back, whatever happened to the file or the process in between."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tickloom as tl
from tests.machines import COLUMNS
from tests.oracle.sessions import SECOND
from tickloom.masks import masked
from tickloom.sources import journal as kinds
from tickloom.sources.journal import Journal, Reading
from tickloom.sources.recorder import Recorder
from tickloom.sources.replay import Replay
from tickloom.sources.simulator import Market
from tickloom.ticker.messages import ConnectionEvent

INTERVALS = ["1m", "3m", "5m", "30s"]
AT = 1_782_877_500_000_000_000
CANARY = "canaryf00dcafe"


class Collector:
    """A sink that keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []
        self.when: list[float] = []

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        self.seen.append(("frame", frame, received_ns, connection))
        self.when.append(time.monotonic())

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        self.seen.append(("text", text, received_ns, connection))

    def on_connection(self, event: ConnectionEvent) -> None:
        self.seen.append(("event", event))


def played(paths: object, **options: object) -> list[tuple]:
    sink = Collector()
    asyncio.run(Replay(paths, **{"speed": None, **options}).run(sink))
    return sink.seen


def digest(engine: tl.Engine) -> str:
    """A hash of every byte of every column."""
    found = hashlib.sha256()
    for token, _ in engine.instruments:
        for interval in INTERVALS:
            candles = engine.candles(token, interval)
            for column in COLUMNS:
                found.update(np.ascontiguousarray(getattr(candles, column)).tobytes())
    return found.hexdigest()


def recorded(path: Path, market: Market, **options: object) -> tl.Engine:
    """The engine that ran while the market was recorded."""
    engine = tl.Engine(intervals=INTERVALS)
    heard = None
    with Recorder(path, source="simulator", **options) as recorder:
        for kind, at, frame in market.events():
            if kind == "frame":
                recorder.write_frame(frame, at, 0)
                heard = at
                with contextlib.suppress(tl.DecodeError):
                    engine.apply(frame, at)
            else:
                recorder.write_event(ConnectionEvent(kind, 0, at))
                if kind == "disconnected":
                    engine.disconnected(at if heard is None else min(at, heard))
    return engine


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(5, instruments=12, indices=1, end="09:25", faults="all")


@pytest.fixture(scope="module")
def day(market: Market, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A journal, and the digest of the engine that ran beside it."""
    path = tmp_path_factory.mktemp("journal") / "day.tlj"
    return path, digest(recorded(path, market))


def small(path: Path, count: int = 60, size: int = 400) -> list[tuple[bytes, int]]:
    """A journal of one block a record, so that its tail holds many."""
    frames = [(os.urandom(size), AT + n * SECOND) for n in range(count)]
    with Recorder(path) as recorder:
        for frame, at in frames:
            recorder.write_frame(frame, at, 0)
            recorder.flush()
    return frames


def test_everything_comes_back_as_it_was_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    event = ConnectionEvent("disconnected", 2, AT + 3, attempt=1, code=1006, reason="gone", retry_in=2.5)
    with Recorder(path, source="a test") as recorder:
        recorder.write_frame(b"\0", AT, 0)
        recorder.write_frame(bytearray(b"\0\1"), AT + 1, 1)
        recorder.write_text('{"type":"order","data":{"ünïcode":"₹"}}', AT + 2, 1)
        recorder.write_event(event)
        recorder.write_clock(AT + 4)
        recorder.write_frame(b"", AT - 5, 255)
    assert played(path) == [
        ("frame", b"\0", AT, 0),
        ("frame", b"\0\1", AT + 1, 1),
        ("text", '{"type":"order","data":{"ünïcode":"₹"}}', AT + 2, 1),
        ("event", event),
        ("frame", b"", AT - 5, 255),
    ]
    with Journal(path) as journal:
        assert (journal.source, journal.indexed, journal.records, journal.lost_bytes) == ("a test", True, 6, 0)
        assert journal.span == (AT - 5, AT + 4)


def test_a_replay_gives_byte_identical_candles_each_time_by_both_ways(day: tuple[Path, str], market: Market) -> None:
    path, live = day
    assert market.instruments()
    for _ in range(3):
        engine = tl.Engine(intervals=INTERVALS)
        assert Replay(path).into(engine) > 1000
        assert digest(engine) == live
    again = tl.Engine(intervals=INTERVALS)

    class Applied(Collector):
        heard: int | None = None

        def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
            super().on_frame(frame, received_ns, connection)
            self.heard = received_ns
            with contextlib.suppress(tl.DecodeError):
                again.apply(frame, received_ns)

        def on_connection(self, event: ConnectionEvent) -> None:
            if event.state == "disconnected":
                again.disconnected(event.time_ns if self.heard is None else min(event.time_ns, self.heard))

    asyncio.run(Replay(path, speed=None).run(Applied()))
    assert digest(again) == live


def test_a_replay_in_pieces_is_the_same_as_one_in_a_whole(day: tuple[Path, str]) -> None:
    path, live = day
    with Journal(path) as journal:
        first, last = journal.span or (0, 0)
    engine = tl.Engine(intervals=INTERVALS)
    replay = Replay(path)
    for until in range(first, last, 7 * SECOND):
        replay.into(engine, until=until)
    replay.into(engine)
    assert replay.into(engine) == 0
    assert digest(engine) == live


def test_the_recorded_clock_closes_quiet_bars_where_it_did(tmp_path: Path) -> None:
    market = Market(1, instruments=1, end="09:16", packets_per_frame=1)
    engines = tl.Engine(intervals=INTERVALS), tl.Engine(intervals=INTERVALS)
    with Recorder(tmp_path / "a.tlj") as recorder:
        for at, frame in [(at, frame) for kind, at, frame in market.events() if kind == "frame"]:
            recorder.write_frame(frame, at)
            engines[0].apply(frame, at)
        recorder.write_clock(at + 600 * SECOND)
    Replay(tmp_path / "a.tlj").into(engines[1])
    assert digest(engines[0]) != digest(engines[1])
    engines[0].advance(at + 600 * SECOND)
    assert digest(engines[0]) == digest(engines[1])


def test_a_start_and_an_end_cut_exactly_there(tmp_path: Path) -> None:
    frames = small(tmp_path / "a.tlj")
    for start, end in itertools.product([0, 1, 30, 59, 60], [0, 10, 60]):
        found = played(tmp_path / "a.tlj", start=AT + start * SECOND - 1, end=AT + end * SECOND)
        assert found == [("frame", frame, at, 0) for frame, at in frames[start:end]]
    whole = played(tmp_path / "a.tlj", start=tl.ist(AT), end=None)
    assert len(whole) == 60


def test_seeking_while_it_runs_goes_on_from_there_forwards_and_back(tmp_path: Path) -> None:
    frames = small(tmp_path / "a.tlj")
    replay = Replay(tmp_path / "a.tlj", speed=None)
    jumps = iter([(10, 40), (45, 5)])

    class Seeking(Collector):
        jump = next(jumps)

        def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
            super().on_frame(frame, received_ns, connection)
            if self.jump is not None and received_ns == AT + self.jump[0] * SECOND:
                replay.seek(AT + self.jump[1] * SECOND)
                self.jump = next(jumps, None)

    sink = Seeking()
    asyncio.run(replay.run(sink))
    order = [*range(11), *range(40, 46), *range(5, 60)]
    assert [row[1] for row in sink.seen] == [frames[n][0] for n in order]


def test_speed_keeps_the_recorded_distances(tmp_path: Path) -> None:
    with Recorder(tmp_path / "a.tlj") as recorder:
        for n in range(6):
            recorder.write_frame(b"\0", AT + n * SECOND)
    sink = Collector()
    replay = Replay(tmp_path / "a.tlj", speed=20)
    asyncio.run(replay.run(sink))
    took = sink.when[-1] - sink.when[0]
    assert 0.24 <= took < 0.75
    assert min(b - a for a, b in itertools.pairwise(sink.when)) > 0.02
    assert replay.clock() == AT + 5 * SECOND


def test_several_journals_come_in_the_order_of_their_receive_times(tmp_path: Path) -> None:
    expected = []
    for name in range(3):
        with Recorder(tmp_path / f"{name}.tlj") as recorder:
            for n in range(200):
                at = AT + n * 1000 + (name * 7 + n * n) % 900
                recorder.write_frame(bytes([name, n]), at, 1)
                expected.append((at, name, n))
                if n % 17 == name:
                    recorder.flush()
    expected.sort()
    found = played([tmp_path / f"{name}.tlj" for name in range(3)])
    assert found == [("frame", bytes([name, n]), at, 256 * name + 1) for at, name, n in expected]


@pytest.mark.parametrize(("count", "size", "closed"), [(60, 400, True), (60, 400, False), (12, 6_000, False)])
def test_a_file_cut_at_every_byte_of_its_tail_opens_and_loses_at_most_the_last_block(
    tmp_path: Path, count: int, size: int, closed: bool
) -> None:
    # Blocks shorter than the tail and longer than it, of a file with its index and of one that nobody closed.
    whole = tmp_path / "whole.tlj"
    frames = small(whole, count, size)
    with Journal(whole) as journal:
        assert journal.indexed
        ends = [block.end for block in journal.blocks]
        assert len(ends) == count
    data = whole.read_bytes()[: None if closed else ends[-1]]
    assert len(data) > 3 * 4096
    cut = tmp_path / "cut.tlj"
    edges = {end + near for end in [*ends, len(data)] for near in (-1, 0, 1)}
    for length in range(len(data) - 4096, len(data) + 1):
        cut.write_bytes(data[:length])
        with Journal(cut) as journal:
            kept = sum(end <= length for end in ends)
            assert len(journal.blocks) == kept
            assert journal.indexed == (closed and length == len(data))
            assert closed or journal.lost_bytes + journal.end == length
            if length % 41 == 0 or length in edges:
                found = [record.payload for record in Reading([journal])]
                assert found == [frame for frame, _ in frames[:kept]]


def test_a_tail_of_the_right_length_and_the_wrong_bytes_costs_its_block_only(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    frames = small(path)
    with Journal(path) as journal:
        last = journal.blocks[-1]
    data = bytearray(path.read_bytes())[: last.end]
    data[last.end - 100 :] = bytes(100)
    path.write_bytes(data)
    with Journal(path) as journal:
        assert (journal.records, journal.lost_bytes) == (59, last.end - last.offset)
        assert [record.payload for record in Reading([journal])] == [frame for frame, _ in frames[:-1]]


@pytest.mark.parametrize("where", ["header", "payload"])
def test_a_damaged_block_in_the_middle_is_stepped_over_and_counted(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.tlj"
    frames = small(path)
    data = bytearray(path.read_bytes())
    with Journal(path) as journal:
        data[journal.blocks[30].offset + {"header": 9, "payload": 60}[where]] ^= 1
    expected = [frame for frame, _ in frames[:30] + frames[31:]]
    path.write_bytes(data)
    with Journal(path) as journal:
        reading = Reading([journal])
        assert [record.payload for record in reading] == expected
        assert reading.damaged == 1
    path.write_bytes(data[:-1])
    with Journal(path) as journal:
        reading = Reading([journal])
        assert [record.payload for record in reading] == expected
        assert reading.damaged == (where == "payload")
        assert (journal.lost_bytes > 400) == (where == "header")


@pytest.mark.parametrize("content", [b"", b"\x89TLJ", b"no journal at all, and long enough" * 9])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tlj").write_bytes(content)
    with pytest.raises(tl.StoreError, match=r"a\.tlj"):
        Journal(tmp_path / "a.tlj")
    with pytest.raises(FileNotFoundError):
        Replay(tmp_path / "b.tlj")


def test_a_recorder_overwrites_nothing_shares_nothing_and_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    frames = small(path, 5)
    with pytest.raises(FileExistsError):
        Recorder(path)
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    with Recorder(path, append=True) as recorder:
        with pytest.raises(tl.StoreError, match="another recorder"):
            Recorder(path, append=True)
        recorder.write_frame(b"more", AT + 9 * SECOND)
    with Journal(path) as journal:
        assert journal.indexed
        assert [record.payload for record in Reading([journal])] == [*(frame for frame, _ in frames), b"more"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_offered_is_written_and_dropped_and_the_journal_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    with Recorder(path, interval=3600, max_buffer=1000) as recorder:
        for n in range(20):
            recorder.write_frame(b"x" * 100, AT + n)
        stats = recorder.stats()
        assert (stats["offered"], stats["dropped"], stats["written"]) == (20, 11, 0)
        recorder.flush()
        recorder.write_frame(b"y", AT + 20)
    stats = recorder.stats()
    assert (stats["offered"], stats["dropped"], stats["written"], stats["error"]) == (21, 11, 10, None)
    recorder.write_frame(b"too late", AT)
    assert recorder.stats()["dropped"] == 12
    with Journal(path) as journal:
        found = [(record.kind, record.payload) for record in Reading([journal])]
    assert found == [(kinds.FRAME, b"x" * 100)] * 9 + [(kinds.LOST, b"11"), (kinds.FRAME, b"y")]
    assert [event[1].state for event in played(path) if event[0] == "event"] == ["disconnected", "connected"]


def test_a_full_disk_loses_nothing_that_fits_in_memory_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tlj"
    recorder = Recorder(path, interval=0.01)
    write = os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if len(data) > 20:
            return write(file, data[:20], offset)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    recorder.write_frame(b"first" * 20, AT)
    with pytest.raises(tl.StoreError, match="No space"):
        recorder.flush()
    assert "No space" in str(recorder.stats()["error"])
    recorder.write_frame(b"second" * 20, AT + 1)
    monkeypatch.undo()
    recorder.close()
    assert [row[1] for row in played(path)] == [b"first" * 20, b"second" * 20]
    assert sum("journal cannot be written" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("wrong", [{"sync": "never"}, {"interval": 0}, {"interval": float("nan")}, {"interval": 1e9}])
def test_a_wrong_option_of_the_recorder_is_named(tmp_path: Path, wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recorder(tmp_path / "a.tlj", **wrong)
    assert not (tmp_path / "a.tlj").exists()


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(tmp_path: Path, speed: float) -> None:
    small(tmp_path / "a.tlj", 1)
    with pytest.raises(ValueError, match="speed"):
        Replay(tmp_path / "a.tlj", speed=speed)


def test_a_replay_notes_what_is_wanted(tmp_path: Path) -> None:
    small(tmp_path / "a.tlj", 1)
    replay = Replay(tmp_path / "a.tlj", symbols={"NSE:INFY": 408065})
    replay.subscribe([1, 2], "full")
    replay.unsubscribe([2, 3])
    assert replay.subscriptions() == {1: "full"}
    with pytest.raises(ValueError, match="mode"):
        replay.subscribe([1], "deep")


def test_no_secret_gets_into_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    url = f"wss://ws.kite.trade?api_key={CANARY}&access_token={CANARY}"
    with Recorder(path, source=url) as recorder:
        recorder.write_text(f'{{"type":"error","data":"Authorization: token {CANARY}"}}', AT)
        recorder.write_text(f'{{"access_token": "{CANARY}", "enctoken":"{CANARY}"}}', AT)
        recorder.write_event(ConnectionEvent("disconnected", 0, AT, reason=f"redirected to {url}"))
        recorder.flush()
        assert CANARY not in repr(recorder) + str(recorder.stats())
    with Journal(path) as journal:
        records = b"".join(record.payload for record in Reading([journal]))
        assert CANARY not in journal.source
    assert CANARY.encode() not in path.read_bytes() + records
    assert b"redirected to wss://ws.kite.trade?api_key=***" in records


def test_masking_leaves_other_texts_alone() -> None:
    text = '{"type":"order","data":{"instrument_token":408065,"order_id":"1","tag":"token"}}'
    assert masked(text) == text


def test_many_threads_may_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    with Recorder(path, interval=0.001) as recorder:

        def work(connection: int) -> None:
            for n in range(2_000):
                recorder.write_frame(n.to_bytes(2), AT + n, connection)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Journal(path) as journal:
        found = [(record.connection, record.payload) for record in Reading([journal])]
    for connection in range(4):
        assert [payload for c, payload in found if c == connection] == [n.to_bytes(2) for n in range(2_000)]


def test_a_recorder_leaves_no_thread_and_no_file_behind(tmp_path: Path) -> None:
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for n in range(5):
        Recorder(tmp_path / f"{n}.tlj").close()
        Replay(tmp_path / f"{n}.tlj").close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


CHILD = """
import os, sys, time
from tickloom.sources.recorder import Recorder
recorder = Recorder(sys.argv[1], sync=sys.argv[2], interval=0.1)
for n in range(500):
    recorder.write_frame(n.to_bytes(2) * 50, 1_782_877_500_000_000_000 + n, 0)
{then}
"""


def child(path: Path, sync: str, then: str) -> subprocess.Popen[str]:
    code = CHILD.format(then=then)
    return subprocess.Popen([sys.executable, "-c", code, str(path), sync], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("sync", ["interval", "strict"])
@pytest.mark.parametrize(
    ("then", "code"),
    [("pass", 0), ("sys.exit(3)", 3), ("raise SystemError", 1), ("import signal; signal.raise_signal(2)", -2)],
)
def test_whatever_ends_the_interpreter_the_journal_is_whole(tmp_path: Path, sync: str, then: str, code: int) -> None:
    run = child(tmp_path / "a.tlj", sync, "sys.stderr = open(os.devnull, 'w')\n" + then)
    run.communicate(timeout=10)
    assert run.returncode == code
    with Journal(tmp_path / "a.tlj") as journal:
        assert (journal.records, journal.indexed) == (500, True)


@pytest.mark.parametrize("sync", ["interval", "strict"])
def test_a_killed_process_leaves_all_that_was_written(tmp_path: Path, sync: str) -> None:
    run = child(tmp_path / "a.tlj", sync, "time.sleep(0.6); print('now', flush=True); time.sleep(60)")
    assert run.stdout is not None
    run.stdout.readline()
    run.send_signal(signal.SIGKILL)
    run.communicate()
    with Journal(tmp_path / "a.tlj") as journal:
        assert (journal.records, journal.indexed) == (500, False)


def test_a_forked_child_leaves_its_parents_journal_alone(tmp_path: Path) -> None:
    then = (
        "if os.fork() == 0:\n"
        "    try: recorder.flush()\n"
        "    except Exception as error: print(error, flush=True)\n"
        "    recorder.close(); sys.exit(0)\n"
        "os.wait(); recorder.write_frame(b'after', 1)"
    )
    run = child(tmp_path / "a.tlj", "interval", then)
    told, _ = run.communicate()
    assert run.returncode == 0
    assert "forked" in told
    with Journal(tmp_path / "a.tlj") as journal:
        assert (journal.records, journal.indexed) == (501, True)
