"""What `tickloom doctor` looks at, one function each, with what to do if it is not well (stage cli)."""

from __future__ import annotations

import asyncio
import ctypes
import datetime as dt
import os
import platform
import resource
import shutil
import socket
import ssl
import struct
import time
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.parse import urlsplit

import tickloom as tl
from tickloom._core import DEBUG_BUILD
from tickloom.cli import credentials
from tickloom.ticker.client import TickerClient
from tickloom.ticker.settings import Settings

if TYPE_CHECKING:
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Check", "clock", "core", "limits", "link", "login", "token", "versions"]

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
TOKENS_DIE = dt.time(6, 0)
FILES, DISK = 1024, 2 * 1024**3
UNSYNCHRONISED = 5
PATIENCE_S = 10.0
LTP = struct.pack(">HHII", 1, 8, 408065, 150_005)


class Check(NamedTuple):
    """One finding. `advice` is empty when all is well."""

    state: Literal["ok", "warn", "fail", "skip"]
    name: str
    found: str
    advice: str = ""


def versions() -> Check:
    """Python, the package and what it stands on."""
    parts = [f"{name} {metadata.version(name)}" for name in ("tickloom", "numpy", "picows")]
    found = f"Python {platform.python_version()}, {', '.join(parts)}, {platform.system()} {platform.machine()}"
    if metadata.version("tickloom") != tl.__version__:
        return Check("warn", "versions", found, f"the code is {tl.__version__}: install the package again")
    return Check("ok", "versions", found)


def core() -> Check:
    """The compiled core is a release build and reads a packet."""
    if DEBUG_BUILD:
        return Check("fail", "wheel", "a debug build, many times slower", "install a release wheel: make wheel")
    if tl.parse(LTP).to_dicts()[0]["last_price"] != 1500.05:
        return Check("fail", "wheel", "a known packet is read wrongly", "install the wheel again, and report this")
    return Check("ok", "wheel", "release build, reads a known packet")


def token(file: Path | None, now: dt.datetime) -> tuple[Check, credentials.Found | None]:
    """Key and token are there, private, and not from before the last 06:00 IST, when tokens die."""
    try:
        found = credentials.find(file)
    except credentials.CredentialsMissing as error:
        return Check("fail", "token", "none that may be used", str(error)), None
    if found.changed is None:
        return Check("ok", "token", "in the environment"), found
    here = now.astimezone(IST)
    died = dt.datetime.combine(here.date(), TOKENS_DIE, IST)
    if here < died:
        died -= dt.timedelta(days=1)
    if found.changed < died.timestamp():
        advice = "log in again and write the new token: tokens die about 06:00 IST"
        return Check("warn", "token", f"written before {died:%d %B %H:%M} IST", advice), found
    return Check("ok", "token", f"in {found.where}, readable by its owner only"), found


def clock(skew: float | None = None) -> Check:
    """The clock runs with others: bars without stamps are placed by it, and lag is measured with it."""
    advice = "turn on time synchronisation, for example: timedatectl set-ntp true"
    if skew is not None and abs(skew) > 2:
        return Check("fail", "clock", f"{skew:+.0f} s from the server's", advice)
    against = "" if skew is None else ", and agrees with the server's"
    zone = time.strftime("%Z")
    with suppress(OSError, AttributeError):
        # With nothing to change it only tells; no privilege is needed.
        if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == UNSYNCHRONISED and skew is None:
            return Check("warn", "clock", f"{zone}, the kernel does not know it to be synchronised", advice)
    return Check("ok", "clock", f"{zone}{against}")


def limits(folder: Path = Path()) -> Check:
    """Open files, cores and room for a recording."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    cores, free = len(os.sched_getaffinity(0)), shutil.disk_usage(folder).free
    found = f"{files} open files, {cores} cores, {free / 1024**3:.0f} GiB free here"
    if files != resource.RLIM_INFINITY and files < FILES:
        return Check("warn", "limits", found, f"allow more open files: ulimit -n {FILES}")
    if cores < 2:
        return Check("warn", "limits", found, "give the process two cores: one reads, one runs your callbacks")
    if free < DISK:
        return Check("warn", "limits", found, "make room before you record: a day of 500 instruments takes gigabytes")
    return Check("ok", "limits", found)


def link(url: str) -> tuple[Check, float | None]:
    """Name, port and certificate of the server; and how far its clock is from ours in seconds, if it says."""
    address = urlsplit(url)
    host, secure = address.hostname or "", address.scheme == "wss"
    port = address.port or (443 if secure else 80)
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), PATIENCE_S) as plain:
            if not secure:
                return Check("ok", "server", f"{where} answers, without TLS"), None
            with ssl.create_default_context().wrap_socket(plain, server_hostname=host) as safe:
                request = f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
                safe.sendall(request.encode())
                return Check("ok", "server", f"{where} answers, {safe.version()}, certificate good"), _skew(safe)
    except socket.gaierror:
        return Check("fail", "server", f"no such name: {host}", "check the network and the resolver"), None
    except ssl.SSLCertVerificationError as error:
        advice = "somebody may listen in; if a proxy of your own does, add its certificate to the system's"
        return Check("fail", "server", f"certificate refused: {error.verify_message}", advice), None
    except OSError as error:
        advice = "check the network, the firewall, and that the address is right"
        return Check("fail", "server", f"{where} cannot be reached: {error}", advice), None


def _skew(safe: ssl.SSLSocket) -> float | None:
    with suppress(OSError, ValueError):
        head = safe.recv(4096).decode("latin-1")
        for line in head.splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "date":
                theirs = dt.datetime.strptime(value.strip(), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=dt.UTC)
                # A date in whole seconds is half a second old on average.
                return time.time() - theirs.timestamp() - 0.5
    return None


class _Watch:
    """A sink that keeps the first verdict about a login."""

    def __init__(self) -> None:
        self.verdict: asyncio.Future[ConnectionEvent] = asyncio.get_running_loop().create_future()

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """Nothing is subscribed; a heartbeat says no more than the connection did."""

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """Texts say nothing about the login."""

    def on_connection(self, event: ConnectionEvent) -> None:
        """Connected, refused, or about to try again."""
        if event.state not in {"connecting", "stale"} and not self.verdict.done():
            self.verdict.set_result(event)


def login(url: str, found: credentials.Found) -> Check:
    """The broker accepts the token. Opens one connection for a moment and subscribes to nothing."""
    try:
        event = asyncio.run(_login(url, found))
    except TimeoutError:
        return Check("fail", "login", f"no answer in {PATIENCE_S:.0f} s", "check the network and try again")
    if event.state == "connected":
        return Check("ok", "login", "accepted")
    if event.state == "authentication_failed":
        return Check("fail", "login", "token refused", "log in again: a token lives until about 06:00 IST or a logout")
    if event.code == 429:
        return Check("fail", "login", "too many connections", "a key has three: stop another program that uses it")
    return Check("fail", "login", event.reason or event.state, "wait a minute and try again")


async def _login(url: str, found: credentials.Found) -> ConnectionEvent:
    watch = _Watch()
    client = TickerClient(url, credentials=found.credentials, settings=Settings(max_connections=1))
    running = asyncio.create_task(client.run(watch))
    try:
        return await asyncio.wait_for(watch.verdict, PATIENCE_S)
    finally:
        await client.stop()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
