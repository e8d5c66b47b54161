"""Localized context pooling: one score for each ordered pair of a document's entities.

An entity is the logsumexp of the states at its mentions' starts. What a pair sees of the document are the states where
both entities look: their attentions are multiplied, averaged over the heads and normalised, and weigh the states.
Source: ATLOP (Zhou et al. 2021, arXiv 2010.11304), as stage 1 of LMRC (arXiv 2408.13889) uses it. Beyond both, entity
types and the distance of the nearest mentions can be added; they start at zero. Labels can be told, too: a pair's score
is then the logsumexp over those of its labels, since it holds a relation where it holds any of them.

For example, a text of four positions, one attention head, and what the starts of the mentions "Ann" and "Rome" attend
to:

                       Ann   was   born  Rome
    Ann attends        0.4   0.1   0.4   0.1
    Rome attends       0.1   0.1   0.6   0.2
    product            0.04  0.01  0.24  0.02      sum 0.31
    weights            0.13  0.03  0.77  0.06      context = 0.13 Ann + 0.03 was + 0.77 born + 0.06 Rome

Both look at "born", so that the pair's context is mostly its state, while (Ann, Paris) has another one.

All entities and pairs of a batch are computed at once. A document that is longer than `SEGMENT` positions comes alone,
and is pooled in segments with the entities that attend to each, so that its cost grows with its length and not with
length times pairs.
"""

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np
import torch
from torch import Tensor, nn

# Positions 0 and 1 of a document are those of the special pieces before and after the text.
SPECIALS = 2
SEGMENT = 1024
# Distances from 0 to 2, 4, 8 ... tokens, for each order of head and tail.
DISTANCES = 24
_EPSILON = 1e-5


@dataclass
class Encoded:
    """A batch of documents as an encoder read it. A row is the attention of one mention's start in one window.

    hidden (Tensor): states at the positions of each document, mean over its windows, *Shape* (docs, positions, width).
    rows (Tensor): attentions, *Shape* (rows, heads, length).
    columns (Tensor): the positions that a row attends to, int64, *Shape* (rows, length); `positions` for padding.
    row_doc (ndarray): each row's document.
    row_entity (ndarray): its entity.
    row_weight (ndarray): its share in the entity's attention.
    row_start, row_end (ndarray): the part of the text that it can attend to, in positions.
    starts (Tensor): positions of the mentions' starts, int64, *Shape* (docs, entities, mentions); -1 for padding.
    """

    hidden: Tensor
    rows: Tensor
    columns: Tensor
    row_doc: np.ndarray
    row_entity: np.ndarray
    row_weight: np.ndarray
    row_start: np.ndarray
    row_end: np.ndarray
    starts: Tensor


@dataclass
class _Segment:
    """A range of positions, and what of it is not zero.

    entities (Tensor): indexes of the entities that attend to it, int64.
    slots (Tensor): for each of the rows, where it belongs: document times entities plus place in `entities`.
    """

    start: int
    end: int
    rows: Tensor
    entities: Tensor
    slots: Tensor
    weights: Tensor


class ContextPooling(nn.Module):
    """Scores pairs.

    width (int): width of the encoder's states.
    hidden (int): width of head and tail vectors, a multiple of `block`.
    block (int): width of a group of the bilinear layer.
    types (int): number of entity types, the unknown one included; 0 to leave types out.
    distances (bool): use the distance between the nearest mentions.
    limit (int): numbers that a block of pairs may take; more pairs are computed block by block.
    labels (int): number of labels to tell.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        block: int,
        types: int = 0,
        distances: bool = True,
        limit: int = 1 << 23,
        labels: int = 0,
    ) -> None:
        super().__init__()
        self.block = block
        self.limit = limit
        self.head_entity = nn.Linear(width, hidden)
        self.tail_entity = nn.Linear(width, hidden)
        self.head_context = nn.Linear(width, hidden, bias=False)
        self.tail_context = nn.Linear(width, hidden, bias=False)
        self.bilinear = nn.Parameter(torch.empty(hidden // block, block, block))
        self.bias = nn.Parameter(torch.zeros(1))
        nn.init.uniform_(self.bilinear, -1 / block, 1 / block)
        self.label = nn.Linear(hidden, labels) if labels else None
        if labels:
            nn.init.constant_(self.bias, -math.log(labels))
        self.head_type = _zeros(types, hidden) if types else None
        self.tail_type = _zeros(types, hidden) if types else None
        self.head_distance = _zeros(DISTANCES, hidden) if distances else None
        self.tail_distance = _zeros(DISTANCES, hidden) if distances else None

    def forward(self, encoded: Encoded, types: Tensor, distances: Tensor) -> Tensor:
        """encoded (Encoded): the documents.
        types (Tensor): entity types, int64, *Shape* (docs, entities).
        distances (Tensor): from `distance_buckets`, int64, *Shape* (docs, entities, entities).
        RETURNS (Tensor): logits of (head, tail), the score and then the labels, *Shape* (docs, entities, entities,
            1 + labels). Those of padding and of an entity with itself mean nothing.
        """
        docs, count = encoded.starts.shape[:2]
        if not count:
            return encoded.hidden.new_zeros((docs, 0, 0, 1 if self.label is None else 1 + self.label.out_features))
        entities = pool_mentions(encoded.hidden, encoded.starts)
        segments = _segments(encoded)
        results = []
        step = self._rows_at_once(encoded, segments)
        for start in range(0, count, step):
            heads = (start, min(start + step, count))
            context = _pool_context(encoded, segments, heads)
            results.append(self._score(entities, context, heads, types, distances))
        return torch.cat(results, dim=1)

    def _rows_at_once(self, encoded: Encoded, segments: Sequence[_Segment]) -> int:
        """How many head entities fit into the limit with all their tails."""
        docs, count = encoded.starts.shape[:2]
        length = max(segment.end - segment.start for segment in segments)
        widest = max(len(segment.entities) for segment in segments)
        width = encoded.hidden.shape[2] + 2 * self.head_entity.out_features
        return max(1, self.limit // (docs * max(length * widest, width * count)))

    def _score(
        self, entities: Tensor, context: Tensor, heads: Tuple[int, int], types: Tensor, distances: Tensor
    ) -> Tensor:
        """entities (Tensor): *Shape* (docs, entities, width).
        context (Tensor): *Shape* (docs, heads, entities, width).
        RETURNS (Tensor): *Shape* (docs, heads, entities, 1 + labels).
        """
        own = slice(*heads)
        head = self.head_entity(entities[:, own])
        tail = self.tail_entity(entities)
        if self.head_type is not None and self.tail_type is not None:
            head = head + self.head_type(types[:, own])
            tail = tail + self.tail_type(types)
        head = head.unsqueeze(2) + self.head_context(context)
        tail = tail.unsqueeze(1) + self.tail_context(context)
        if self.head_distance is not None and self.tail_distance is not None:
            head = head + self.head_distance(distances[:, own])
            tail = tail + self.tail_distance(distances[:, own])
        shape = head.shape[:3]
        groups = self.bilinear.shape[0]
        first = torch.tanh(head).view(-1, groups, self.block).transpose(0, 1)
        second = torch.tanh(tail).view(-1, groups, self.block).transpose(0, 1)
        # One matrix product for each group: (groups, pairs, block) x (groups, block, block).
        products = torch.bmm(first, self.bilinear) * second
        if self.label is None:
            return (products.sum(dim=(0, 2)) + self.bias).view(*shape, 1)
        features = products.transpose(0, 1).reshape(*shape, -1)
        # The products are small, and labels would be learned slowly from them as they are.
        labels = self.label(nn.functional.layer_norm(features, features.shape[-1:]))
        return torch.cat([torch.logsumexp(labels, dim=-1, keepdim=True) + self.bias, labels], dim=-1)


def _zeros(count: int, width: int) -> nn.Embedding:
    table = nn.Embedding(count, width)
    nn.init.zeros_(table.weight)
    return table


def pool_mentions(hidden: Tensor, starts: Tensor) -> Tensor:
    """Logsumexp over the states at an entity's mentions.

    hidden (Tensor): *Shape* (docs, positions, width).
    starts (Tensor): *Shape* (docs, entities, mentions), -1 for padding.
    RETURNS (Tensor): *Shape* (docs, entities, width); zeros for an entity without mentions.
    """
    docs, count, most = starts.shape
    index = starts.clamp(min=0).view(docs, count * most, 1).expand(-1, -1, hidden.shape[2])
    states = hidden.gather(1, index).view(docs, count, most, -1)
    missing = (starts < 0).unsqueeze(-1)
    pooled = torch.logsumexp(states.masked_fill(missing, -1e9), dim=2)
    return pooled.masked_fill(missing.all(dim=2), 0.0)


def _segments(encoded: Encoded) -> List[_Segment]:
    docs, count = encoded.starts.shape[:2]
    length = encoded.hidden.shape[1]
    if docs > 1 or length <= SEGMENT:
        return [_make_segment(encoded, 0, length, None)]
    borders = range(SPECIALS, length, SEGMENT)
    parts = [_make_segment(encoded, start, min(start + SEGMENT, length), (start, start + SEGMENT)) for start in borders]
    return [_make_segment(encoded, 0, SPECIALS, None), *(part for part in parts if len(part.entities))]


def _make_segment(encoded: Encoded, start: int, end: int, text: Optional[Tuple[int, int]]) -> _Segment:
    """A segment with the rows that reach the given part of the text; with all rows and entities for None."""
    docs, count = encoded.starts.shape[:2]
    device = encoded.hidden.device
    if text is None:
        rows = np.arange(len(encoded.row_doc))
        entities = np.arange(count)
    else:
        rows = np.flatnonzero((encoded.row_start < text[1]) & (encoded.row_end > text[0]))
        entities = np.unique(encoded.row_entity[rows])
    place = np.searchsorted(entities, encoded.row_entity[rows])
    slots = encoded.row_doc[rows] * len(entities) + place
    weights = torch.as_tensor(encoded.row_weight[rows], dtype=encoded.rows.dtype, device=device)

    def index(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.long, device=device)

    return _Segment(start, end, index(rows), index(entities), index(slots), weights)


def _attention(encoded: Encoded, segment: _Segment) -> Tensor:
    """RETURNS (Tensor): what the segment's entities attend to, *Shape* (docs, positions, entities, heads)."""
    docs = encoded.starts.shape[0]
    length, count = segment.end - segment.start, len(segment.entities)
    rows = encoded.rows[segment.rows]
    columns = encoded.columns[segment.rows] - segment.start
    # What is outside goes to one more place, which is cut off.
    columns = torch.where((columns >= 0) & (columns < length), columns, length)
    places = rows.new_zeros((*rows.shape[:2], length + 1))
    places = places.scatter_add(2, columns.unsqueeze(1).expand_as(rows), rows)[:, :, :length]
    result = rows.new_zeros((docs * count, rows.shape[1], length))
    result = result.index_add(0, segment.slots, places * segment.weights.view(-1, 1, 1))
    return result.view(docs, count, -1, length).permute(0, 3, 1, 2)


def _pool_context(encoded: Encoded, segments: Sequence[_Segment], heads: Tuple[int, int]) -> Tensor:
    """RETURNS (Tensor): each pair's context, *Shape* (docs, heads, entities, width)."""
    docs, count = encoded.starts.shape[:2]
    width = encoded.hidden.shape[2]
    number = heads[1] - heads[0]
    total: Any = None
    for segment in segments:
        # Entities are sorted.
        low, high = torch.searchsorted(segment.entities, torch.tensor(heads, device=segment.entities.device)).tolist()
        if low == high:
            continue
        attention = _attention(encoded, segment)
        # For each position, (heads of pairs, attention heads) x (attention heads, tails).
        weights = attention[:, :, low:high] @ attention.transpose(2, 3) / attention.shape[3]
        weights = weights.flatten(2).transpose(1, 2)
        hidden = encoded.hidden[:, segment.start : segment.end]
        part = torch.cat([weights @ hidden, weights.sum(dim=2, keepdim=True)], dim=2)
        if len(segments) == 1:
            total = part
            break
        if total is None:
            total = part.new_zeros((1, number * count, width + 1))
        first = (segment.entities[low:high] - heads[0]) * count
        total.index_add_(1, (first.unsqueeze(1) + segment.entities).flatten(), part)
    if total is None:
        return encoded.hidden.new_zeros((docs, number, count, width))
    mean: Tensor = total[..., :width] / (total[..., width:] + _EPSILON)
    return mean.view(docs, number, count, width)


def token_distances(clusters: Sequence[Sequence[Tuple[int, int]]]) -> np.ndarray:
    """How many tokens apart the nearest mentions of every two entities start.

    clusters (Sequence[Sequence[Tuple[int, int]]]): for each entity the token offsets of its mentions; none is empty.
    RETURNS (ndarray): int64, *Shape* (entities, entities).
    """
    if not clusters:
        return np.zeros((0, 0), dtype="int64")
    starts = np.array([mention[0] for cluster in clusters for mention in cluster])
    borders = np.cumsum([0, *(len(cluster) for cluster in clusters)])[:-1]
    between = np.abs(starts[:, None] - starts[None, :])
    return np.minimum.reduceat(np.minimum.reduceat(between, borders, axis=0), borders, axis=1)


def distance_buckets(clusters: Sequence[Sequence[Tuple[int, int]]]) -> np.ndarray:
    """The logarithm of `token_distances`, for each order of two entities.

    clusters (Sequence[Sequence[Tuple[int, int]]]): for each entity the token offsets of its mentions; none is empty.
    RETURNS (ndarray): int64 from 0 to `DISTANCES` - 1, *Shape* (entities, entities).
    """
    first = np.array([min(mention[0] for mention in cluster) for cluster in clusters])
    bucket = np.minimum(np.log2(token_distances(clusters) + 1).astype("int64"), DISTANCES // 2 - 1)
    buckets: np.ndarray = 2 * bucket + (first[:, None] > first[None, :])
    return buckets
