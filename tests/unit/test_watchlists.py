"""Watchlists: the shipped ones, resolving, your own in YAML, movers, and a feed that takes their names."""

from __future__ import annotations

import warnings
from datetime import date
from pathlib import Path

import pytest

import tickloom as tl
from benches.dump import ON, rows
from tickloom import BadDump, Instruments
from tickloom.sources.simulator import Market
from tickloom.watchlists import StaleWatchlist, UnresolvedSymbols, Watchlists, lists, movers, update

THEN = date(2026, 7, 1)


def instruments(*symbols: str) -> Instruments:
    shares = list(rows(200))[10:]
    some = [{**row, "tradingsymbol": symbol} for row, symbol in zip(shares, symbols, strict=False)]
    return Instruments.from_rows(some, on=ON)


def test_every_shipped_list_has_its_number_of_members_with_good_isins() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleWatchlist)
        for name in Watchlists().names():
            found = Watchlists().get(name)
            category, file, counts = lists.INDEX_FILES[name]
            assert (found.category, len(found.members) in counts, file in found.source) == (category, True, True)
            assert all(update.is_isin(member.isin) for member in found.members)
            assert len({member.isin for member in found.members}) == len(found.members)
    assert {"NIFTY50", "BANKNIFTY", "NIFTYNEXT50", "NIFTYIT"} <= set(Watchlists().names())


def test_names_are_found_however_they_are_written() -> None:
    shipped = Watchlists()
    for name in ("NIFTY50", "nifty 50", "Nifty_50", "NIFTY"):
        assert shipped.get(name, on=THEN).name == "NIFTY50"
        assert name in shipped
    assert shipped.get("NIFTY BANK", on=date(2025, 5, 1)).name == "BANKNIFTY"
    assert shipped.categories()["sectors"] == ["NIFTYIT"]
    with pytest.raises(KeyError, match=r"tickloom watchlists update ind_niftyautolist\.csv"):
        shipped.get("AUTO")
    with pytest.raises(KeyError, match="no such watchlist, there are BANKNIFTY"):
        shipped.get("SP500")


def test_a_list_older_than_the_last_change_of_the_indices_says_so() -> None:
    days = (date(2026, 3, 31), date(2026, 4, 1), date(2026, 10, 1))
    assert [lists.last_change(day) for day in days] == [date(2025, 9, 30), date(2026, 3, 31), date(2026, 9, 30)]
    # 2024-03-31 is a Sunday: the last weekday of the month counts.
    assert lists.last_change(date(2024, 4, 2)) == date(2024, 3, 29)
    Watchlists().get("NIFTY50", on=date(2026, 9, 30))
    with pytest.warns(StaleWatchlist, match=r"as of 2026-06-21.*after 2026-09-30.*: NIFTY50"):
        Watchlists().get("NIFTY50", on=date(2026, 10, 1))


def test_members_that_todays_instruments_lack_are_named_loudly() -> None:
    known = instruments("INFY", "TCS", "WIPRO")
    with pytest.warns(UnresolvedSymbols, match=r"7 of 10 members .*NIFTYIT: NSE:COFORGE, NSE:HCLTECH"):
        found = Watchlists().resolve("NIFTYIT", known, on=date(2025, 4, 3))
    assert found.symbols == ["NSE:INFY", "NSE:TCS", "NSE:WIPRO"]
    assert len(found.missing) == 7


def test_lists_merge_without_doubles(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine: [NSE:INFY, ABC]\nother:\n  - ABC\n  - M&M\n")
    found = Watchlists(file)
    assert found.merge("mine", "other") == ["NSE:INFY", "ABC", "M&M"]
    assert found.categories()["mine"] == ["mine", "other"]
    assert found.get("mine").as_of is None


@pytest.mark.parametrize(
    "text, words",
    [
        ("- a\n- b\n", r"has a list of symbols a name.*line 1"),
        ("mine:\n  - A\n  - [B]\n", r"has a list of symbols a name.*line 3"),
        ("a: [X]\nmine: TCS\n", r"a watchlist is a list of symbols, mine.*line 2"),
        ("a: [X]\na: [Y]\n", r"a name stands twice, a.*line 2"),
        ("a: [X\nb: ]]\n", r"no YAML .*line 2"),
        ("a: !!python/object/apply:os.system [x]\nb: [Y, {c: d}]\n", r"has a list of symbols a name.*line 2"),
    ],
)
def test_a_bad_file_of_lists_is_one_error_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadDump, match=words) as raised:
        Watchlists(file)
    assert str(file) in str(raised.value)


def test_a_feed_subscribes_a_list_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine: [INFY, GONE]\n")
    known = instruments("INFY", "TCS", "WIPRO")
    source = tl.sources.Kite("key", "token", market_open=False)
    feed = tl.Feed(source, ["1m"], symbols=known, watchlists=Watchlists(file))
    with pytest.warns(UnresolvedSymbols, match=r"1 of 2 members .*mine: NSE:GONE"):
        feed.subscribe(["mine", "TCS"])
    assert set(feed.subscriptions()) == {known["INFY"], known["TCS"]}
    assert feed.candles("NSE:INFY", "1m").symbol == "NSE:INFY"
    with pytest.raises(tl.UnknownInstrument):
        feed.subscribe("nobody")


def test_a_feed_knows_the_shipped_lists_without_being_told() -> None:
    symbols = [member.symbol for member in Watchlists().get("NIFTY50", on=THEN).members]
    feed = tl.Feed(tl.sources.Kite("key", "token"), ["1m"], symbols=instruments(*symbols))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleWatchlist)
        feed.subscribe("NIFTY50")
    assert len(feed.subscriptions()) == 50


def test_movers_are_the_extremes_of_the_board() -> None:
    engine = tl.Engine(["1m"])
    for kind, received_ns, payload in Market(seed=3, instruments=40, end="09:25").events():
        if kind == "frame" and payload is not None:
            engine.apply(payload, received_ns)
    board = {int(row["instrument_token"]): row for row in engine.board() if row["prev_close"] > 0}
    change = {token: (row["last_price"] / row["prev_close"] - 1) * 100 for token, row in board.items()}
    volume = {token: int(row["volume_traded"]) for token, row in board.items()}
    up = sorted((token for token in change if change[token] > 0), key=lambda token: (-change[token], token))
    down = sorted((token for token in change if change[token] < 0), key=lambda token: (change[token], token))
    busy = sorted((token for token in volume if volume[token] > 0), key=lambda token: (-volume[token], token))
    assert min(len(up), len(down), len(busy)) >= 3
    for which, expected in (("TOP_GAINERS", up), ("TOP_LOSERS", down), ("MOST_ACTIVE", busy)):
        found = movers(engine, which, 3)
        assert [each.token for each in found] == expected[:3]
        assert found[0].change == pytest.approx(change[found[0].token])
        assert found[0].volume == volume[found[0].token]
    with pytest.raises(ValueError, match="movers are one of TOP_GAINERS"):
        movers(engine, "TOP")
