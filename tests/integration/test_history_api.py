"""The two histories against a broker's REST API over real HTTP, with everything that goes wrong with one."""

from __future__ import annotations

import datetime as dt
import sys

import kiteconnect
import pytest

from tests.integration.rest import MINUTE, SECOND, Broker, rows_of, same
from tickloom.errors import AuthenticationFailed, ConnectionFailed, MissingExtra, UnknownInstrument
from tickloom.history import History, Instrument, KiteHistory, Limiter, Minutes, Retries, UpstoxHistory
from tickloom.model import ist, to_ns
from tickloom.sources.simulator import Market

SECRET = "-".join(("a", "very", "secret", "token"))


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(7, liquid=1, middling=0, thin=1, indices=0, days=3, end="09:45")


@pytest.fixture(scope="module")
def rows(market: Market) -> dict[int, list]:
    return {name.token: rows_of(market, name.token) for name in market.instruments()}


@pytest.fixture
def now(rows: dict[int, list]) -> int:
    """Noon of the day after the last."""
    last = next(iter(rows.values()))[-1][0]
    return to_ns(ist(last).replace(hour=12, minute=0) + dt.timedelta(days=1))


@pytest.fixture(params=["kite", "upstox"])
def make(request: pytest.FixtureRequest, tmp_path):
    def history(broker: Broker, *, cache: object = False, attempts: int = 4, **options: object) -> History:
        limiter = Limiter(tmp_path / "limit.json", 1_000)
        common = {"root": broker.root, "cache": cache, "limiter": limiter, "timeout": 2.0,
                  "retries": Retries(attempts=attempts, base=0.01), **options}  # fmt: skip
        if request.param == "kite":
            return KiteHistory("key", SECRET, **common)
        keys = {token: f"NSE_EQ|{token}" for token in (*broker.rows, 99 << 8 | 1)}
        return UpstoxHistory(SECRET, keys, **common)

    return history


def fetch(history: History, token: int, now: int, days: int = 4) -> Minutes:
    return history.fetch(Instrument(token, f"NSE:T{token}"), now - days * 86_400 * SECOND, now, now_ns=now)


def test_it_gives_the_minutes_of_the_market_to_the_last_bit(make, rows, now):
    with Broker(rows) as broker:
        history = make(broker)
        assert isinstance(history, History)
        for token, true in rows.items():
            assert same(fetch(history, token, now), true)
        assert history.requests == len(broker.arrivals)
        part = history.fetch(Instrument(token), true[0][0] + MINUTE, true[3][0], now_ns=now)
        assert same(part, [row for row in true if true[0][0] + MINUTE <= row[0] < true[3][0]])


@pytest.mark.parametrize("fault", ["429", "500", "503", "slow", "truncated", "cut", "html"])
def test_a_fault_costs_another_request_and_nothing_else(make, rows, now, fault):
    token = next(iter(rows))
    with Broker(rows, fault=lambda nth, _: fault if nth == 0 else None, retry_after="0.05", slow=0.1) as broker:
        assert same(fetch(make(broker), token, now), rows[token])
        assert len(broker.arrivals) >= (1 if fault == "slow" else 2)


def test_an_answer_that_does_not_come_is_asked_for_again(make, rows, now):
    token = next(iter(rows))
    with Broker(rows, fault=lambda nth, _: "slow" if nth == 0 else None, slow=0.6) as broker:
        assert same(fetch(make(broker, timeout=0.2), token, now), rows[token])
        assert len(broker.arrivals) >= 2


def test_a_refused_token_is_not_tried_again_and_is_not_told(make, rows, now):
    token = next(iter(rows))
    with Broker(rows, fault=lambda *_: "403") as broker:
        with pytest.raises(AuthenticationFailed, match="log in again") as caught:
            fetch(make(broker), token, now)
        assert len(broker.arrivals) == 1
        assert SECRET in str(broker.headers[0])
    seen: BaseException | None = caught.value
    while seen is not None:
        assert SECRET not in str(seen) + repr(seen)
        seen = seen.__cause__


def test_when_nothing_helps_it_says_so(make, rows, now):
    token = next(iter(rows))
    with Broker(rows, fault=lambda *_: "500") as broker:
        with pytest.raises(ConnectionFailed, match=r"failed 3 times, try later: .*500"):
            fetch(make(broker, attempts=3), token, now)
        assert len(broker.arrivals) == 3
    with pytest.raises(ConnectionFailed):
        # Nobody listens there any more.
        fetch(make(broker, attempts=2), token, now)


def test_a_429_says_how_long_to_wait_and_that_is_waited(make, rows, now):
    token = next(iter(rows))
    with Broker(rows, fault=lambda nth, _: "429" if nth == 0 else None, retry_after="0.4") as broker:
        fetch(make(broker), token, now)
        assert broker.arrivals[1] - broker.arrivals[0] >= 0.4


def test_the_forming_minute_is_left_out(make, rows):
    token, true = next(iter(rows.items()))
    now = true[-5][0] + 20 * SECOND
    with Broker(rows, clock=lambda: now) as broker:
        minutes = fetch(make(broker), token, now, days=0)
        assert len(minutes) == 0
        history = make(broker)
        minutes = history.fetch(Instrument(token), true[-9][0], now + MINUTE, now_ns=now)
    assert minutes.time.tolist() == [row[0] for row in true[-9:-5]]


def test_days_that_are_over_are_read_once_and_this_one_every_time(make, rows, tmp_path):
    token, true = next(iter(rows.items()))
    now = true[-1][0] + 10 * MINUTE
    with Broker(rows, clock=lambda: now) as broker:
        days = {ist(row[0]).date() for row in true}
        first = make(broker, cache=tmp_path / "kept", trading_day=days.__contains__)
        assert same(fetch(first, token, now, days=3), true)
        asked = len(broker.arrivals)
        again = make(broker, cache=tmp_path / "kept", trading_day=days.__contains__)
        assert same(fetch(again, token, now, days=3), true)
        assert len(broker.arrivals) == asked + 1
        yesterday = [row for row in true if ist(row[0]).date() < ist(now).date()]
        assert same(again.fetch(Instrument(token, f"NSE:T{token}"), true[0][0], yesterday[-1][0] + MINUTE, now_ns=now),
                    yesterday)  # fmt: skip
        assert len(broker.arrivals) == asked + 1
        again.forget(Instrument(token, f"NSE:T{token}"))
        fetch(again, token, now, days=3)
        assert len(broker.arrivals) >= asked + 2


def test_a_day_without_a_minute_is_read_twice_and_then_believed(make, rows, now, tmp_path):
    token = next(iter(rows))
    absent = {token: [row for row in rows[token] if ist(row[0]).date() != ist(rows[token][0][0]).date()]}
    asked = []
    for _ in range(4):
        with Broker(absent) as broker:
            history = make(broker, cache=tmp_path / "kept")
            # Up to the last day that is over.
            history.fetch(Instrument(token, "NSE:T"), rows[token][0][0], rows[token][-1][0] + MINUTE, now_ns=now)
            asked.append(len(broker.arrivals))
    assert asked == [1, 1, 0, 0]


def test_minutes_that_are_expected_are_asked_for_once_more_on_a_later_date(make, rows, now, tmp_path):
    token = next(iter(rows))
    asked = []
    for days in (0, 0, 1, 1, 2):
        with Broker(rows) as broker:
            history = make(broker, cache=tmp_path / "kept", expected=lambda *_: 31)
            later = now + days * 86_400 * SECOND
            history.fetch(Instrument(token, "NSE:T"), rows[token][0][0], rows[token][-1][0] + MINUTE, now_ns=later)
            asked.append(len(broker.arrivals))
    assert asked == [1, 0, 1, 0, 0]
    with Broker(rows) as broker:
        history = make(broker, cache=tmp_path / "enough", expected=lambda *_: 1)
        for days in (0, 1):
            later = now + days * 86_400 * SECOND
            history.fetch(Instrument(token, "NSE:T"), rows[token][0][0], rows[token][-1][0] + MINUTE, now_ns=later)
        assert len(broker.arrivals) == 1


def test_an_instrument_that_the_broker_does_not_know_is_unknown(make, rows, now):
    with Broker(rows) as broker, pytest.raises(UnknownInstrument, match="no history of NSE:T25345"):
        fetch(make(broker), 99 << 8 | 1, now)


def test_kite_is_asked_for_sixty_days_at_most_and_for_trading_days_only(rows, tmp_path):
    token = next(iter(rows))
    end = to_ns(ist(rows[token][-1][0]).replace(hour=18))
    with Broker(rows) as broker:
        history = KiteHistory("key", SECRET, root=broker.root, cache=tmp_path, limiter=Limiter(tmp_path / "l", 1_000))
        history.fetch(Instrument(token), end - 150 * 86_400 * SECOND, end, now_ns=end)
        assert len(broker.paths) == 3
        history = KiteHistory("key", SECRET, root=broker.root, cache=False, limiter=Limiter(tmp_path / "l", 1_000),
                              trading_day=lambda _: False)  # fmt: skip
        assert len(history.fetch(Instrument(token), end - 150 * 86_400 * SECOND, end, now_ns=end)) == 0
        assert len(broker.paths) == 3


def test_a_client_that_is_logged_in_will_do(rows, now, tmp_path):
    token = next(iter(rows))
    with Broker(rows) as broker:
        client = kiteconnect.KiteConnect("key", access_token=SECRET, root=broker.root)
        history = KiteHistory(client, cache=False, limiter=Limiter(tmp_path / "l", 1_000))
        assert same(fetch(history, token, now), rows[token])
    with pytest.raises(ValueError, match="needs an access token"):
        KiteHistory("key")


def test_without_the_vendors_package_it_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "kiteconnect", None)
    with pytest.raises(MissingExtra, match=r"tickloom\[kite\]"):
        KiteHistory("key", SECRET)


@pytest.mark.parametrize("root", ["http://example.test", "ftp://127.0.0.1", "api.upstox.com"])
def test_the_token_leaves_the_machine_over_https_only(root):
    with pytest.raises(ValueError, match="https"):
        UpstoxHistory(SECRET, root=root, cache=False)


def test_upstox_needs_a_key_of_its_own(rows, now, tmp_path):
    with Broker(rows) as broker:
        history = UpstoxHistory(SECRET, root=broker.root, cache=False, limiter=Limiter(tmp_path / "l", 1_000))
        with pytest.raises(UnknownInstrument, match="keys="):
            fetch(history, next(iter(rows)), now)
        assert broker.arrivals == []
