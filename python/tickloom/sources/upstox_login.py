"""Upstox login: the address of one connection, asked for anew each time (stage sources).

```
GET …/authorize, Bearer token ──▶ data.authorized_redirect_uri, good for one connection and as secret as the token
```

The answer is believed only if it points to the broker: whoever is connected to is sent what the user watches.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import time
from urllib.parse import urlsplit

from tickloom.sources.tunnel import tunnel
from tickloom.ticker.dial import in_thread, seconds
from tickloom.ticker.failures import Failure, Kind, Refused, from_status

__all__ = ["authorize", "check"]

# An answer is a few hundred bytes.
_LARGEST = 64 * 1024


async def authorize(
    url: str, access_token: str, tls: ssl.SSLContext | None, patience: float, proxy: str | None = None
) -> str:
    """The address to connect to. `url` is the https:// (or, on this machine, http://) one that is asked, through a
    tunnel of the `proxy` if there is one: the token and the answer are inside of the TLS with the broker.

    Raises `Refused` with what the broker answered, or OSError if it could not be asked within `patience` seconds.
    """
    status, wish, body = await in_thread(lambda: _get(url, access_token, tls, patience, proxy), "tickloom-authorize")
    if status != 200:
        raise Refused(from_status(status, wish))
    try:
        address = json.loads(body)["data"]["authorized_redirect_uri"]
    except (ValueError, KeyError, TypeError, RecursionError):
        address = None
    if not isinstance(address, str):
        raise Refused(Failure(Kind.SERVER, "the broker's answer names no address to connect to"))
    return check(address, url)


def check(address: str, asked: str) -> str:
    """The address, if it is one of whom was asked: the same domain, and no less TLS. Raises `Refused`."""
    refused = Refused(Failure(Kind.REDIRECT, "the broker's answer names an address that is not the broker's"))
    try:
        parts, known = urlsplit(address), urlsplit(asked)
        host, own, port = parts.hostname, known.hostname, parts.port
    except ValueError:
        raise refused from None
    wanted = "wss" if known.scheme == "https" else "ws"
    if not host or not own or parts.scheme != wanted or parts.username is not None or parts.fragment or port == 0:
        raise refused
    domain = own.removeprefix("api.")
    # Only a name that begins with "api." has sisters; a number is that machine alone.
    if host != own and (domain == own or (host != domain and not host.endswith(f".{domain}"))):
        raise refused
    return address


def _connection(url: str, tls: ssl.SSLContext | None, patience: float, proxy: str | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        tls = tls or ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port, timeout=patience, context=tls)
    else:
        tls, connection = None, http.client.HTTPConnection(host, parts.port, timeout=patience)
    if proxy is not None:
        # For http:// too: one way, and the one that the WebSocket goes.
        through = tunnel(proxy, host, connection.port, patience)
        connection.sock = through if tls is None else tls.wrap_socket(through, server_hostname=host)
    return connection


def _get(
    url: str, access_token: str, tls: ssl.SSLContext | None, patience: float, proxy: str | None
) -> tuple[int, float | None, bytes]:
    parts, end = urlsplit(url), time.monotonic() + patience
    with contextlib.closing(_connection(url, tls, patience, proxy)) as connection:
        try:
            path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            connection.request(
                "GET", path, headers={"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
            )
            answer = connection.getresponse()
            body = b""
            while len(body) <= _LARGEST and (piece := answer.read1(4096)):
                body += piece
                if time.monotonic() > end:
                    raise TimeoutError("no whole answer in time")
        except http.client.HTTPException as error:
            # Its text may quote what was received; its name cannot.
            raise ConnectionError(f"the answer is not HTTP: {type(error).__name__}") from None
        wish = answer.getheader("Retry-After")
        return answer.status, None if wish is None else seconds(wish.strip()), body
