"""Localized context pooling of all pairs at once, against a loop over pairs, positions and attention heads."""

from typing import Any, Tuple

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_ragre.components.pair_filter import context_pooling as pooling
from spacy_ragre.components.pair_filter.context_pooling import Encoded


@st.composite
def batches(draw: st.DrawFn) -> Tuple[Encoded, int]:
    """Documents with entities, each with one or more mentions, and the rows of attention of their starts."""
    docs, positions, count = draw(st.integers(1, 3)), draw(st.integers(3, 9)), draw(st.integers(1, 4))
    heads, width = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    starts = np.full((docs, count, 2), -1)
    rows = []
    for doc in range(docs):
        for entity in range(count):
            # An entity without mentions stands for padding.
            mentions = draw(st.lists(st.integers(2, positions - 1), max_size=2, unique=True))
            starts[doc, entity, : len(mentions)] = mentions
            rows.extend((doc, entity, 1 / len(mentions)) for _ in mentions)
    length = draw(st.integers(1, positions))
    columns = torch.stack([torch.randperm(positions, generator=generator)[:length] for _ in rows] or [torch.zeros(0)])
    attention = torch.rand((len(rows), heads, length), generator=generator)
    numbers: Any = list(zip(*rows)) or [(), (), ()]
    encoded = Encoded(
        hidden=torch.randn((docs, positions, width), generator=generator),
        rows=attention if rows else torch.zeros((0, heads, length)),
        columns=columns.long() if rows else torch.zeros((0, length), dtype=torch.long),
        row_doc=np.array(numbers[0], dtype="int64"),
        row_entity=np.array(numbers[1], dtype="int64"),
        row_weight=np.array(numbers[2], dtype="float64"),
        row_start=np.zeros(len(rows), dtype="int64"),
        row_end=np.full(len(rows), positions),
        starts=torch.from_numpy(starts),
    )
    return encoded, draw(st.integers(2, positions))


def by_loops(encoded: Encoded) -> np.ndarray:
    docs, count = encoded.starts.shape[:2]
    positions, width = encoded.hidden.shape[1:]
    heads = encoded.rows.shape[1]
    attention = np.zeros((docs, count, heads, positions))
    for row in range(len(encoded.row_doc)):
        for place, position in enumerate(encoded.columns[row].tolist()):
            own = encoded.rows[row, :, place].numpy() * encoded.row_weight[row]
            attention[encoded.row_doc[row], encoded.row_entity[row], :, position] += own
    context = np.zeros((docs, count, count, width))
    for doc in range(docs):
        for head in range(count):
            for tail in range(count):
                weights = [
                    np.mean([attention[doc, head, h, p] * attention[doc, tail, h, p] for h in range(heads)])
                    for p in range(positions)
                ]
                total = sum(weights) + 1e-5
                for p in range(positions):
                    context[doc, head, tail] += weights[p] / total * encoded.hidden[doc, p].numpy()
    return context


@given(batches())
def test_contexts_are_those_of_a_plain_loop(batch: Tuple[Encoded, int]) -> None:
    encoded, segment = batch
    expected = by_loops(encoded)
    count = encoded.starts.shape[1]
    whole = pooling._pool_context(encoded, pooling._segments(encoded), (0, count))
    assert np.allclose(whole.numpy(), expected, atol=1e-4)
    # Head entities block by block, and a document alone in segments.
    segments = pooling._segments(encoded)
    for head in range(count):
        part = pooling._pool_context(encoded, segments, (head, head + 1))
        assert np.allclose(part.numpy(), expected[:, head : head + 1], atol=1e-4)
    if len(expected) == 1:
        size, pooling.SEGMENT = pooling.SEGMENT, segment
        try:
            parts = pooling._segments(encoded)
            cut = pooling._pool_context(encoded, parts, (0, count))
        finally:
            pooling.SEGMENT = size
        assert np.allclose(cut.numpy(), expected, atol=1e-4)


@given(batches())
def test_mentions_are_pooled_as_by_a_loop(batch: Tuple[Encoded, int]) -> None:
    encoded = batch[0]
    pooled = pooling.pool_mentions(encoded.hidden, encoded.starts).numpy()
    for doc, clusters in enumerate(encoded.starts.tolist()):
        for entity, mentions in enumerate(clusters):
            states = [encoded.hidden[doc, start].numpy() for start in mentions if start >= 0]
            expected = np.log(np.exp(states).sum(axis=0)) if states else np.zeros(pooled.shape[2])
            assert np.allclose(pooled[doc, entity], expected, atol=1e-4)
