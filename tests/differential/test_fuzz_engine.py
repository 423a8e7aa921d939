"""A moment of the engine-against-oracle fuzzer in every run: the seed corpus, and fixed random inputs."""

from __future__ import annotations

import pytest

from tests.differential.fuzz_engine import CORPUS, drawn, events, one

FILES = sorted(CORPUS.iterdir())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_seed_corpus_gives_equal_bars(path):
    one(path.read_bytes())


@pytest.mark.parametrize("seed", range(300))
def test_random_bytes_give_equal_bars(seed):
    one(drawn(seed))


def test_the_corpus_spells_many_events():
    assert sum(len(events(path.read_bytes())[1]) for path in FILES) > 200
