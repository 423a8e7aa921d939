"""Canaries: words in the place of every secret, a server that sings them back, and a net in which none may be found."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import logging
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from tickloom.sources.journal import Journal, Reading

KEY, TOKEN, NEW = "canary/key-7f3a", "canary+token-91c4", "canary=new-55d2"
USER, PASSWORD = "canary-user", "canary-password"
# However a secret is spelled, one of these is in it.
WORDS = ["canary", *(base64.b64encode(f"{USER}:{PASSWORD}".encode())[n : n + 16].decode() for n in (0, 12))]


class Front:
    """A server before the exchange: it answers the first connections itself, in ways that quote what was asked, and
    hands the others on. `answers` are what it says to one connection each; what it says is closed behind."""

    def __init__(self, port: int, answers: list[bytes]) -> None:
        self.behind = port
        self.answers = answers
        self.served = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            number, self.served = self.served, self.served + 1
            if number < len(self.answers):
                asked = request.split(b" ")[1]
                writer.write(self.answers[number].replace(b"ASKED", asked))
                await writer.drain()
                return
            inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.behind)
            inner.write(request)
            await asyncio.gather(_pipe(reader, inner), _pipe(inner_reader, writer))
        finally:
            writer.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


def answer(status: str, *headers: str, body: str = "") -> bytes:
    """An HTTP answer; ASKED in it becomes what the client asked for, its query with the secrets included."""
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Content-Length: 9000", "", ""])
    return head.encode() + body.encode()


SPELLED = f"{TOKEN} {quote(TOKEN, safe='')} {NEW} {quote(NEW, safe='')} {KEY} {quote(KEY, safe='')}"
ECHOES = [
    answer("429 Too Many ASKED", "Retry-After: ASKED", body="slow down, ASKED"),
    answer("302 Found", "Location: wss://127.0.0.1/ASKED"),
    answer("500 ASKED", f"X-Echo: {SPELLED}", body="ASKED"),
    answer("404 Not Found", body=f"no such page: ASKED {SPELLED}"),
    f"ASKED is no request that I know, {SPELLED}\r\n\r\n".encode(),
    b"",
    b"HTTP/1.1 101 Switching ASKED\r\nUpgrade: ASKED\r\nConnection: ASKED\r\nSec-WebSocket-Accept: ASKED\r\n\r\n",
    answer("403 Forbidden", body=f"the token of ASKED is dead: {SPELLED}"),
]
"""What the front says, in turn."""

TEXTS = [
    f"garbage {SPELLED}",
    f'{{"type": "error", "data": "the token {SPELLED} is old"}}',
    f'{{"type": "message", "data": {{"for": "{TOKEN}", "list": ["{NEW}"]}}}}',
    f'{{"type": "order", "data": {{"tag": "{NEW}", "{KEY}": 1}}}}',
    f'{{"type": "{TOKEN}", "data": null}}',
    f"api_key={KEY}&access_token={NEW}",
]
"""What the exchange says when it is up."""


class Net(logging.Handler):
    """Everything that was written or can be printed, and where it was."""

    def __init__(self) -> None:
        super().__init__(1)
        self.caught: list[tuple[str, str]] = []
        self.records = 0
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(threadName)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.records += 1
        self.add(f"log {record.name}", f"{self.format(record)} {record.args!r} {record.__dict__!r}")
        if record.exc_info and record.exc_info[1] is not None:
            self.error(f"traceback in log {record.name}", record.exc_info[1])

    def add(self, where: str, what: object) -> None:
        """Something that a person might see."""
        self.caught.append((where, what if isinstance(what, str) else f"{what!r} {what!s}"))

    def error(self, where: str, error: BaseException, *, with_locals: bool = True) -> None:
        """An exception, its chain, and what its frames in the package hold."""
        shown = traceback.TracebackException.from_exception(error, capture_locals=with_locals)
        while shown is not None:
            # The frames of the tests hold the canaries by their own hand.
            shown.stack = traceback.StackSummary.from_list(
                [frame for frame in shown.stack if "/tickloom/" in frame.filename and "/tests/" not in frame.filename]
            )
            self.add(where, "".join(shown.format(chain=False)))
            shown = shown.__cause__ or shown.__context__
        self.add(where, error)

    def journal(self, path: Path) -> int:
        """A journal's bytes, and those of its records, decoded. Gives the number of records."""
        self.add("journal", path.read_bytes().decode("latin-1"))
        with Journal(path) as journal:
            records = list(Reading([journal]))
            self.add("journal header", journal)
        for record in records:
            self.add("journal record", record.payload.decode("latin-1"))
        return len(records)

    def objects(self, *roots: object) -> int:
        """What every object of the package that can be reached from these prints. Gives how many there were."""
        seen: set[int] = set()
        queue = collections.deque(roots)
        kept, found = [], 0
        while queue:
            each = queue.popleft()
            if id(each) in seen or isinstance(each, (str, bytes, int, float, type, type(None))):
                continue
            seen.add(id(each))
            kept.append(each)  # an id is good for as long as its object lives
            if type(each).__module__.startswith("tickloom"):
                found += 1
                self.add(f"repr of {type(each).__name__}", each)
                self.add(f"format of {type(each).__name__}", f"{each}")
            queue.extend(_inside(each))
        return found

    @property
    def leaks(self) -> list[tuple[str, str]]:
        """Where a canary sings, and what is around it."""
        found = []
        for where, text in self.caught:
            for word in WORDS:
                at = text.lower().find(word.lower())
                if at >= 0:
                    found.append((where, text[max(at - 80, 0) : at + 80]))
                    break
        return found


def _inside(each: object) -> Iterator[Any]:
    if isinstance(each, dict):
        yield from list(each.values())
        yield from list(each.keys())
    elif isinstance(each, (list, tuple, set, frozenset, collections.deque)):
        yield from list(each)
    elif type(each).__module__.startswith("tickloom"):
        yield from list(getattr(each, "__dict__", {}).values())
        for kind in type(each).__mro__:
            for name in getattr(kind, "__slots__", ()):
                yield getattr(each, name, None)
    elif hasattr(each, "__self__"):
        yield each.__self__


@contextlib.contextmanager
def listening() -> Iterator[Net]:
    """All loggers there are, and those that come, say everything for a while, and are heard."""
    net, root = Net(), logging.getLogger()
    names = [
        "picows",
        "asyncio",
        "websockets",
        "autobahn",
        "aiofastnet",
        "tickloom",
        *logging.Logger.manager.loggerDict,
    ]
    loggers = [root, *map(logging.getLogger, names)]
    before = [(logger, logger.level, logger.disabled, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(1)
        logger.disabled, logger.propagate = False, True
    root.addHandler(net)
    try:
        yield net
    finally:
        root.removeHandler(net)
        for logger, level, disabled, propagate in before:
            logger.setLevel(level)
            logger.disabled, logger.propagate = disabled, propagate
