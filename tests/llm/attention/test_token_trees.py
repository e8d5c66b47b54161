"""Sequences as trees: each token once, each sequence whole, no pass too large."""

import random

import torch

from spacy_ragre.llm.attention.token_trees import LEAST_SHARED, MOST_TOKENS, grow_trees, lay_out
from spacy_ragre.llm.causal import CausalLM

TEXT = tuple(range(10, 30))
OTHER = tuple(range(40, 55))
SEQUENCES = [(*TEXT, 1), (*OTHER, 1, 2), (*TEXT, 1, 3), TEXT, (*TEXT, 4, 5), (*TEXT, 1), (9,), (*OTHER, 7)]


def visible(layout, row, place):
    """The tokens that a token sees, in their order of depth."""
    seen = layout.seen[row, place].nonzero().flatten().tolist()
    return tuple(layout.rows[row][k] for k in sorted(seen, key=lambda k: int(layout.depths[row, k])))


def test_each_sequence_is_a_path_that_sees_itself_alone():
    (layout,) = lay_out(SEQUENCES, 1000)
    assert sorted(layout.paths) == list(range(len(SEQUENCES)))
    for i, (row, path) in layout.paths.items():
        assert tuple(layout.rows[row][place] for place in path) == SEQUENCES[i]
        assert layout.depths[row, path].tolist() == list(range(len(path)))
        for depth, place in enumerate(path):
            assert visible(layout, row, place) == SEQUENCES[i][: depth + 1]


def test_what_is_shared_stands_in_a_row_once():
    trees = grow_trees(SEQUENCES)
    assert sorted(map(len, trees)) == [1, len(OTHER) + 3, len(TEXT) + 4]
    (layout,) = lay_out(SEQUENCES, 1000)
    assert sum(map(len, layout.rows)) == sum(map(len, trees))


def test_short_beginnings_are_not_shared():
    almost = [(*TEXT[: LEAST_SHARED - 1], 1), (*TEXT[: LEAST_SHARED - 1], 2)]
    assert len(grow_trees(almost)) == 2
    assert len(grow_trees([(*TEXT[:LEAST_SHARED], 1), (*TEXT[:LEAST_SHARED], 2)])) == 1


def test_a_tree_does_not_grow_without_end():
    many = [(*TEXT, *(1000 + 100 * i + k for k in range(50))) for i in range(40)]
    trees = grow_trees(many)
    assert len(trees) > 1 and max(map(len, trees)) <= MOST_TOKENS
    assert sorted(i for tree in trees for i in tree.paths) == list(range(40))
    long = tuple(range(2 * MOST_TOKENS))
    assert [len(tree) for tree in grow_trees([long, (*long, 1)])] == [len(long), len(long) + 1]


def test_passes_keep_to_the_limit_and_rows_are_full():
    rng = random.Random(0)
    sequences = [tuple(rng.randrange(1000) for _ in range(rng.randrange(5, 60))) for _ in range(80)]
    layouts = list(lay_out(sequences, 256))
    assert sorted(i for layout in layouts for i in layout.paths) == list(range(80))
    assert len(layouts) > 1 and all(layout.depths.numel() <= 256 for layout in layouts)
    # Padding is a small part.
    assert sum(layout.depths.numel() for layout in layouts) < 1.15 * sum(map(len, sequences))
    # A sequence beyond the limit is a pass of its own.
    assert [len(layout.rows) for layout in lay_out([tuple(range(300)), (1,)], 256)] == [1, 1]
    assert list(lay_out([], 256)) == []


def test_states_equal_one_sequence_at_a_time(tiny_llama):
    backbone = CausalLM(str(tiny_llama), device="cpu")
    prompts = [s[:-1] for s in SEQUENCES if len(s) > 1]
    responses = [s[-1:] for s in SEQUENCES if len(s) > 1]
    with torch.no_grad():
        found = {}
        for numbers, states in backbone.response_states(prompts, responses):
            found.update(zip(numbers, states.split([2] * len(numbers))))
        for i, (prompt, response) in enumerate(zip(prompts, responses)):
            ids = torch.tensor([(*prompt, *response)])
            alone = backbone.decoder(input_ids=ids).last_hidden_state[0, len(prompt) - 1 :]
            assert torch.allclose(found[i], alone, atol=1e-5)
