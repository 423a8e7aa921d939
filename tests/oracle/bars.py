"""Oracle, stage engine: clocks, instruments and the sweep (docs/bars.md 1, 2 and 8). Slow and obvious on purpose."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tests.oracle.frames import Packet, read
from tests.oracle.instrument import Instrument, Stamps
from tests.oracle.sessions import MINUTE, SECOND, SEGMENT_CLASS

DEFAULTS = {
    "grace": 2.0, "revise": 5.0, "gap_s": 10.0, "bucket_by": "ltt", "edge_split": "last", "anchor": "leg",
    "tail": "stub", "preopen": "separate", "open_source": "first_trade", "postclose": "day_only",
    "gap_volume": "last", "extremes": "apply", "vwap": "hybrid", "atp_rounding": "round", "close_on": "watermark",
    "volume": "cumulative",
}  # fmt: skip
DIVISOR = {3: 10_000_000, 6: 10_000, 12: 10_000}
YEAR_2000 = 946_684_800 * SECOND


def step(interval: str) -> int:
    """Nanoseconds of 30s, 5m."""
    return int(interval[:-1]) * (SECOND if interval.endswith("s") else MINUTE)


class Oracle:
    """The rules of docs/bars.md over frames, pushes and the clock."""

    def __init__(self, intervals: list[str] | tuple[str, ...] = ("1m",), **options: object) -> None:
        self.intervals = [(name, step(name)) for name in intervals]
        self.options = DEFAULTS | options
        for name in ("grace", "revise", "gap_s"):
            self.options[name] = round(self.options[name] * SECOND)
        self.options["revise"] = max(self.options["revise"], self.options["grace"])
        self.options["w"] = 1 if self.options["atp_rounding"] == "round" else 2
        self.instruments: dict[int, Instrument] = {}
        self.watermark: int | None = None
        self.timer: int | None = None
        self.skew: int | None = None
        self.delay = 900_000_000
        self.had_stamp = False
        self.bad_stamps = 0
        self.events: list[tuple] = []

    @property
    def clock(self) -> int | None:
        """T of docs/bars.md 2."""
        return max((at for at in (self.watermark, self.timer) if at is not None), default=None)

    # What happens

    def track(
        self, token: int, session: str | None = None, *, divisor: int | None = None, tick: int | None = None,
        baseline_volume: int | None = None,
    ) -> Instrument:  # fmt: skip
        """Names the class of an instrument; an unseen token has its segment's. `tick` is in price units."""
        if token not in self.instruments:
            segment = token & 0xFF
            divisor = divisor or DIVISOR.get(segment, 100)
            numerator, denominator = (1, 400) if segment in {3, 6} else (1, 20)
            tick = tick or max(1, -(-divisor * numerator // denominator))
            kind = session or SEGMENT_CLASS.get(segment, "cash")
            self.instruments[token] = Instrument(
                token, kind, divisor=divisor, tick=tick, intervals=self.intervals, options=self.options
            )
        if baseline_volume is not None:
            self.instruments[token].given_baseline = baseline_volume
        return self.instruments[token]

    def apply(self, frame: bytes | list[Packet], received_ns: int = 0) -> None:
        """One frame, or packets already read."""
        for packet in read(frame) if isinstance(frame, bytes) else frame:
            self._feed(packet, received_ns)

    def push(
        self, token: int, price: float, *, time_ns: int | None, quantity: int | None = None,
        cumulative_volume: int | None = None, oi: int | None = None, received_ns: int | None = None,
    ) -> None:  # fmt: skip
        """A tick from elsewhere: live if it says when it was received, else history with a clock of its own."""
        time_ns = time_ns or 0
        instrument = self.track(token, divisor=10_000_000)
        units = round(price * instrument.divisor)
        volume = 0 if quantity is not None else cumulative_volume
        packet = Packet(token, units, volume, ltt=time_ns, ets=time_ns, oi=oi, quantity=quantity, given=True)
        if received_ns is not None:
            self._feed(packet, received_ns)
            return
        time_ns = self._valid(time_ns, 0)
        changes: list = []
        at = Stamps(time_ns, time_ns, 0, None, self._clock_of(instrument), None)
        instrument.take(replace(packet, ltt=time_ns, ets=time_ns), at, changes)
        if time_ns:
            instrument.own_clock = max(time_ns, instrument.own_clock or 0)
        if (clock := self._clock_of(instrument)) is not None:
            instrument.sweep(clock, changes)
        self.events += [(token, *change) for change in changes]

    def advance(self, now_ns: int) -> int:
        """The clock of the receiver; returns how many bars it sealed."""
        now = now_ns - (self.skew or 0)
        self.timer = now if self.timer is None else max(self.timer, now)
        before = len(self.events)
        self._sweep(self.instruments)
        return len(self.events) - before

    def disconnected(self, at_ns: int) -> None:
        """R13: every instrument may miss volume from now on."""
        for instrument in self.instruments.values():
            instrument.disconnected(at_ns)

    def connected(self, at_ns: int) -> None:
        """Nothing happens until the next packets."""

    # What can be read

    def rows(self, token: int, interval: str) -> list[dict]:
        """The sealed bars, oldest first."""
        for base in self.track(token).bases:
            for series in [base.own, *[series for series, _ in base.folds]]:
                if series is not None and series.name == interval:
                    return series.rows
        raise KeyError(interval)

    def unsealed(self, token: int, interval: str) -> list[dict]:
        """The bars that are not sealed, oldest first."""
        instrument = self.track(token)
        for base in instrument.bases:
            if interval in [series.name for series in [base.own, *[s for s, _ in base.folds]] if series is not None]:
                return base.unsealed(interval, instrument.divisor)
        raise KeyError(interval)

    def forming(self, token: int, interval: str) -> dict | None:
        """The newest bar that is not sealed."""
        return (self.unsealed(token, interval) or [None])[-1]

    def account(self, token: int) -> dict[str, int]:
        """R11."""
        return self.track(token).account()

    def auctions(self, token: int) -> dict[str, dict | None]:
        """R8, R9: prices as floats."""
        instrument = self.track(token)
        return {
            which: found and found | {"price": float(found["price"]) / float(instrument.divisor)}
            for which, found in instrument.auction.items()
        }

    @property
    def stats(self) -> dict[str, int]:
        """Counters of all instruments."""
        total: Counter[str] = Counter(bad_stamps=self.bad_stamps)
        for instrument in self.instruments.values():
            total.update(instrument.stats)
        return dict(total)

    # One packet (docs/bars.md 2)

    def _clock_of(self, instrument: Instrument) -> int | None:
        """The clock that a packet of an instrument is judged by: history's own, until a live one comes."""
        clocks = (instrument.own_clock, self.clock if instrument.live else None)
        return max((at for at in clocks if at is not None), default=None)

    def _feed(self, packet: Packet, rx: int) -> None:
        instrument = self.track(packet.token)
        ets = self._valid(packet.ets, rx)
        # A pushed tick has one stamp, which stands for both.
        packet = replace(packet, ltt=ets if packet.given else self._valid(packet.ltt, rx), ets=ets)
        if rx and packet.ets and abs(rx - packet.ets) <= 60 * SECOND:
            lag = rx - packet.ets
            self.skew = lag if self.skew is None else min(self.skew, lag)
            self.delay += 1_000_000 * ((lag > self.delay) - (lag < self.delay))
        estimate = rx - self.delay if rx else None
        clock = self.clock
        if not packet.board_only:
            changes: list = []
            instrument.live = True
            at = Stamps(packet.ltt, packet.ets, rx, estimate, self._clock_of(instrument), self.watermark)
            instrument.take(packet, at, changes)
            self.events += [(packet.token, *change) for change in changes]
        if packet.ets:
            self.had_stamp = True
            self.watermark = max(packet.ets, self.watermark or 0)
        elif not self.had_stamp and estimate is not None:
            self.watermark = max(estimate, self.watermark or 0)
        # History may have opened bars that the clock had passed already.
        passed = self.clock != clock or any(other.own_clock is not None for other in self.instruments.values())
        self._sweep(self.instruments if passed else [packet.token])

    def _valid(self, stamp: int, rx: int) -> int:
        if stamp == 0:
            return 0
        if stamp < YEAR_2000 or (rx and stamp > rx + 60 * SECOND):
            self.bad_stamps += 1
            return 0
        return stamp

    def _sweep(self, tokens: object) -> None:
        """R25: only what the clock reached; the order is that of the instruments."""
        if self.clock is None:
            return
        for token in tokens:
            changes: list = []
            self.instruments[token].sweep(self.clock, changes)
            self.events += [(token, *change) for change in changes]
