"""What `import tickloom` may not do: it is imported by strategies that count microseconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benches.imports import imported

EXTRAS = {
    "click", "rich", "pandas", "polars", "pyarrow", "kiteconnect", "twisted", "autobahn", "requests", "duckdb",
    "psycopg", "nats", "redis", "uvicorn", "starlette", "fastapi", "yaml",
}  # fmt: skip

PROBE = """
import json, os, sys, threading
import numpy
read = []
class Watched(type(os.environ)):
    def __getitem__(self, key):
        read.append(key if isinstance(key, str) else repr(key))
        return super().__getitem__(key)
os.environ.__class__ = Watched
numpy_brings = set(sys.modules)
import tickloom
print(json.dumps({
    "modules": sorted(set(sys.modules) - numpy_brings),
    "all": sorted(sys.modules),
    "threads": threading.active_count(),
    "tasks": len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 1,
    "environment": read,
}))
"""


@pytest.fixture(scope="module")
def seen() -> dict[str, object]:
    """What a fresh interpreter sees after `import tickloom`, with numpy imported just before."""
    clean = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG"}}
    # OpenBLAS starts threads of its own when numpy loads; with one it starts none, so any other is ours.
    clean["OPENBLAS_NUM_THREADS"] = "1"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE], capture_output=True, text=True, env=clean, check=True
    )
    return json.loads(result.stdout)


def test_importing_the_package_imports_no_extra(seen: dict[str, list[str]]) -> None:
    assert {name.partition(".")[0] for name in seen["all"]} & EXTRAS == set()


def test_importing_the_package_imports_five_modules_of_its_own_and_of_others_only_numpy(
    seen: dict[str, list[str]],
) -> None:
    ours = {name for name in seen["modules"] if name.partition(".")[0] == "tickloom"}
    assert ours == {"tickloom", "tickloom._core", "tickloom.candles", "tickloom.errors", "tickloom.model"}
    assert {name.partition(".")[0] for name in seen["modules"]} - sys.stdlib_module_names == {"tickloom"}


def test_the_command_that_times_the_import_sees_the_same_modules(seen: dict[str, list[str]]) -> None:
    timed = imported()
    assert {name for name in timed if "tickloom" in name} == {name for name in seen["modules"] if "tickloom" in name}
    assert 0 < timed["numpy"] < timed["tickloom"]


def test_importing_the_package_opens_no_event_loop_and_no_network_library(seen: dict[str, list[str]]) -> None:
    heavy = {"asyncio", "picows", "ssl", "socket", "http", "urllib.request", "multiprocessing", "logging"}
    assert {name for name in seen["modules"] if name in heavy} == set()


def test_importing_the_package_starts_no_thread(seen: dict[str, int]) -> None:
    assert (seen["threads"], seen["tasks"]) == (1, 1)


def test_importing_the_package_reads_no_environment_variable(seen: dict[str, list[str]]) -> None:
    assert seen["environment"] == []


DEBUG_BUILD = """
import importlib.machinery, importlib.util, sys
package = importlib.machinery.PathFinder.find_spec("tickloom")
spec = importlib.machinery.PathFinder.find_spec("tickloom._core", package.submodule_search_locations)
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
core.DEBUG_BUILD = True
sys.modules["tickloom._core"] = core
import tickloom
"""


def test_a_debug_build_says_that_it_is_slow() -> None:
    run = subprocess.run([sys.executable, "-c", DEBUG_BUILD], capture_output=True, text=True, check=True)
    assert "RuntimeWarning: tickloom's core is a debug build" in run.stderr
