"""One callback script, the vendor's class and ours, the same server: the same callbacks, in order, with equal ticks."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest

from tests import random_frames
from tests.integration.dropin_script import FULL, LTP, MODES, QUOTE
from tests.integration.scripted import Awaits, Close, Connection, ScriptedServer

RNG = random.Random(3)
REST = {FULL: "full", LTP: "ltp"}


def packet(token: int, length: int) -> bytes:
    """A packet of any values, of this instrument."""
    return token.to_bytes(4, "big") + random_frames.body(RNG, length, token & 0xFF)[4:]


def ticks(*lengths: tuple[int, int]) -> bytes:
    return random_frames.frame_of([packet(token, length) for token, length in lengths])


def do(what: str) -> str:
    return json.dumps({"type": "message", "data": f"do {what}"})


ALL = Awaits(MODES)
HOSTILE = [
    b"\x00", b"\x00\x00\x00\x00", ticks((FULL, 64)), "not json", "[1]", '"text"', "null", '{"type":"app_code","x":1}',
    '{"type":"order","data":{}}', '{"type":"error","data":"too many tokens"}', '{"type":"order","data":{"id":"1"}}',
]  # fmt: skip
AGAIN = [ALL, ticks((FULL, 184)), do("stop")]

SCRIPTS: dict[str, tuple[list[Connection], dict[str, Any]]] = {
    "every mode and every kind of text": (
        [[ALL, ticks((FULL, 184), (LTP, 8), (QUOTE, 28)), *HOSTILE[:3], *HOSTILE[7:], do("unsubscribe"), Awaits(REST),
          ticks((FULL, 184), (LTP, 8)), do("stop")]],
        {},
    ),
    "closed normally": ([[ALL, ticks((FULL, 184)), Close(1000, "ok")], AGAIN], {}),
    "server goes away": ([[ALL, ticks((FULL, 184)), Close(1001, "later")], AGAIN], {}),
    "server error": ([[ALL, ticks((FULL, 184)), Close(1011)], AGAIN], {}),
    "lost without a close": ([[ALL, ticks((FULL, 184)), Close(None)], AGAIN], {}),
    "refused twice": ([503, 503, AGAIN], {}),
    "no retry left": ([[ALL, Close(None)]], {"reconnect_max_tries": 1}),
    "the script closes": ([[ALL, do("close")]], {"stop_on_close": True}),
    "the script closes without a code": ([[ALL, do("close plainly")]], {"stop_on_close": True}),
    "the script wants no retry": ([[ALL, do("stop_retry"), 0.1, Close(1011, "x")]], {"stop_on_close": True}),
}  # fmt: skip


def start(which: str, url: str, how: str, options: dict[str, Any]) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "tests.integration.dropin_script", which, url, how, json.dumps(options)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    try:
        out, err = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "canary" not in out + err
    return json.loads(out)


def spoken(seen: list[list[Any]]) -> list[list[Any]]:
    """Without the words for an end that was not clean: they are each class's own."""
    return [
        [name, 1006, "…", *rest[2:]] if name in {"on_close", "on_error"} and rest[0] == 1006 else [name, *rest]
        for name, *rest in seen
    ]


@pytest.mark.parametrize("how", ["blocking", "threaded"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_both_classes_call_the_same_callbacks_with_the_same_ticks(script: str, how: str) -> None:
    connections, options = SCRIPTS[script]
    with ScriptedServer(connections) as theirs, ScriptedServer(connections) as ours:
        running = [start("vendor", theirs.url, how, options), start("ours", ours.url, how, options)]
        vendor, tickloom = [finish(process) for process in running]
    assert spoken(tickloom["seen"]) == spoken(vendor["seen"])
    for same in ("threads", "subscribed", "connected"):
        assert tickloom[same] == vendor[same]
    assert theirs.attempts == ours.attempts
    names = [name for name, *_ in tickloom["seen"]]
    assert "on_connect" in names
    assert ("on_ticks" in names) == any(
        isinstance(step, bytes) for steps in connections if steps != 503 for step in steps
    )


def test_a_hostile_server_costs_nothing() -> None:
    """Frames and texts on which the vendor's class drops the connection are no event here."""
    cut = ticks((FULL, 184))[:-3]
    good = ticks((FULL, 184))
    steps = [step for bad in (*HOSTILE, cut, b"\xff" * 7) for step in (bad, good)]
    with ScriptedServer([[ALL, *steps, do("stop")]]) as server:
        seen = finish(start("ours", server.url, "blocking", {}))["seen"]
        assert server.attempts == 1
    delivered = [rest[0] for name, *rest in seen if name == "on_ticks" and rest[0] != "[]"]
    assert len(delivered) == len(steps) // 2


def test_a_refused_token_is_tried_once() -> None:
    with ScriptedServer([403]) as server:
        seen = finish(start("ours", server.url, "blocking", {}))["seen"]
        assert server.attempts == 1
    assert [name for name, *_ in seen] == ["on_error", "on_close", "on_noreconnect"]
    assert "403 - Forbidden" in seen[0][2]
