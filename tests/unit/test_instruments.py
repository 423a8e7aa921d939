"""Instruments: names to tokens and back, search, filters, chains, what hours an instrument has, the day's cache."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

import tickloom as tl
from benches.dump import MONTHS, ON, ROWS, rows
from tickloom import BadDump, UnknownInstrument
from tickloom.instruments import Instruments, dump
from tickloom.model import IST

INFY = 408065


@pytest.fixture(scope="module")
def made() -> Instruments:
    return Instruments.from_rows(rows(), on=ON)


def small(count: int = 400) -> bytes:
    return dump.to_csv(rows(count))


def test_a_name_gives_its_token_and_a_token_its_name(made: Instruments) -> None:
    assert len(made) == ROWS
    assert made["NSE:INFY"] == made["INFY"] == made["infy"] == made.token("NSE:INFY") == INFY
    assert made.symbol(INFY) == "NSE:INFY"
    assert made["BSE:INFY"] != INFY
    assert made["NSE:NIFTY 50"] == 256265
    # Only one exchange has it.
    assert made["NIFTY26NOVFUT"] == made["NFO:NIFTY26NOVFUT"]
    assert {made[name] for name in made} == {row["instrument_token"] for row in rows()}
    infy = made.find(INFY)
    assert (infy.full_symbol, infy.name, infy.tick_size, infy.lot_size, infy.kind) == (
        "NSE:INFY",
        "INFOSYS",
        0.1,
        1,
        "EQ",
    )
    assert made.tick_size("NSE:INFY") == 0.1
    assert made.lot_size("NFO:INFY26NOVFUT") == 75


def test_the_key_outlives_the_token_and_holds_for_one_expiry_only(made: Instruments) -> None:
    future = made.find("NFO:NIFTY26DECFUT")
    assert future.key == "NFO:NIFTY26DECFUT@2026-12-29"
    assert made[future.key] == future.token
    assert "NFO:NIFTY26DECFUT@2016-12-29" not in made
    assert made.find("INFY").key == "NSE:INFY"


@pytest.mark.parametrize(
    "name, words",
    [
        ("NSE:INFYY", "did you mean NSE:INFY"),
        ("RELIANSE", "did you mean NSE:RELIANCE"),
        ("NFO:NIFTY26DCFUT", "did you mean NFO:NIFTY26DECFUT"),
        ("NYSE:IBM", "no such exchange, there are NSE, BSE"),
        ("", "no such symbol"),
    ],
)
def test_an_unknown_name_is_an_error_with_near_ones(made: Instruments, name: str, words: str) -> None:
    with pytest.raises(UnknownInstrument, match=words):
        made[name]
    assert name not in made
    assert made.get(name) is None


def test_another_expiry_than_the_one_asked_for_is_told(made: Instruments) -> None:
    with pytest.raises(UnknownInstrument, match="there is NFO:INFY26NOVFUT@2026-11-24: NFO:INFY26NOVFUT@2025-11-25"):
        made["NFO:INFY26NOVFUT@2025-11-25"]
    with pytest.raises(UnknownInstrument, match="there is NSE:INFY: INFY@2026-11-24"):
        made["INFY@2026-11-24"]


def test_it_says_how_many_it_has_and_of_which_day() -> None:
    assert repr(Instruments.from_rows(rows(50), on=ON)) == "<Instruments: 50 of 2026-11-20>"


def test_an_unknown_token_is_an_error(made: Instruments) -> None:
    with pytest.raises(UnknownInstrument, match="no such token in the dump: 7"):
        made.symbol(7)


def test_search_finds_by_symbol_by_name_and_by_likeness(made: Instruments) -> None:
    def found(text: str, **options: object) -> list[str]:
        return [each.full_symbol for each in made.search(text, limit=3, **options)]

    assert found("infy")[:2] == ["NSE:INFY", "BSE:INFY"]
    assert found("relia")[0] == "NSE:RELIANCE"
    assert found("mahindra")[0] == "NSE:M&M"
    assert found("consultancy", exchange="BSE") == ["BSE:TCS"]
    assert found("INFFY")[0] == "NSE:INFY"
    assert found("infosis")[0] == "NSE:INFY"
    assert found("  ") == []
    assert made.search("infy", limit=-1) == made.search("infy", limit=0) == []


def test_search_takes_several_words_and_an_exchange(made: Instruments) -> None:
    def found(text: str, **options: object) -> list[str]:
        return [each.full_symbol for each in made.search(text, limit=3, **options)]

    assert found("BSE:infy")[0] == "BSE:INFY"
    assert found("nfo:nifty 20050 ce") == ["NFO:NIFTY26DEC20050CE", "NFO:NIFTY26NOV20050CE", "NFO:NIFTY27JAN20050CE"]
    assert found("20050 nifty pe 26dec")[0] == "NFO:NIFTY26DEC20050PE"
    assert found("tata consultancy")[0] == "NSE:TCS"
    assert found("consultancy tata")[0] == "NSE:TCS"
    assert found("INFY", exchange="bse")[0] == "BSE:INFY"
    assert found("NYSE:IBM") == []


def test_filters_narrow_each_other(made: Instruments) -> None:
    some = made.filter(exchange="NFO", name="NIFTY", kind="CE", expiry=MONTHS[0], strike=(20_000, 20_100))
    assert [each.strike for each in some] == [20_000, 20_050, 20_100]
    assert {each.expiry for each in some} == {MONTHS[0]}
    assert len(made.filter(segment="INDICES")) == 2
    assert len(made.filter(name="NIFTY", kind="FUT", expiry=(MONTHS[0], MONTHS[1]))) == 2
    assert made.filter(exchange="NYSE") == []


def test_a_chain_has_both_sides_of_every_strike(made: Instruments) -> None:
    assert made.expiries("NIFTY", kind="FUT") == MONTHS
    chain = made.option_chain("NIFTY")
    assert [row.strike for row in chain] == [20_000 + 50 * n for n in range(70)]
    assert all(row.call and row.put and row.call.expiry == MONTHS[0] == row.put.expiry for row in chain)
    assert made.option_chain("NIFTY", MONTHS[1])[0].put == made.find("NFO:NIFTY26DEC20000PE")
    with pytest.raises(UnknownInstrument, match=r"look at expiries\(\): NFO:GOLD"):
        made.option_chain("GOLD")


@pytest.mark.parametrize("name", ["NIFTY", "nifty", "NSE:NIFTY 50", "NIFTY 50", "NFO:NIFTY"])
def test_an_underlying_has_more_names_than_one(made: Instruments, name: str) -> None:
    assert made.expiries(name) == made.expiries("NIFTY") != []
    assert made.option_chain(name) == made.option_chain("NIFTY")


def test_an_underlying_without_options_is_an_error_with_near_ones(made: Instruments) -> None:
    assert made.option_chain("nse:infy") == made.option_chain("INFY")
    assert made.expiries("nobody") == []
    with pytest.raises(UnknownInstrument, match=r"no options to come, did you mean NIFTY.*: NFO:NIFTI"):
        made.option_chain("NIFTI")
    assert made.filter(name="infy", kind="fut", exchange="nfo") == made.filter(name="INFY", kind="FUT", exchange="NFO")


@pytest.mark.parametrize(
    "name, expected",
    [
        ("NSE:INFY", "cash_cas"), ("BSE:INFY", "cash_cas"), ("NSE:NIFTY 50", "index"),
        ("NFO:NIFTY26NOVFUT", "futures_near"), ("NFO:NIFTY26DECFUT", "futures_near"),
        ("NFO:NIFTY27JANFUT", "derivatives"), ("NFO:NIFTY26NOV20000CE", "derivatives"),
        ("CDS:USDINR26NOVFUT", "currency"), ("MCX:GOLD26NOVFUT", "commodity"),
        ("MCX:MENTHAOIL26NOVFUT", "commodity_agri"), ("MCX:COTTONCNDY26NOVFUT", "commodity_cotton"),
    ],
)  # fmt: skip
def test_r5_the_hours_of_an_instrument_follow_from_the_dump(made: Instruments, name: str, expected: str) -> None:
    assert made.session_class(name) == expected


def test_r5_the_next_month_has_a_preopen_in_the_last_five_trading_days_only() -> None:
    # 2026-11-24 is a holiday: before it the 20th is the second last trading day, the 16th the sixth.
    for on, expected in ((date(2026, 11, 18), "futures_near"), (date(2026, 11, 10), "derivatives")):
        made = Instruments.from_rows(rows(6_000), on=on)
        assert made.session_class("NFO:NIFTY26DECFUT") == expected
        assert made.session_class("NFO:NIFTY26NOVFUT") == "futures_near"


def test_a_stock_without_derivatives_has_no_closing_auction(made: Instruments) -> None:
    without = {each.symbol for each in made.filter(exchange="NSE", kind="EQ")} - {
        each.name for each in made.filter(exchange="NFO", kind="FUT")
    }
    assert {made.session_class(f"NSE:{symbol}") for symbol in without - {"NIFTY 50", "NIFTY BANK"}} == {"cash"}


def test_export_and_import_keep_every_cell(made: Instruments, tmp_path: Path) -> None:
    made.to_csv(tmp_path / "out.csv")
    again = Instruments.load(tmp_path / "out.csv", on=ON)
    assert list(again.rows()) == list(made.rows())
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_today_is_fetched_once_a_day_and_an_older_one_serves_if_that_fails(tmp_path: Path) -> None:
    calls: list[int] = []

    def fetch() -> list[dict[str, object]]:
        calls.append(1)
        return list(rows(400))

    def refuse() -> list[dict[str, object]]:
        raise ConnectionError("no network")

    first = Instruments.today(fetch, folder=tmp_path, on=ON)
    again = Instruments.today(refuse, folder=tmp_path, on=ON)
    assert (len(calls), first["INFY"], again["INFY"], again.stale) == (1, INFY, INFY, False)
    for bad, words in (
        (refuse, "no network"),
        (lambda: [{"a": 1}], "a row without"),
        (lambda: rows(10), "10 rows where"),
    ):
        with pytest.warns(UserWarning, match=f"instruments of 2026-11-20 serve on, because .*{words}"):
            stale = Instruments.today(bad, folder=tmp_path, on=ON + timedelta(days=1))
        assert (stale["INFY"], stale.stale, stale.on) == (INFY, True, ON)
    with pytest.raises(ConnectionError):
        Instruments.today(refuse, folder=tmp_path / "empty", on=ON)


def test_the_words_of_a_fetch_that_failed_tell_no_secret(tmp_path: Path) -> None:
    def refuse() -> list[dict[str, object]]:
        raise ConnectionError(
            "403 for /instruments?api_key=abcdefgh&access_token=ijklmnop, authorization: token abc:def"
        )

    Instruments.today(lambda: rows(400), folder=tmp_path, on=ON)
    with pytest.warns(UserWarning, match=r"because 403 for /instruments\?api_key=\*\*\*&access_token=\*\*\*") as caught:
        Instruments.today(refuse, folder=tmp_path, on=ON + timedelta(days=1))
    assert "def" not in str(caught[0].message)


def test_a_cache_that_cannot_be_written_or_read_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.warns(UserWarning, match="the instruments are not kept, every start fetches them: .*file"):
        made = Instruments.today(lambda: rows(400), folder=tmp_path / "file", on=ON)
    assert (made["INFY"], made.stale) == (INFY, False)
    (tmp_path / "instruments-2026-11-20.csv").mkdir()
    with pytest.warns(UserWarning, match=r"the instruments are not kept, .*instruments-2026-11-20\.csv"):
        made = Instruments.today(lambda: rows(400), folder=tmp_path, on=ON)
    assert (made["INFY"], made.stale) == (INFY, False)


def test_dates_with_a_time_are_dates(tmp_path: Path) -> None:
    (row,) = rows(1)
    future = row | {"expiry": datetime(2026, 12, 29, tzinfo=IST), "instrument_type": "FUT"}
    assert Instruments.from_rows([future], on=ON).find(row["tradingsymbol"]).expiry == date(2026, 12, 29)


def test_a_damaged_file_of_the_day_is_fetched_again_and_old_ones_go(tmp_path: Path) -> None:
    for n in range(10):
        Instruments.today(lambda: rows(50), folder=tmp_path, on=ON + timedelta(days=n))
    assert len(list(tmp_path.iterdir())) == 7
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:60])
    assert len(Instruments.today(lambda: rows(50), folder=tmp_path, on=ON + timedelta(days=9))) == 50


def test_a_feed_takes_tick_size_and_hours_from_the_instruments(made: Instruments) -> None:
    source = tl.sources.Kite("key", "token", market_open=False)
    feed = tl.Feed(source, ["1m"], symbols=made)
    feed.subscribe(["NSE:INFY", "NIFTY26NOVFUT", 256265])
    assert sorted(feed.subscriptions()) == sorted([INFY, made["NFO:NIFTY26NOVFUT"], 256265])
    assert source.session_classes == {INFY: "cash_cas", made["NFO:NIFTY26NOVFUT"]: "futures_near", 256265: "index"}
    # A brick below the tick is refused, which shows that the engine took it.
    with pytest.raises(ValueError, match=r"tick of 0\.1"):
        tl.Feed(source, ["renko:0.05"], symbols=made).subscribe("NSE:INFY")
    with pytest.raises(UnknownInstrument, match="did you mean NSE:INFY"):
        feed.subscribe("NSE:INFYY")
    feed.subscribe("NSE:INFY", "quote")
    assert feed.candles("NSE:INFY", "1m").symbol == "NSE:INFY"
    # 15:20 of a stock with a closing auction makes no bar, 15:10 does.
    at = tl.to_ns(datetime(2026, 11, 20, 15, 20, tzinfo=IST))
    feed.engine.push(INFY, 1500.0, time_ns=at - 600 * 10**9, quantity=5)
    feed.engine.push(INFY, 1500.0, time_ns=at, quantity=5)
    assert feed.engine.account(INFY)["bars"] == 5


def test_loading_warns_of_what_it_left_out(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes(small() + b"1,2,=cmd(),x,0,,0,0.05,1,EQ,NSE,NSE\n")
    with pytest.warns(
        UserWarning, match=r"1 rows left out, the first by a tradingsymbol like a formula: .*some.csv, line 402"
    ):
        made = Instruments.load(path)
    assert (len(made), made.rejected[0].line) == (400, 402)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path.write_bytes(small())
        assert Instruments.load(path).rejected == ()


def test_a_dump_that_is_none_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(BadDump, match=r"columns are missing \(instrument_token, .*line 1"):
        dump.parse(b"<html>busy</html>", "x")
