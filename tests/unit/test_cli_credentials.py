"""Key and token come from the environment or from a file that nobody else can read, and are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tickloom.cli.credentials import KEY, TOKEN, UPSTOX, CredentialsMissing, find, read_file, upstox_token

BOTH = {KEY: "key-canary", TOKEN: "token-canary"}


def private(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_environment_is_enough() -> None:
    found = find(environment=BOTH)
    assert (found.api_key, found.access_token, found.where, found.changed) == (*BOTH.values(), "environment", None)
    assert "canary" not in repr(found) + repr(found.credentials)


def test_a_file_that_is_named_comes_before_the_environment(tmp_path: Path) -> None:
    path = private(tmp_path / "kite.env", f"# mine\nexport {KEY}='k'\n{TOKEN} = \"t\"\n")
    found = find(path, environment=BOTH)
    assert (found.api_key, found.access_token, found.where) == ("k", "t", str(path))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_can_touch_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path / "kite.env", f"{KEY}=key-canary\n{TOKEN}=token-canary\n", mode)
    with pytest.raises(CredentialsMissing, match="chmod 600") as refused:
        read_file(path)
    assert "canary" not in str(refused.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    path = private(tmp_path / "kite.env", f"{KEY}=key-canary\n")
    with pytest.raises(CredentialsMissing, match=TOKEN) as refused:
        read_file(path)
    assert "canary" not in str(refused.value)
    with pytest.raises(CredentialsMissing, match="cannot be read"):
        read_file(tmp_path / "absent")


def test_upstox_has_a_token_only_from_the_same_places(tmp_path: Path) -> None:
    assert upstox_token(environment={UPSTOX: "token-canary"}) == "token-canary"
    path = private(tmp_path / "upstox.env", f"{UPSTOX}=from-the-file\n")
    assert upstox_token(path, environment={UPSTOX: "token-canary"}) == "from-the-file"
    for file, environment in ((None, {}), (private(tmp_path / "kite.env", f"{KEY}=key-canary\n"), {UPSTOX: "x"})):
        with pytest.raises(CredentialsMissing, match=UPSTOX) as refused:
            upstox_token(file, environment=environment)
        assert "canary" not in str(refused.value)
    path.chmod(0o640)
    with pytest.raises(CredentialsMissing, match="chmod 600"):
        upstox_token(path)


def test_half_an_environment_says_which_half(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CredentialsMissing, match=rf"set {TOKEN},"):
        find(environment={KEY: "key"})
