"""Directions that import contracts cannot express: the compiled core, and where other people's packages may appear."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# The WebSocket library has a client's end and a server's end, and these are different stages.
TWO_ENDS = {"picows": {"ticker", "sources"}}


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import hides its layer: {path}:{node.lineno}"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(repository: Path) -> list[Path]:
    found = sorted((repository / "python" / "tickloom").rglob("*.py"))
    assert found
    return found


def test_the_errors_stand_on_nothing(repository: Path) -> None:
    # The compiled core raises them, so they must be importable before it is.
    assert {name for name in imports(repository / "python/tickloom/errors.py") if "tickloom" in name} == set()


def test_each_third_party_package_is_imported_from_one_folder_only(repository: Path) -> None:
    package = repository / "python" / "tickloom"
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for path in modules(repository):
        for name in imports(path):
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in {"tickloom", "numpy"}:
                homes[top].add(path.relative_to(package).parts[0])
    assert {
        name: folders for name, folders in homes.items() if len(folders) > 1 and folders != TWO_ENDS.get(name)
    } == {}


def test_nothing_below_the_command_line_prints(repository: Path) -> None:
    printing = [
        str(path)
        for path in modules(repository)
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []
