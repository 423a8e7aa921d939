"""What can be set about a connection, with defaults that hold for Kite (stage ticker, pure)."""

from __future__ import annotations

from dataclasses import dataclass, field

from tickloom.ticker.backoff import Backoff

__all__ = ["Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are in seconds. Raises ValueError for values that cannot work together."""

    ping_interval: float = 2.5
    """A ping is sent after so long without a byte."""
    silence_timeout: float = 5.0
    """The connection is given up after so long without a byte, heartbeats and pongs included."""
    tick_timeout: float = 30.0
    """Stale, and connected anew, after so long without a tick while the market is open. Doubles while it is no help."""
    tick_timeout_cap: float = 900.0
    """The most that `tick_timeout` doubles to."""
    token_timeout: float = 120.0
    """A token is flagged as stale after so long; see `TickerClient.stale_tokens`."""
    connect_timeout: float = 10.0
    """Name look-up, TCP, TLS and the upgrade together."""
    close_timeout: float = 0.5
    """How long a server may take to answer a close."""
    backoff_base: float = 0.5
    backoff_cap: float = 60.0
    stable_after: float = 10.0
    """A connection that lasted so long was a good one: the back-off starts anew after it."""
    limited_wait: float = 30.0
    """The least wait after HTTP 429."""
    retry_after_cap: float = 3600.0
    """The most that a server's Retry-After is obeyed."""
    token_poll: float = 30.0
    """How often the token provider is asked again while it has nothing new."""
    chunk: int = 200
    """Tokens in one text."""
    max_tokens: int = 3000
    """Tokens on one connection."""
    max_connections: int = 3
    """Connections of one API key."""
    settle: float = 3.0
    """Packets of another mode are expected for so long after a mode was asked for."""
    repair_after: float = 10.0
    """A subscription from which nothing came is sent again after so long, then after twice that, and so on."""
    repair_cap: float = 300.0
    attention: float = 8.0
    """Each packet's mode is checked for at most so long after a subscription was sent, until all are confirmed (four
    times as long, and to the end, after a repair) ..."""
    glance: float = 0.5
    """... and after that for so long ..."""
    glance_interval: float = 5.0
    """... in every so long on average, so that the check costs next to nothing."""
    max_frame_size: int = 16 * 1024 * 1024
    """Bytes in one message; a larger one ends the connection."""
    proxy: str | None = field(default=None, repr=False)
    """``http://``, ``socks4://`` or ``socks5://`` URL. May hold a password, so it is not shown."""
    allow_unverified_tls: bool = False
    """Accept an `ssl_context` that does not verify the server. Whoever answers then reads the access token."""
    raise_authentication_failed: bool = False
    """Let `TickerClient.run` raise when the token is refused and no token provider is there."""

    def __post_init__(self) -> None:
        for name in (
            "ping_interval", "silence_timeout", "tick_timeout", "tick_timeout_cap", "token_timeout", "connect_timeout",
            "close_timeout", "backoff_base", "backoff_cap", "limited_wait", "retry_after_cap", "token_poll", "chunk",
            "max_tokens", "max_connections", "settle", "repair_after", "repair_cap", "attention", "glance",
            "glance_interval", "max_frame_size",
        ):  # fmt: skip
            value = getattr(self, name)
            # Written so that NaN is refused too.
            if not value > 0:
                raise ValueError(f"{name} must be above 0: {value}")
        if self.ping_interval >= self.silence_timeout:
            raise ValueError(
                f"ping_interval must be shorter than silence_timeout, or a quiet server looks dead: "
                f"{self.ping_interval} >= {self.silence_timeout}"
            )
        if self.backoff_base > self.backoff_cap:
            raise ValueError(f"backoff_base must not exceed backoff_cap: {self.backoff_base} > {self.backoff_cap}")

    @property
    def backoff(self) -> Backoff:
        """The back-off of these settings."""
        return Backoff(self.backoff_base, self.backoff_cap)
