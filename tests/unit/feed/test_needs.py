"""What is needed of a history, told by an engine and a time alone."""

from __future__ import annotations

import datetime as dt

import pytest

import tickloom as tl
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist
from tickloom.feed.dealings import Dealings
from tickloom.feed.needs import Need, Needs
from tickloom.history import Instrument, Minutes

INFY, NIFTY, OTHER = 408065, 256265, 2953217
MINUTE = 60 * SECOND
START = ist("2026-06-29 00:00:00")


def at(clock: str) -> int:
    return ist(f"2026-07-01 {clock}")


class Nothing:
    """Implements `History`, and has none."""

    name = "nothing"
    requests = 0

    def trading_day(self, date: dt.date) -> bool:
        return date.weekday() < 5

    def fetch(self, *_: object, **__: object) -> Minutes:
        return Minutes.empty()

    def forget(self, instrument: Instrument) -> None:
        """Nothing is kept."""


class Bench:
    """An engine, and what it needs."""

    def __init__(self, *tokens: int, start: int | None = START) -> None:
        self.engine = tl.Engine(["1m"])
        self.tokens = list(tokens) or [INFY]
        dealings = Dealings(Nothing(), Instrument)
        self.needs = Needs(None if start is None else lambda _: start, dealings.open, dealings.traded)

    def tick(self, clock: str, volume: int, *, token: int = INFY, close: int = 10_000, price: int = 10_000) -> None:
        now = at(clock)
        packet = (
            frames.index(token, price, now, high=price, low=price)
            if token == NIFTY
            else frames.full(token, price, volume, now, now, high=price, low=price, close=close)
        )
        self.engine.apply(frames.frame(packet), now + SECOND // 2)

    def look(self, clock: str) -> list[tuple[str, int, int, int]]:
        """What waits at this time: kind, start, end, due."""
        self.needs.look(self.engine, self.tokens, at(clock))
        return [(need.kind, need.start, need.end, need.due) for need in self.needs.waiting]

    def take(self, clock: str) -> Need | None:
        return self.needs.take(at(clock))

    def boot(self, clock: str) -> None:
        """Looks, and reads what is due."""
        self.look(clock)
        while need := self.take(clock):
            self.needs.done(need, at(clock))


def test_an_instrument_needs_its_days_up_to_this_minute_once():
    bench = Bench()
    assert bench.look("10:02:30") == [("boot", START, at("10:02:00"), at("10:02:30"))]
    assert len(bench.look("10:02:31")) == 1
    need = bench.take("10:02:31")
    assert need is not None
    bench.needs.done(need, at("10:02:40"))
    assert bench.look("10:03:00") == []
    assert bench.needs.names[INFY].booted


def test_the_minute_of_joining_is_needed_when_it_is_final_and_once_more_when_it_has_stopped_changing():
    bench = Bench()
    bench.boot("10:02:30")
    bench.tick("10:02:35", 500_000)
    [(kind, start, end, due)] = bench.look("10:02:36")
    # From the last minute that was final at the first reading.
    assert (kind, start, end) == ("join", at("10:02:00"), at("10:03:00"))
    assert due == at("10:03:16")
    assert bench.take("10:03:15") is None
    need = bench.take("10:03:16")
    assert need is not None
    bench.needs.done(need, at("10:03:17"))
    assert bench.look("10:03:18") == [("reread", at("10:02:00"), at("10:03:00"), at("10:04:00"))]
    reread = bench.take("10:04:00")
    assert reread is not None
    bench.needs.done(reread, at("10:04:01"))
    assert bench.look("10:09:00") == []


def test_a_minute_that_was_not_final_at_the_first_reading_is_read_with_the_joining_one():
    bench = Bench()
    bench.boot("10:02:10")
    bench.tick("10:02:12", 500_000)
    [(kind, start, end, _)] = bench.look("10:02:13")
    assert (kind, start, end) == ("join", at("10:01:00"), at("10:03:00"))


def test_what_is_read_late_is_not_read_again():
    bench = Bench()
    bench.boot("10:02:30")
    bench.tick("10:02:35", 500_000)
    bench.look("10:02:36")
    need = bench.take("10:05:00")
    assert need is not None
    bench.needs.done(need, at("10:05:00"))
    assert bench.look("10:05:01") == []


@pytest.mark.parametrize("clock", ["09:05:00", "09:16:00"])
def test_a_day_that_was_followed_from_its_first_trade_needs_no_joining(clock):
    bench = Bench()
    bench.boot(clock)
    bench.tick(f"{clock[:-2]}01", 0)
    assert bench.look(f"{clock[:-2]}02") == []


def test_a_cached_tick_of_yesterday_says_that_nothing_traded_before():
    bench = Bench()
    bench.boot("10:02:30")
    yesterday = ist("2026-06-30 15:29:59")
    bench.engine.apply(frames.frame(frames.full(INFY, 10_000, 7, yesterday, yesterday)), at("10:02:31"))
    assert bench.look("10:02:32") == []
    bench.tick("10:04:35", 500_000)
    assert bench.engine.account(INFY)["baseline"] == 0
    assert bench.look("10:04:36") == []


def test_a_gap_needs_its_whole_minutes_first_and_then_that_in_which_it_ended():
    bench = Bench()
    bench.tick("09:14:00", 0)
    bench.boot("09:14:30")
    bench.tick("10:40:10", 1_000)
    bench.engine.disconnected(at("10:40:20"))
    bench.engine.connected(at("10:43:10"))
    assert [kind for kind, *_ in bench.look("10:43:11")] == []
    bench.tick("10:43:12", 5_000)
    # Nine-fifteen to ten-forty was a silence, and that is a gap too (R13).
    waiting = [need for need in bench.look("10:43:13") if need[1] >= at("10:40:00")]
    assert waiting == [
        ("gap", at("10:40:00"), at("10:43:00"), at("10:43:16")),
        ("end", at("10:40:00"), at("10:44:00"), at("10:44:16")),
    ]
    assert [need for need in bench.look("10:43:20") if need[1] >= at("10:40:00")] == waiting


def test_a_gap_within_a_minute_is_read_once():
    bench = Bench()
    bench.tick("10:40:00", 0)
    bench.boot("10:40:01")
    bench.tick("10:40:05", 10)
    bench.engine.disconnected(at("10:40:20"))
    bench.tick("10:40:50", 50)
    assert [(kind, start, end) for kind, start, end, _ in bench.look("10:40:51")] == [
        ("end", at("10:40:00"), at("10:41:00"))
    ]


def test_an_index_has_no_volume_to_miss_so_the_lost_line_says_what_it_missed():
    bench = Bench(NIFTY, INFY)
    bench.tick("09:10:00", 0, token=NIFTY)
    bench.tick("09:10:00", 0)
    bench.boot("09:10:01")
    bench.needs.lost(at("10:40:20"), at("10:43:10"))
    assert [(need.token, need.kind, need.end) for need in bench.needs.waiting] == [
        (NIFTY, "gap", at("10:43:00")), (NIFTY, "end", at("10:44:00")),
    ]  # fmt: skip


def test_after_a_night_without_a_line_the_morning_is_needed():
    bench = Bench()
    bench.tick("09:10:00", 0)
    bench.boot("09:10:01")
    bench.engine.disconnected(at("15:40:00"))
    bench.needs.lost(at("15:40:00"), ist("2026-07-02 10:00:00"))
    now = ist("2026-07-02 10:00:05")
    bench.engine.apply(frames.frame(frames.full(INFY, 10_000, 9_000, now, now)), now + SECOND)
    bench.needs.look(bench.engine, [INFY], now + 2 * SECOND)
    [need] = bench.needs.waiting
    assert (need.kind, need.start, need.end) == (
        "join", ist("2026-07-02 00:00:00"), ist("2026-07-02 10:01:00"),
    )  # fmt: skip


def test_repairs_come_first_then_what_was_subscribed_first_and_who_is_asked_for_before_all():
    bench = Bench(OTHER, INFY, NIFTY)
    bench.look("10:02:30")
    bench.needs.add(NIFTY, "end", at("10:00:00"), at("10:01:00"), at("10:01:16"))
    bench.needs.prefer(INFY)
    order = []
    while need := bench.take("10:02:30"):
        order.append((need.token, need.kind))
    assert order == [(INFY, "boot"), (NIFTY, "end"), (OTHER, "boot"), (NIFTY, "boot")]


@pytest.mark.parametrize(("close", "suspect"), [(10_000, False), (10_049, False), (5_000, True), (10_060, True)])
def test_history_of_before_a_corporate_action_is_suspect_once(close, suspect):
    bench = Bench()
    bench.boot("09:05:00")
    bench.needs.names[INFY].last_close = 100.0
    bench.tick("09:15:01", 0, close=close)
    kinds = [kind for kind, *_ in bench.look("09:15:02")]
    assert (kinds == ["boot"]) == suspect == (bench.needs.suspect == [INFY])
    bench.boot("09:15:03")
    bench.needs.names[INFY].joined = False
    assert bench.look("09:15:04") == []


def test_who_is_not_wanted_any_more_needs_nothing():
    bench = Bench(INFY, OTHER)
    bench.look("10:02:30")
    bench.needs.drop([INFY])
    assert [need.token for need in bench.needs.waiting] == [OTHER]


def test_without_a_warm_up_only_what_is_missed_is_needed():
    bench = Bench(start=None)
    assert bench.look("10:02:30") == []
    assert bench.needs.names[INFY].booted
    bench.tick("10:02:35", 500_000)
    assert [kind for kind, *_ in bench.look("10:02:36")] == ["join"]


def test_who_is_read_when_the_minute_of_joining_is_final_needs_one_request_in_all():
    bench = Bench()
    bench.look("10:02:30")
    bench.tick("10:02:35", 500_000)
    bench.look("10:02:36")
    bench.tick("10:07:10", 600_000)
    # Its turn comes late, as that of the last of many does: the days are read up to now.
    need = bench.take("10:07:20")
    assert need is not None
    assert (need.kind, need.end) == ("boot", at("10:07:00"))
    bench.needs.done(need, at("10:07:20"))
    assert [kind for kind, *_ in bench.look("10:07:21")] == []


def test_who_has_no_minute_behind_him_is_read_without_a_request():
    bench = Bench(start=ist("2026-07-01 00:00:00"))
    now = ist("2026-07-01 00:00:20")
    bench.needs.look(bench.engine, [INFY], now)
    assert bench.needs.waiting == []
    assert bench.needs.names[INFY].booted


CROWD = [nth << 8 | 1 for nth in range(1, 14)]


def test_of_many_each_is_read_when_its_minute_of_joining_has_stopped_changing_and_needs_no_other_request():
    bench = Bench(*CROWD)
    assert {due for *_, due in bench.look("10:02:30")} == {at("10:04:00")}
    assert {kind for kind, *_ in bench.look("10:02:30")} == {"boot"}
    for token in CROWD[:-2]:
        bench.tick("10:02:35", 500_000, token=token)
    # The one before the last begins in the next minute, the last not at all.
    bench.tick("10:03:01", 500_000, token=CROWD[-2])
    assert [due for *_, due in bench.look("10:03:02")] == [at("10:04:00")] * 11 + [at("10:05:00"), at("10:04:00")]
    bench.needs.prefer(CROWD[5])
    assert bench.take("10:03:59") is None
    order = []
    while need := bench.take("10:04:00"):
        order.append(need.token)
        assert (need.kind, need.start, need.end) == ("boot", START, at("10:04:00"))
        bench.needs.done(need, at("10:04:00"))
    # Who is asked for is first among them.
    assert order == [CROWD[5], *CROWD[:5], *CROWD[6:11], CROWD[-1]]
    assert [kind for kind, *_ in bench.look("10:04:01")] == ["boot"]
    need = bench.take("10:05:00")
    assert need is not None
    bench.needs.done(need, at("10:05:00"))
    assert bench.look("10:05:01") == []
    # Who begins to tick later is joined then.
    bench.tick("10:07:10", 700_000, token=CROWD[-1])
    assert [(kind, start, end) for kind, start, end, _ in bench.look("10:07:11")] == [
        ("join", at("10:03:00"), at("10:08:00"))
    ]


def test_a_gap_before_the_feed_came_is_in_the_days_of_one_of_many():
    bench = Bench(*CROWD)
    bench.look("10:02:30")
    # What the broker shows first is the last it has: of before the feed was there.
    bench.tick("10:01:40", 500_000, token=CROWD[0])
    bench.tick("10:01:41", 500_000, token=CROWD[2])
    bench.tick("10:02:35", 500_000, token=CROWD[1])
    assert {due for *_, due in bench.look("10:02:36")} == {at("10:04:00")}
    bench.tick("10:02:50", 500_900, token=CROWD[0])
    assert bench.engine.gaps(CROWD[0]) == [(at("10:01:40"), at("10:02:50"))]
    # Nor does it matter that one is silent for a while before it is read.
    bench.tick("10:02:56", 500_100, token=CROWD[1])
    assert bench.engine.gaps(CROWD[1]) == [(at("10:02:35"), at("10:02:56"))]
    waiting = bench.look("10:02:57")
    assert {kind for kind, *_ in waiting} == {"boot"}
    assert waiting[0] == ("boot", START, at("10:02:00"), at("10:04:00"))
    bench.tick("10:03:15", 500_100, token=CROWD[1])
    # Whose first trade comes in a later minute is read later.
    bench.tick("10:03:16", 500_100, token=CROWD[2])
    assert bench.engine.gaps(CROWD[2]) == [(at("10:01:41"), at("10:03:16"))]
    assert [(kind, due) for kind, *_, due in bench.look("10:03:17")][2:4] == [
        ("boot", at("10:05:00")), ("boot", at("10:04:00")),
    ]  # fmt: skip
    # A gap that ends in a later minute would keep the days waiting: it is a need of its own.
    bench.tick("10:03:20", 501_000, token=CROWD[0])
    assert [kind for kind, *_ in bench.look("10:03:21")].count("end") == 1


def test_a_few_are_read_at_once_and_so_are_many_who_do_not_trade():
    bench = Bench(*CROWD[:12])
    assert {due for *_, due in bench.look("10:02:30")} == {at("10:02:30")}
    for clock in ("08:50:00", "09:14:59", "15:30:00", "18:00:00"):
        assert {due for *_, due in Bench(*CROWD).look(clock)} == {at(clock)}
    # Metals trade in the evening.
    metals = [nth << 8 | 7 for nth in range(13)]
    assert {due for *_, due in Bench(*metals).look("18:00:10")} == {at("18:02:00")}
    # A few who come later do not wait for the many before them.
    bench = Bench(*CROWD)
    bench.boot("09:05:00")
    bench.tokens += [INFY, OTHER]
    assert [due for *_, due in bench.look("10:02:30")] == [at("10:02:30")] * 2


@pytest.mark.parametrize("clock", ["2026-07-01 15:45:00", "2024-03-02 10:30:00", "2026-07-01 09:10:00"])
def test_who_joins_while_nothing_trades_in_minutes_needs_no_minute_of_joining(clock):
    bench = Bench(start=ist("2024-01-01 00:00:00"))
    now = ist(clock)
    bench.needs.look(bench.engine, [INFY], now)
    need = bench.needs.take(now)
    assert need is not None
    bench.needs.done(need, now)
    bench.engine.apply(frames.frame(frames.full(INFY, 10_000, 132_803, now, now)), now + SECOND)
    bench.needs.look(bench.engine, [INFY], now + 2 * SECOND)
    assert bench.needs.waiting == []


def test_on_a_day_that_the_calendar_does_not_know_joining_is_as_on_any():
    bench = Bench()
    now = ist("2026-11-08 18:02:30")
    bench.needs.look(bench.engine, [INFY], now)
    need = bench.needs.take(now)
    assert need is not None
    bench.needs.done(need, now)
    bench.engine.apply(frames.frame(frames.full(INFY, 10_000, 9_000, now, now)), now + SECOND)
    bench.needs.look(bench.engine, [INFY], now + 2 * SECOND)
    assert [need.kind for need in bench.needs.waiting] == ["join"]


@pytest.mark.parametrize(
    ("clock", "kinds"), [("2026-07-01 09:14:50", []), ("2026-07-01 09:15:00", []), ("2026-07-01 09:15:20", ["join"]),
                         ("2024-11-01 17:50:00", []), ("2024-11-01 18:00:00", []), ("2024-11-01 18:02:30", ["join"])],
)  # fmt: skip
def test_an_index_is_joined_if_the_day_had_begun_whenever_it_begins(clock, kinds):
    bench = Bench(NIFTY, start=ist("2024-01-01 00:00:00"))
    now = ist(clock)
    bench.needs.look(bench.engine, [NIFTY], now)
    need = bench.needs.take(now)
    assert need is not None
    bench.needs.done(need, now)
    bench.engine.apply(frames.frame(frames.index(NIFTY, 10_000, now, high=10_000, low=10_000)), now)
    bench.needs.look(bench.engine, [NIFTY], now + SECOND)
    assert [need.kind for need in bench.needs.waiting] == kinds


def test_a_minute_of_joining_that_the_first_reading_had_too_fresh_is_read_again():
    bench = Bench()
    bench.look("10:02:30")
    bench.tick("10:02:35", 500_000)
    bench.look("10:02:36")
    need = bench.take("10:03:20")
    assert need is not None
    bench.needs.done(need, at("10:03:20"))
    assert bench.look("10:03:21") == [("reread", at("10:02:00"), at("10:03:00"), at("10:04:00"))]
