"""Projection of neighbours to soft prompts."""

import pytest
import torch

from spacy_ragre.components.etrag.soft_prompts import SoftPrompts


@pytest.fixture
def prompts():
    torch.manual_seed(0)
    module = SoftPrompts(6, 4, 3, length=2)
    module.start(torch.randn(3, 4))
    return module


def test_equals_the_sum_written_out(prompts):
    table = torch.nn.functional.normalize(torch.randn(5, 6), dim=1)
    classes = torch.eye(3)[[0, 1, 2, 1, 0]]
    rows = torch.tensor([[4, 2], [0, 1]])
    weights = torch.rand(2, 3, 2)
    found, votes = prompts(weights, rows, table, classes)
    assert found.shape == (2, 6, 4)
    for query in range(2):
        for neighbour in range(3):
            z = sum(weights[query, neighbour, i] * table[rows[query, i]] for i in range(2))
            label = sum(weights[query, neighbour, i] * (classes[rows[query, i]] @ prompts.labels) for i in range(2))
            expected = prompts.projection(z).view(2, 4) + label / 2**0.5
            # The first neighbour stands last.
            torch.testing.assert_close(found[query, 2 * (2 - neighbour) : 2 * (3 - neighbour)], expected)
        shares = [sum(weights[query, j, i] * classes[rows[query, i]] for i in range(2)) for j in range(3)]
        torch.testing.assert_close(votes[query], sum(shares) / 3)


def test_dropout_of_labels(prompts):
    """Some queries read their neighbours' keys alone, the others all; votes stay as they are."""
    table = torch.nn.functional.normalize(torch.randn(2, 6), dim=1)
    inputs = torch.rand(40, 3, 2), torch.tensor([[0, 1]]).expand(40, 2), table, torch.eye(3)[:2]
    vectors, votes = prompts(*inputs)
    without = prompts.projection(inputs[0] @ table).view(40, 3, 2, 4).flip(1).flatten(1, 2)
    torch.testing.assert_close(prompts(*inputs, label_dropout=1.0)[0], without)
    mixed, same = prompts(*inputs, label_dropout=0.5)
    dropped, kept = ((mixed - other).abs().amax((1, 2)) < 1e-5 for other in (without, vectors))
    assert (dropped ^ kept).all() and 5 < dropped.sum() < 35
    torch.testing.assert_close(same, votes)


def test_rows_that_queries_share_add_up(prompts):
    table, classes = torch.randn(2, 6), torch.eye(3)[:2]
    twice = prompts(torch.tensor([[[0.25, 0.75]]]), torch.tensor([[1, 1]]), table, classes)
    once = prompts(torch.tensor([[[1.0]]]), torch.tensor([[1]]), table, classes)
    for first, second in zip(twice, once):
        torch.testing.assert_close(first, second)


def test_starts_with_the_labels(prompts):
    """Before training, a neighbour reads mostly as its label's words."""
    words = torch.randn(3, 400)
    module = SoftPrompts(6, 400, 3)
    module.start(words)
    table = torch.nn.functional.normalize(torch.randn(1, 6), dim=1)
    found = module(torch.ones(1, 1, 1), torch.zeros(1, 1, dtype=torch.long), table, torch.eye(3)[1:2])[0][0, 0]
    assert torch.cosine_similarity(found, words[1], dim=0) > 0.95


def test_the_nearest_vote_alone(prompts):
    """With two neighbours, the two instances with most weight count, in proportion to it."""
    weights = torch.tensor([[[0.6, 0.3, 0.1, 0.0], [0.0, 0.3, 0.2, 0.5]], [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 1.0, 0.0]]])
    rows = torch.tensor([[3, 1, 0, 2], [0, 1, 2, 3]])
    classes = torch.eye(3)[[0, 1, 2, 1]]
    votes = prompts.votes_of_nearest(weights, rows, classes)
    torch.testing.assert_close(votes, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
    only = prompts.votes_of_nearest(weights[:, :, [0, 3]], rows[:, [0, 3]], classes)
    torch.testing.assert_close(only, torch.tensor([[0.0, 0.6 / 1.1, 0.5 / 1.1], [0.0, 0.0, 0.0]]))
