"""The decoder of Upstox's messages and protobuf read the same from any message."""

from __future__ import annotations

import pytest

from tests.differential.upstox_messages import compare


@pytest.mark.parametrize("seed", [1, 2])
def test_every_field_of_random_messages_is_what_protobuf_reads(seed: int) -> None:
    counts = compare(2_500, seed)
    assert counts["messages"] == 2_500
    assert counts["feeds"] > 2_500
    assert counts["damaged"] > 100
    assert counts["only_protobuf"] < counts["damaged"] / 5
