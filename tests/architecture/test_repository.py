"""Rules about the files themselves: sizes, one version everywhere, no registry named, a lock that locks."""

from __future__ import annotations

import itertools
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import tickloom

# Spelled in pieces, or this file would break the rule it checks.
REGISTRY_HOSTS = [".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("crates", "io"))]
# "About" 300 and 400: a file is not torn apart for a line.
PYTHON_LINES = 315
RUST_LINES = 420
BINDING_LINES = 700
STUB_LINES = 400


def committed(repository: Path, *patterns: str) -> list[Path]:
    """The files that git knows, or, in an unpacked source archive, all files."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=repository, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    files = [repository / name for name in listed if (repository / name).is_file()]
    assert files, patterns
    return files


def rust_lines_without_tests(path: Path) -> int:
    """Lines before the first `#[cfg(test)]` module."""
    return len(re.split(r"^#\[cfg\(test\)\]", path.read_text(), maxsplit=1, flags=re.MULTILINE)[0].splitlines())


def test_no_python_file_is_too_long_to_read_in_one_sitting(repository: Path) -> None:
    sizes = {str(path.relative_to(repository)): len(path.read_text().splitlines())
             for path in committed(repository, "python/*.py")}  # fmt: skip
    assert {name: size for name, size in sizes.items() if size > PYTHON_LINES} == {}


def test_no_rust_file_is_too_long_to_read_in_one_sitting(repository: Path) -> None:
    sizes = {str(path.relative_to(repository)): rust_lines_without_tests(path)
             for path in committed(repository, "rust/*/src/**/*.rs", "rust/*/src/*.rs")}  # fmt: skip
    assert {name: size for name, size in sizes.items() if size > RUST_LINES} == {}


def test_the_stub_stays_short(repository: Path) -> None:
    assert len((repository / "python/tickloom/_core.pyi").read_text().splitlines()) <= STUB_LINES


def test_only_one_file_holds_unsafe_code(repository: Path) -> None:
    unsafe = re.compile(r"^\s*(?!//)[^\n\"]*\bunsafe\s*(\{|fn\b|impl\b|extern\b)", re.MULTILINE)
    holders = {str(path.relative_to(repository)) for path in committed(repository, "rust/core/*.rs", "rust/py/*.rs")
               if unsafe.search(path.read_text())}  # fmt: skip
    assert holders <= {"rust/py/src/view.rs"}


def test_the_core_forbids_unsafe_code(repository: Path) -> None:
    assert "#![forbid(unsafe_code)]" in (repository / "rust/core/src/lib.rs").read_text()


def test_no_committed_file_names_a_package_registry(repository: Path) -> None:
    # Cargo writes its own registry's name into every Cargo.lock; that is its format, not our choice.
    guilty = []
    for path in committed(repository):
        if path.name == "Cargo.lock":
            continue
        text = path.read_bytes().decode("utf-8", errors="replace").lower()
        guilty += [f"{path.relative_to(repository)}: {host}" for host in REGISTRY_HOSTS if host in text]
    assert guilty == []


def test_version_is_the_same_in_package_workspace_wheel_and_changelog(repository: Path) -> None:
    workspace = tomllib.loads((repository / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (repository / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert {tickloom.__version__, metadata.version("tickloom"), newest[1]} == {workspace}


def test_every_requirement_of_the_lock_is_pinned_and_hashed(repository: Path) -> None:
    lock = (repository / "requirements-dev.txt").read_text()
    joined = lock.replace("\\\n", " ")
    requirements = [line for line in joined.splitlines() if line and not line.startswith(("#", " "))]
    assert len(requirements) > 10
    for requirement in requirements:
        assert re.match(r"[\w.-]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement


def test_the_lock_pins_everything_that_the_package_needs(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    pinned = set(re.findall(r"^([\w.-]+)==", (repository / "requirements-dev.txt").read_text(), flags=re.MULTILINE))
    wanted = project["dependencies"] + [*itertools.chain(*project["optional-dependencies"].values())]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}
    assert names - {"tickloom"} - pinned == set()


def test_base_dependencies_are_numpy_and_the_websocket_library_only(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert {re.match(r"[\w.-]+", name)[0] for name in project["dependencies"]} == {"numpy", "picows"}


@pytest.mark.parametrize("name", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"])
def test_the_front_pages_exist(repository: Path, name: str) -> None:
    assert (repository / name).stat().st_size > 200


def test_every_target_of_the_makefile_says_what_it_does(repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: (\S+)", makefile, flags=re.MULTILINE))
    described = set(re.findall(r"^([a-z-]+):.*## \S", makefile, flags=re.MULTILINE))
    assert phony == described


def test_the_architecture_lists_the_stages_in_the_order_of_the_crate(repository: Path) -> None:
    crate = (repository / "rust/core/src/lib.rs").read_text()
    pipeline = re.search(r"^//! (\w+(?: -> \w+)+)$", crate, flags=re.MULTILINE)
    assert pipeline is not None
    listed = re.findall(
        r"^\| `(\w+)` \|.*\|.*\|.*\|$", (repository / "ARCHITECTURE.md").read_text(), flags=re.MULTILINE
    )
    assert listed == pipeline[1].split(" -> ")
