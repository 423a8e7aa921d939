"""Tunnel: a socket to a server through an HTTP proxy, as the WebSocket's (stage sources)."""

from __future__ import annotations

import base64
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["check_proxy", "tunnel"]

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
# A proxy's answer is a few hundred bytes.
_LARGEST = 64 * 1024


def check_proxy(proxy: str) -> SplitResult:
    """The parts of a proxy's URL. Raises ValueError for what is no HTTP proxy, and does not quote it: there may be a
    password in it."""
    try:
        parts = urlsplit(proxy)
        if parts.scheme == "http" and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError("the proxy must begin with http:// and name a host")


def tunnel(proxy: str, host: str, port: int, patience: float) -> socket.socket:
    """A socket that reaches the server through the proxy; nothing was said over it. Raises OSError."""
    parts = check_proxy(proxy)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n"
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request += f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), patience)
    try:
        connection.sendall(f"{request}\r\n".encode())
        status = _STATUS.match(_head(connection, time.monotonic() + patience))
        if status is None or status[1] != b"200":
            # The proxy's words are not ours to repeat.
            said = "did not answer in HTTP" if status is None else f"answered {int(status[1])}"
            raise ConnectionError(None, f"the proxy {said}")
    except BaseException:
        connection.close()
        raise
    return connection


def _head(connection: socket.socket, until: float) -> bytes:
    """What the proxy says before the tunnel begins. What is behind it is the server's, so it is read byte by byte."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        if len(head) > _LARGEST or not (byte := connection.recv(1)):
            raise ConnectionError(None, "the proxy did not answer in HTTP")
        if time.monotonic() > until:
            raise TimeoutError("no whole answer in time")
        head += byte
    return bytes(head)
