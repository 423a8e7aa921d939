"""Watchlists: the shipped ones through time, resolving, your own in YAML, movers, and a feed that takes their names."""

from __future__ import annotations

import json
import warnings
from datetime import date
from pathlib import Path

import pytest

import tickloom as tl
from benches.dump import ON, rows
from tickloom import BadDump, Instruments
from tickloom.sources.simulator import Market
from tickloom.watchlists import StaleWatchlist, UnresolvedSymbols, Watchlists, dated, movers, update

THEN = date(2026, 7, 1)


def instruments(*symbols: str) -> Instruments:
    shares = list(rows(200))[10:]
    some = [{**row, "tradingsymbol": symbol} for row, symbol in zip(shares, symbols, strict=False)]
    return Instruments.from_rows(some, on=ON)


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped lists, whatever somebody updated on this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


SHIPPED = sorted(dated.INDEX_FILES)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_index_has_at_all_times_its_number_of_members_with_good_isins(repository: Path, name: str) -> None:
    versions = dated.read(repository / f"python/tickloom/watchlists/data/{name}.json")
    category, file, counts = dated.INDEX_FILES[name]
    assert len(versions[-1].members) == max(counts)
    for found in versions:
        assert (found.category, len(found.members) in counts, file in found.source) == (category, True, True)
        assert len({member.symbol for member in found.members}) == len(found.members)
        isins = [member.isin for member in found.members if member.isin]
        assert all(update.is_isin(isin) for isin in isins)
        assert len(set(isins)) == len(isins) >= len(found.members) - 1
        assert found.effective_from is not None
        assert found.as_of is not None
        assert found.effective_from <= found.as_of
    assert all(member.isin for member in versions[-1].members)


def test_all_that_can_be_named_is_shipped() -> None:
    shipped = Watchlists()
    assert sorted(shipped.categories()["indices"] + shipped.categories()["sectors"]) == SHIPPED
    assert shipped.names()[-1] == "POPULAR"


@pytest.mark.parametrize(
    "name, before, day, came, went",
    [
        ("NIFTY50", "2026-09-29", "2026-09-30", {"BSE"}, {"WIPRO"}),
        ("NIFTY50", "2025-09-29", "2025-09-30", {"INDIGO", "MAXHEALTH"}, {"HEROMOTOCO", "INDUSINDBK"}),
        ("NIFTY50", "2025-03-27", "2025-03-28", {"JIOFIN", "ETERNAL"}, {"BPCL", "BRITANNIA"}),
        ("NIFTY50", "2024-09-29", "2024-09-30", {"BEL", "TRENT"}, {"DIVISLAB", "LTM"}),
        ("NIFTY50", "2024-03-27", "2024-03-28", {"SHRIRAMFIN"}, {"UPL"}),
        ("BANKNIFTY", "2025-12-30", "2025-12-31", {"UNIONBANK", "YESBANK"}, set()),
        ("REALTY", "2026-03-29", "2026-03-30", {"ABREL"}, {"SIGNATURE"}),
    ],
)
def test_a_list_is_told_as_it_was_on_a_day(name: str, before: str, day: str, came: set[str], went: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", StaleWatchlist)
        old, new = (
            {member.symbol for member in Watchlists().get(name, on=date.fromisoformat(on)).members}
            for on in (before, day)
        )
    assert (new - old, old - new) == (came, went)


def test_before_the_oldest_that_is_known_it_says_so() -> None:
    with pytest.warns(StaleWatchlist, match="known from 2023-07-13 on, not for 2020-01-01: NIFTY50"):
        found = Watchlists().get("NIFTY50", on=date(2020, 1, 1))
    assert (found.effective_from, found.as_of) == (date(2023, 7, 13), date(2024, 3, 27))


def list_in(folder: Path, name: str, as_of: str, symbols: str, **more: object) -> Path:
    folder.mkdir(exist_ok=True)
    members = [{"symbol": symbol, "isin": ""} for symbol in symbols.split()]
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"name": name, "as_of": as_of, "source": "a test", "members": members, **more}))
    return path


def test_a_list_of_the_folder_wins_from_its_day_on(tmp_path: Path) -> None:
    list_in(tmp_path, "NIFTY50", "2026-10-20", "A B")
    found = Watchlists(folder=tmp_path)
    assert [member.symbol for member in found.get("NIFTY50", on=date(2026, 10, 20)).members] == ["A", "B"]
    assert len(found.get("NIFTY50", on=date(2026, 10, 19)).members) == 50
    # An older one than the shipped is its past, and does not hide what is newer.
    list_in(tmp_path, "NIFTY50", "2026-07-01", "C")
    found = Watchlists(folder=tmp_path)
    assert len(found.get("NIFTY50", on=date(2026, 10, 20)).members) == 50
    assert [member.symbol for member in found.get("NIFTY50", on=date(2026, 7, 2)).members] == ["C"]


def change(day: str, came: str, went: str) -> dict[str, object]:
    return {
        "effective_from": day,
        "source": "seen",
        "in": [{"symbol": symbol, "isin": ""} for symbol in came.split()],
        "out": [{"symbol": symbol, "isin": ""} for symbol in went.split()],
    }


@pytest.mark.parametrize(
    "more, words",
    [
        ({"changes": [change("2026-08-01", "A", "")]}, "a change of 2026-08-01 in a list of 2026-10-20 to 2026-10-20"),
        ({"since": "2026-01-01", "changes": [change("2026-12-01", "A", "")]}, "a change of 2026-12-01"),
        ({"since": "2026-01-01", "changes": [change("2026-08-01", "Z", "")]}, "does not fit the members after it"),
        ({"since": "2026-01-01", "changes": [change("2026-08-01", "A", "B")]}, "does not fit the members after it"),
        (
            {"since": "2026-01-01", "changes": [change("2026-08-01", "A", "") | {"known_to": "2026-08-01"}]},
            "a change of",
        ),
        ({"since": "soon"}, "Invalid isoformat string"),
        ({"changes": [{}]}, "effective_from"),
    ],
)
def test_a_past_that_does_not_fit_is_refused(tmp_path: Path, more: dict[str, object], words: str) -> None:
    path = list_in(tmp_path, "NIFTY50", "2026-10-20", "A B", **more)
    with pytest.raises(BadDump, match=words) as raised:
        Watchlists(folder=tmp_path)
    assert str(path) in str(raised.value)


def test_names_are_found_however_they_are_written() -> None:
    shipped = Watchlists()
    for name in ("NIFTY50", "nifty 50", "Nifty_50", "NIFTY"):
        assert shipped.get(name, on=THEN).name == "NIFTY50"
        assert name in shipped
    for name in ("NIFTY BANK", "bank", "BANK_NIFTY"):
        assert shipped.get(name, on=date(2025, 5, 1)).name == "BANKNIFTY"
    assert shipped.get("pharma", on=date(2026, 8, 27)).name == "NIFTYPHARMA"
    with pytest.raises(KeyError, match="no such watchlist, there are BANKNIFTY"):
        shipped.get("SP500")
    with pytest.raises(KeyError, match=r"movers are of the moment, ask feed\.movers\(\)"):
        shipped.get("TOP GAINERS")


def test_your_own_are_found_however_they_are_written_and_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("My Picks: [A]\nnifty-50: [B]\npopular: [C]\n")
    found = Watchlists(file)
    assert [found.get(name).name for name in ("my_picks", "NIFTY 50", "POPULAR")] == ["My Picks", "nifty-50", "popular"]
    assert "NIFTY50" not in found.names()
    assert "POPULAR" not in found.names()
    assert {"MYPICKS", "nifty50", "Popular"} <= {name for name in ("MYPICKS", "nifty50", "Popular") if name in found}


def test_popular_are_the_members_of_two_indices_that_have_derivatives() -> None:
    on = date(2026, 3, 30)
    shipped = Watchlists()
    found = shipped.get("POPULAR", on=on)
    assert [member.symbol for member in found.members] == shipped.merge("NIFTY50", "BANKNIFTY", on=on)
    assert (found.category, found.as_of) == ("popular", on)
    with pytest.warns(
        StaleWatchlist, match="as of 2026-03-30, the indices changed on 2026-09-30.*: BANKNIFTY: POPULAR"
    ):
        shipped.get("POPULAR", on=date(2026, 10, 1))
    future = {**next(iter(rows(200))), "instrument_type": "FUT", "segment": "NFO-FUT", "exchange": "NFO"}
    future |= {
        "instrument_token": 12345602,
        "tradingsymbol": "INFY26DECFUT",
        "name": "INFY",
        "expiry": date(2026, 12, 29),
    }
    shares = [{**row, "tradingsymbol": each} for row, each in zip(list(rows(200))[10:], ("INFY", "TCS"), strict=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with_futures = shipped.resolve("POPULAR", Instruments.from_rows([*shares, future], on=ON), on=on)
        without = shipped.resolve("POPULAR", Instruments.from_rows(shares, on=ON), on=on)
    assert with_futures.symbols == ["NSE:INFY"]
    assert without.symbols == ["NSE:INFY", "NSE:TCS"]


def test_a_list_older_than_the_last_change_of_the_indices_says_so() -> None:
    days = (date(2026, 3, 29), date(2026, 3, 30), date(2026, 9, 29), date(2026, 9, 30))
    # The new members are those of the last trading day: 2026-03-31 is a holiday, 2024-03-29 too, 2024-03-31 a Sunday.
    changed = [date(2025, 9, 30), date(2026, 3, 30), date(2026, 3, 30), date(2026, 9, 30)]
    assert [dated.last_change(day) for day in days] == changed
    assert dated.last_change(date(2024, 4, 2)) == date(2024, 3, 28)
    Watchlists().get("AUTO", on=date(2026, 9, 29))
    with pytest.warns(StaleWatchlist, match=r"as of 2026-08-27.*changed on 2026-09-30.*: NIFTYAUTO"):
        Watchlists().get("AUTO", on=date(2026, 9, 30))


def test_members_that_todays_instruments_lack_are_named_loudly() -> None:
    known = instruments("INFY", "TCS", "WIPRO")
    with pytest.warns(UnresolvedSymbols, match=r"7 of 10 members .*NIFTYIT: NSE:COFORGE, NSE:HCLTECH"):
        found = Watchlists().resolve("NIFTYIT", known, on=date(2025, 4, 3))
    assert found.symbols == ["NSE:INFY", "NSE:TCS", "NSE:WIPRO"]
    assert len(found.missing) == 7


def test_the_names_of_a_list_are_those_of_the_dump(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine: [infy, nse:tcs]\n")
    assert Watchlists(file).resolve("mine", instruments("INFY", "TCS")).symbols == ["NSE:INFY", "NSE:TCS"]
    assert Watchlists(file).resolve("mine", {"infy": 1, "NSE:TCS": 2, "nse:tcs": 3}).symbols == ["infy", "nse:tcs"]


def test_an_unknown_member_of_your_own_is_named_with_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine:\n  - INFY\n  - GONE\n\n  - BSE:LOST\nother: [NOBODY]\n")
    known = instruments("INFY")
    with pytest.warns(UnresolvedSymbols) as caught:
        Watchlists(file).resolve("mine", known)
    (warning,) = caught
    assert str(warning.message) == (
        "2 of 3 members are not among the instruments of today, mine: NSE:GONE (line 3), BSE:LOST (line 5): "
        f"{file}, line 3"
    )
    with pytest.raises(
        tl.UnknownInstrument, match=r"all 1 members are not among .*, other: NSE:NOBODY \(line 6\): .*yaml"
    ):
        Watchlists(file).resolve("other", known)


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
        ("a: [X]\n---\nb: [Y]\n", r"no YAML .*line 2"),
        ("a: [X]\nb:\n  - Y\n  - \x07\n", r"no YAML .*line 4"),
        ("a: &a [*a]\n", r"has a list of symbols a name.*line 1"),
        ("[a, b]: [X]\n", r"has a list of symbols a name.*line 1"),
        ("a: [X]\n a : [Y]\n", r"no YAML .*line 2"),
        ("a: [X]\n'a ': [Y]\n", r"a name stands twice, a.*line 2"),
        ("a:\n", r"has a list of symbols a name.*line 1"),
        ("a: " + "[" * 9000, r"no YAML \(nested too deep\).*line 1"),
    ],
)
def test_a_bad_file_of_lists_is_one_error_with_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(BadDump, match=words) as raised:
        Watchlists(file)
    assert str(file) in str(raised.value)


def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"a: [X]\nb: [\xff]\n")
    with pytest.raises(BadDump, match=r"no YAML .*line 2"):
        Watchlists(file)


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


def test_a_feed_resolves_a_list_by_what_its_source_knows(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine: [INFY, TCS]\n")
    source = tl.sources.Kite("key", "token", market_open=False, symbols={"NSE:INFY": 408065, "TCS": 2953217})
    feed = tl.Feed(source, ["1m"], watchlists=Watchlists(file))
    feed.subscribe("mine")
    assert set(feed.subscriptions()) == {408065, 2953217}
    bare = tl.Feed(tl.sources.Kite("key", "token", market_open=False), ["1m"])
    with pytest.raises(tl.UnknownInstrument, match=r"a watchlist needs the instruments of today, .*: NIFTY50"):
        bare.subscribe("NIFTY50")


@pytest.mark.filterwarnings("ignore::tickloom.watchlists.StaleWatchlist")
def test_a_feed_knows_the_shipped_lists_without_being_told() -> None:
    symbols = [member.symbol for member in Watchlists().get("NIFTY50").members]
    feed = tl.Feed(tl.sources.Kite("key", "token"), ["1m"], symbols=instruments(*symbols))
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
