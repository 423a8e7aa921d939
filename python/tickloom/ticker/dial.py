"""Getting to the server: names, sockets, TLS, and what a refusal means (stage ticker, asyncio)."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import ipaddress
import os
import re
import socket
import ssl
import struct
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import picows

from tickloom.ticker.failures import Failure, Kind, Refused, from_status

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["connect_socket", "failure_of", "in_thread", "last_byte_age", "resolve", "seconds", "verifies"]

T = TypeVar("T")
STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})")
RETRY_AFTER = re.compile(rb"^retry-after:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
# struct tcp_info of Linux: milliseconds since the last data arrived, and how many bytes ever did.
LAST_DATA_RECV, BYTES_RECEIVED, TCP_INFO_SIZE = 52, 128, 136


async def in_thread(work: Callable[[], T], name: str) -> T:
    """What `work` returns, from a daemon thread: unlike an executor's it never keeps the interpreter from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(how: Callable[[], None]) -> None:
        if not future.done():
            how()

    def run() -> None:
        try:
            how = partial(future.set_result, work())
        except BaseException as raised:  # noqa: BLE001 - carried to the caller, whatever it is
            error = RuntimeError("it exits") if isinstance(raised, (SystemExit, StopIteration)) else raised
            how = partial(future.set_exception, error)
        # The loop may have ended meanwhile; then nobody waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, how)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await future


async def resolve(host: str, port: int) -> list[tuple[Any, ...]]:
    """Addresses of a host, as `socket.getaddrinfo` gives them. Raises OSError."""

    def look_up() -> list[tuple[Any, ...]]:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))

    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return look_up()  # no name server is asked for a number
    return await in_thread(look_up, "tickloom-dns")


async def connect_socket(host: str, port: int, patience: float) -> socket.socket:
    """A connected socket to the first address that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    addresses = await resolve(host, port)
    error: OSError = OSError("the host has no address")
    for family, kind, number, _, address in addresses:
        connection = socket.socket(family, kind, number)
        try:
            connection.setblocking(False)
            # One address that swallows packets must not use up the time of all.
            async with asyncio.timeout(patience / len(addresses)):
                await loop.sock_connect(connection, address)
        except OSError as raised:  # TimeoutError included
            connection.close()
            error = raised
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise error


def verifies(context: ssl.SSLContext) -> bool:
    """Whether a context checks the certificate and the host name."""
    return context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED


def last_byte_age(transport: picows.WSTransport) -> float | None:
    """Seconds since the kernel received the last data, or None where it cannot tell.

    A frame that trickles in shows only when it is whole, but it is a sign of life from its first byte on.
    """
    connection = transport.underlying_transport.get_extra_info("socket")
    option = getattr(socket, "TCP_INFO", None)
    if connection is None or option is None:
        return None
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, option, TCP_INFO_SIZE)
    except OSError:
        return None
    # Kernels that do not count leave zeros behind, which would read as: just now.
    if len(info) < TCP_INFO_SIZE or struct.unpack_from("=Q", info, BYTES_RECEIVED)[0] == 0:
        return None
    return float(struct.unpack_from("=I", info, LAST_DATA_RECV)[0]) / 1e3


def failure_of(error: BaseException, *, single_use: bool = False) -> Failure:
    """What an exception of an attempt to connect means. Its text is used only where it cannot hold the URL.

    `single_use`: the address was good for this attempt alone (see `Dialect`)."""
    match error:
        case Refused():
            return error.failure
        case picows.WSHandshakeError():
            failure = _refused_upgrade(error)
            if single_use and failure.kind is Kind.AUTHENTICATION:
                words = f"the address was refused, another is asked for: HTTP {failure.code}"
                return Failure(Kind.SERVER, words, failure.code, failure.retry_after)
            return failure
        case socket.gaierror():
            return Failure(Kind.DNS, f"no such host: {error.strerror or error}")
        case ssl.SSLCertVerificationError():
            return Failure(Kind.TLS, f"the server's certificate is not valid: {error.verify_message or error.reason}")
        case ssl.SSLError():
            return Failure(Kind.TLS, f"TLS failed: {error.reason or 'handshake failure'}")
        case TimeoutError():
            return Failure(Kind.TIMEOUT, "no answer in time")
        case OSError():
            # asyncio puts its own words, and the address, where the system's belong.
            says = os.strerror(error.errno) if error.errno else error.strerror or type(error).__name__
            return Failure(Kind.NETWORK, f"connection failed: {says}")
        case _:
            return Failure(Kind.NETWORK, f"connection failed: {type(error).__name__}")


def _refused_upgrade(error: picows.WSHandshakeError) -> Failure:
    # Read from the bytes: an unregistered status, or one without a phrase, has no parsed response.
    head = error.raw_header or b""
    status = STATUS_LINE.match(head)
    if status is None:
        return Failure(Kind.SERVER, "the server's answer is not HTTP")
    wish = RETRY_AFTER.search(head)
    return from_status(int(status[1]), None if wish is None else seconds(wish[1].decode("latin-1").strip()))


def seconds(wish: str) -> float | None:
    """Retry-After: seconds, or a date."""
    if wish.isascii() and wish.isdigit():
        return float(wish[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(wish).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
