"""Indicators on the engine's own memory: python examples/indicators.py

A column of candles is a contiguous float64 array, so functions that are written for such arrays, TA-Lib's too, read the
engine's memory as it is. SMA, EMA and RSI are written out here with numpy alone.
"""

import numpy as np

import tickloom as tl
from tickloom.sources import Market


def sma(close, n):
    """The mean of the last n, NaN before there are n."""
    out = np.full(len(close), np.nan)
    if len(close) >= n:
        sums = np.cumsum(close)
        out[n - 1 :] = (sums[n - 1 :] - np.concatenate(([0.0], sums[:-n]))) / n
    return out


def ema(close, n):
    """The exponential mean of span n, begun with the mean of the first n as TA-Lib does; NaN before."""
    out = np.full(len(close), np.nan)
    if len(close) >= n:
        out[n - 1] = close[:n].mean()
        for at in range(n, len(close)):
            out[at] = out[at - 1] + (close[at] - out[at - 1]) * 2 / (n + 1)
    return out


def rsi(close, n=14):
    """Wilder's relative strength index, 0 to 100; NaN for the first n."""
    out = np.full(len(close), np.nan)
    moves = np.diff(close)
    if len(moves) >= n:
        rise, fall = np.maximum(moves, 0), np.maximum(-moves, 0)
        up, down = rise[:n].mean(), fall[:n].mean()
        for at in range(n, len(close)):
            if at > n:
                up, down = (up * (n - 1) + rise[at - 1]) / n, (down * (n - 1) + fall[at - 1]) / n
            out[at] = 50.0 if up == down == 0 else 100 * up / (up + down)
    return out


def main():
    market = Market(seed=3, instruments=5, end="10:15")
    engine = tl.Engine(intervals=["1m"])
    for kind, at_ns, frame in market.events():
        if kind == "frame":
            engine.apply(frame, at_ns)
    candles = engine.candles(market.instruments()[0].token, "1m")

    close = candles.close
    # No copy: the column, the one in columns(), and a slice of it are the same memory.
    assert np.shares_memory(close, candles.columns()["close"])
    assert np.shares_memory(close, candles.close[-20:])
    # What C functions ask for, and a copy would be made without it: contiguous, aligned, native doubles.
    assert np.shares_memory(close, np.ascontiguousarray(close, dtype=np.float64))
    assert close.flags.c_contiguous
    assert close.flags.aligned
    assert close.dtype == np.float64
    # Volumes are whole numbers; a function that wants doubles has to be given a copy of these.
    assert not np.shares_memory(candles.volume, candles.volume.astype(np.float64))

    for name, values in (("SMA 20", sma(close, 20)), ("EMA 9", ema(close, 9)), ("RSI 14", rsi(close))):
        print(f"{name:8}{values[-1]:10.2f} of {len(close)} closes, the last {close[-1]:.2f}")


if __name__ == "__main__":
    main()
