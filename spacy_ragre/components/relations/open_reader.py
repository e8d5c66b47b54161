"""An encoder that reads relations under any labels: a torch module, and how its input is laid out.

A text is read once, with all its mentions marked. A label is read once, as a statement with two placeholders ("head was
founded by tail: the head is an organisation that ..."), by the same encoder and the same pair layers. A score matches
the two readings: head with head, tail with tail, and what lies between with what the label says. A label's reading
depends on nothing but the label, so it is kept, and number and order of labels change no score.

A pair's attention over its text follows ATLOP (arXiv 2010.11304); head, tail and context are matched apart as in
RE-Matching (arXiv 2306.04954); a small network over the products corrects the sum of the three.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .open_encoder import BertEncoder

# What a token is marked as.
NONE, BEGIN, INSIDE, HEAD, TAIL = range(5)
# Token distances from a mention at which a new bucket begins: far before it, ..., inside it, ..., far after it.
EDGES = (-20, -8, -3, 0, 1, 4, 9, 21)
BUCKETS = len(EDGES) + 1
# Products of unit vectors are small; the matching network sees them at about unit size.
MATCH_SCALE = 200.0


@dataclass(frozen=True)
class TokenInput:
    """A text or a label as token ids.

    ids (Sequence[int]): with [CLS] and [SEP].
    mentions (Sequence[Tuple[int, int, str]]): first token, token after the last, words of the entity type ("" where
        unknown).
    pairs (Sequence[Tuple[int, int]]): ordered pairs of mention numbers.
    is_label (bool): a label's two mentions are its placeholders, and its one pair is (0, 1).
    """

    ids: Sequence[int]
    mentions: Sequence[Tuple[int, int, str]]
    pairs: Sequence[Tuple[int, int]]
    is_label: bool = False


@dataclass(frozen=True)
class Chunk:
    """Sequences of like length, padded together for attention: n of all tokens in b rows of w.

    rows (Tensor): numbers of the sequences. *Shape:* (b,)
    tokens (Tensor): numbers of their tokens. *Shape:* (n,)
    places (Tensor): where each stands in the padded rows. *Shape:* (n,)
    mask (Tensor): whether a token stands there. *Shape:* (b, w)
    """

    rows: Tensor
    tokens: Tensor
    places: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Packed:
    """A batch without padding: N tokens of B sequences of at most W tokens, M mentions, P pairs, at most Q a sequence.

    ids, columns, marks, types (Tensor): a token's id, its place in its sequence, its mark and its row in `type_table`.
        *Shape:* (N,)
    places (Tensor): sequence * W + column. *Shape:* (N,)
    type_table (Tensor): a vector for each entity type; the first is zero. *Shape:* (types, width)
    mask (Tensor): whether a token stands there. *Shape:* (B, W)
    mention_tokens, mention_of (Tensor): token numbers of all mentions one after the other, and whose they are.
    mention_start, mention_end (Tensor): columns, the end exclusive. *Shape:* (M,)
    pairs (Tensor): mention numbers of head and tail. *Shape:* (P, 2)
    pair_places (Tensor): sequence * Q + place in the sequence. *Shape:* (P,)
    size (Tuple[int, int, int]): B, W and Q.
    chunks (List[Chunk]): the sequences by length.
    back (Tensor): where each token stands in the chunks laid end to end. *Shape:* (N,)
    """

    ids: Tensor
    columns: Tensor
    marks: Tensor
    types: Tensor
    places: Tensor
    type_table: Tensor
    mask: Tensor
    mention_tokens: Tensor
    mention_of: Tensor
    mention_start: Tensor
    mention_end: Tensor
    pairs: Tensor
    pair_places: Tensor
    size: Tuple[int, int, int]
    chunks: List[Chunk]
    back: Tensor

    def to(self, device: torch.device) -> "Packed":
        """RETURNS (Packed): the batch on a device; itself where it is there."""
        if self.ids.device == device:
            return self
        parts: Dict[str, Any] = _moved(self, device)
        return replace(self, **parts, chunks=[Chunk(**_moved(chunk, device)) for chunk in self.chunks])


def _moved(value: Union[Chunk, Packed], device: torch.device) -> Dict[str, Tensor]:
    return {name: part.to(device) for name, part in vars(value).items() if isinstance(part, Tensor)}


class PairLayer(nn.Module):
    """A pair looks at its text: attention from head and tail over all tokens, biased by where they stand to both."""

    def __init__(self, width: int, heads: int, inner: int, first: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(2 * width if first else width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.where = nn.Embedding(BUCKETS * BUCKETS, heads)
        self.out = nn.Linear(width, width)
        self.base = nn.Linear(2 * width, width) if first else None
        self.norm1 = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.norm2 = nn.LayerNorm(width)
        nn.init.zeros_(self.where.weight)

    def forward(self, pairs: Tensor, states: Tensor, batch: Packed, buckets: Tensor) -> Tensor:
        """pairs (Tensor): head and tail for the first layer, else the layer before.
            *Shape:* (P, 2 * width) or (P, width)
        states (Tensor): of the tokens. *Shape:* (N, width)
        buckets (Tensor): where tokens stand to head and tail. *Shape:* (B, Q, W)
        RETURNS (Tensor): *Shape:* (P, width)
        """
        rows, columns, most = batch.size
        width = states.shape[1]
        size = width // self.heads
        kv = self.kv(states)
        kv = kv.new_zeros(rows * columns, 2 * width).index_copy(0, batch.places, kv)
        key, value = kv.view(rows, columns, 2, self.heads, size).permute(2, 0, 3, 1, 4)
        query = self.q(pairs)
        query = query.new_zeros(rows * most, width).index_copy(0, batch.pair_places, query)
        query = query.view(rows, most, self.heads, size).transpose(1, 2)
        bias = self.where.weight.to(query.dtype)[buckets].permute(0, 3, 1, 2)
        bias = bias.masked_fill(~batch.mask[:, None, None, :], -1e4)
        mixed = torch.softmax(query @ key.transpose(-1, -2) / math.sqrt(size) + bias, -1) @ value
        mixed = mixed.transpose(1, 2).reshape(rows * most, width).index_select(0, batch.pair_places)
        start = pairs if self.base is None else self.base(pairs)
        seen = self.norm1(start + self.out(mixed))
        out: Tensor = self.norm2(seen + self.down(F.gelu(self.up(seen))))
        return out


class PairReader(nn.Module):
    """Scores of (pair, label) from readings of texts and labels, whatever gives the states of their tokens. Subclasses
    give `_encode`, `words` and `set_dropout`.

    inside (int): width of the word vectors, to which marks and types are added.
    width (int): of the states of tokens.
    pair_layers (int): how often a pair looks at its text.
    views (Sequence[int]): width of what head, tail and context are matched by.
    fuse (int): width of the network over products; 0 for none.
    """

    #: The arguments that make a reader like this one.
    settings: Dict[str, Any]

    def __init__(self, inside: int, width: int, pair_layers: int, views: Sequence[int], fuse: int) -> None:
        super().__init__()
        self.marks = nn.Embedding(5, inside)
        self.type_proj = nn.Linear(inside, inside, bias=False)
        # The encoder begins as the one whose weights it takes: marks and types add nothing yet.
        nn.init.zeros_(self.marks.weight)
        nn.init.zeros_(self.type_proj.weight)
        self.pair = nn.ModuleList(PairLayer(width, 8, 2 * width, i == 0) for i in range(pair_layers))
        self.view_text = nn.ModuleList(nn.Linear(width, view) for view in views)
        self.view_label = nn.ModuleList(nn.Linear(width, view) for view in views)
        for text, label in zip(self.view_text, self.view_label):
            label.load_state_dict(text.state_dict())
        self.scale = nn.Parameter(torch.tensor([6.0, 6.0, 10.0]))
        self.bias = nn.Parameter(torch.tensor(-4.0))
        self.related = nn.Linear(width, 1)
        nn.init.zeros_(self.related.weight)
        nn.init.zeros_(self.related.bias)
        self.match: Optional[nn.Sequential] = None
        if fuse:
            last = nn.Linear(fuse, 1)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.match = nn.Sequential(nn.Linear(sum(views), fuse), nn.GELU(), last)

    @property
    def device(self) -> torch.device:
        """RETURNS (torch.device): where the weights are."""
        return self.bias.device

    @property
    def word_vectors(self) -> Tensor:
        """RETURNS (Tensor): the base model's, which stay as they are. *Shape:* (vocabulary, inside)"""
        raise NotImplementedError

    def base_hash(self) -> str:
        """RETURNS (str): SHA-256 of what is not saved, since it is the base model's."""
        raise NotImplementedError

    def own_state(self) -> Dict[str, Tensor]:
        """RETURNS (Dict[str, Tensor]): all weights but the base model's, by name."""
        return dict(self.state_dict())

    def load_own_state(self, state: Mapping[str, Tensor]) -> None:
        """state (Mapping[str, Tensor]): what `own_state` gave."""
        self.load_state_dict(dict(state))

    def set_dropout(self, dropout: float) -> None:
        """dropout (float): in the encoder, while training."""
        raise NotImplementedError

    def read_texts(self, batch: Packed) -> Tuple[Tensor, Tensor]:
        """RETURNS (Tuple[Tensor, Tensor]): a reading of every pair, of unit length in each view, and how far the pair
        is related at all. *Shape:* (P, views) and (P,)
        """
        views = self._read(batch)
        parts = [F.normalize(proj(view).float(), dim=-1) for proj, view in zip(self.view_text, views)]
        return torch.cat(parts, 1), self.related(views[2]).float().squeeze(1)

    def read_labels(self, batch: Packed) -> Tensor:
        """RETURNS (Tensor): a reading of every label, of unit length in each view. *Shape:* (L, views)"""
        parts = zip(self.view_label, self._read(batch))
        return torch.cat([F.normalize(proj(view).float(), dim=-1) for proj, view in parts], 1)

    def score(
        self,
        pairs: Tensor,
        related: Tensor,
        labels: Tensor,
        *,
        unlikely: Optional[Tuple[float, float]] = None,
        most: int = 4096,
    ) -> Tensor:
        """Log-odds that labels hold: the sum of three matches, corrected by the network over products.

        pairs (Tensor): readings of pairs. *Shape:* (P, views)
        related (Tensor): *Shape:* (P,)
        labels (Tensor): readings of labels. *Shape:* (L, views)
        unlikely (Optional[Tuple[float, float]]): the network is asked only where the sum is above the first number,
            which most of many labels are not; its correction counts in full from the second number on, and grows
            between the two, so that scores have no jump. None to ask it always.
        most (int): how many products are laid out at once.
        RETURNS (Tensor): *Shape:* (P, L)
        """
        sizes = [proj.out_features for proj in self.view_text]
        weight = torch.cat([scale.expand(size) for scale, size in zip(self.scale, sizes)])
        scores = related[:, None] + self.bias + (pairs * weight) @ labels.T
        if self.match is None or not len(pairs):
            return scores
        if unlikely is not None:
            low, high = unlikely
            share = ((scores - low) / (high - low)).clamp(max=1.0)
            rows, columns = (share > 0).nonzero(as_tuple=True)
            added = [
                self.match(pairs[row] * MATCH_SCALE * labels[column]).squeeze(-1)
                for row, column in zip(rows.split(most), columns.split(most))
            ]
            return scores.index_put((rows, columns), torch.cat(added) * share[rows, columns], accumulate=True)
        step = max(1, most // max(1, len(labels)))
        parts = [self.match((part * MATCH_SCALE)[:, None, :] * labels[None]).squeeze(-1) for part in pairs.split(step)]
        return scores + torch.cat(parts)

    def _encode(self, batch: Packed) -> Tensor:
        """RETURNS (Tensor): a state of every token. *Shape:* (N, width)"""
        raise NotImplementedError

    def _read(self, batch: Packed) -> Tuple[Tensor, Tensor, Tensor]:
        """RETURNS (Tuple[Tensor, Tensor, Tensor]): head, tail and context of every pair. *Shape:* (P, width) each"""
        states = self._encode(batch)
        rows, columns, most = batch.size
        count = batch.mention_start.shape[0]
        total = states.new_zeros(count, states.shape[1])
        total = total.index_add(0, batch.mention_of, states.index_select(0, batch.mention_tokens))
        mentions = total / (batch.mention_end - batch.mention_start)[:, None].to(states.dtype)
        head, tail = mentions[batch.pairs[:, 0]], mentions[batch.pairs[:, 1]]
        buckets = torch.zeros(rows * most, columns, dtype=torch.long, device=states.device)
        buckets[batch.pair_places] = self._bucket(batch, batch.pairs[:, 0]) * BUCKETS + self._bucket(
            batch, batch.pairs[:, 1]
        )
        context = torch.cat([head, tail], 1)
        for layer in self.pair:
            context = layer(context, states, batch, buckets.view(rows, most, columns))
        return head, tail, context

    @staticmethod
    def _bucket(batch: Packed, mentions: Tensor) -> Tensor:
        """RETURNS (Tensor): where each column stands to a mention. *Shape:* (P, W)"""
        columns = torch.arange(batch.size[1], device=mentions.device)[None]
        before = columns - batch.mention_start[mentions][:, None]
        after = columns - batch.mention_end[mentions][:, None] + 1
        distance = torch.where(before < 0, before, torch.where(after > 0, after, 0))
        return torch.bucketize(distance, torch.tensor(EDGES, device=mentions.device), right=True)


class OpenReader(BertEncoder, PairReader):
    """Reads by a BERT of its own.

    vocab, width, heads, inner, layers (int): the encoder's, as in BERT. Its word vectors stay as they are.
    dropout (float): in the encoder, while training.
    pair_layers, views, fuse: see `PairReader`.
    """

    def __init__(
        self,
        *,
        vocab: int = 30522,
        width: int = 384,
        heads: int = 12,
        inner: int = 1536,
        layers: int = 6,
        dropout: float = 0.1,
        pair_layers: int = 2,
        views: Sequence[int] = (192, 192, 384),
        fuse: int = 256,
    ) -> None:
        super().__init__(width, width, pair_layers, views, fuse)
        self.settings = dict(vocab=vocab, width=width, heads=heads, inner=inner, layers=layers, dropout=dropout)
        self.settings.update(pair_layers=pair_layers, views=list(views), fuse=fuse)
        self._make_encoder(vocab, width, heads, inner, layers, dropout)

    @property
    def word_vectors(self) -> Tensor:
        return self.words.weight

    def base_hash(self) -> str:
        return hashlib.sha256(self.words.weight.detach().cpu().numpy().tobytes()).hexdigest()

    def set_dropout(self, dropout: float) -> None:
        """dropout (float): in the encoder, while training."""
        self.dropout = dropout
        for layer in self.layers:
            layer.dropout = dropout  # type: ignore[assignment]

    def _encode(self, batch: Packed) -> Tensor:
        """RETURNS (Tensor): a state of every token. *Shape:* (N, width)"""
        return self._encode_with(batch, self.marks(batch.marks), self.type_proj(batch.type_table)[batch.types])


def pack(inputs: Sequence[TokenInput], type_vectors: Dict[str, Tensor]) -> Packed:
    """Lay a batch out.

    inputs (Sequence[TokenInput]): texts or labels, at least one.
    type_vectors (Dict[str, Tensor]): a vector for the words of every entity type that occurs. *Shape:* (width,) each
    RETURNS (Packed): the batch.
    """
    sizes = [len(item.ids) for item in inputs]
    columns = max(sizes)
    most = max(1, max(len(item.pairs) for item in inputs))
    names = {"": 0}
    ids: List[int] = []
    marks: List[int] = []
    types: List[int] = []
    column: List[int] = []
    places: List[int] = []
    tokens: List[int] = []
    of: List[int] = []
    starts: List[int] = []
    ends: List[int] = []
    pairs: List[Tuple[int, int]] = []
    pair_places: List[int] = []
    for row, item in enumerate(inputs):
        first, before = len(ids), len(starts)
        ids += item.ids
        column += range(sizes[row])
        places += range(row * columns, row * columns + sizes[row])
        marks += [NONE] * sizes[row]
        types += [0] * sizes[row]
        # Where mentions overlap, a token has the type of the shortest, in whatever order they come.
        for start, end, type_ in sorted(item.mentions, key=lambda mention: (mention[0] - mention[1], mention)):
            types[first + start : first + end] = [names.setdefault(type_, len(names))] * (end - start)
        for number, (start, end, _) in enumerate(item.mentions):
            for token in range(first + start, first + end):
                if item.is_label:
                    marks[token] = (HEAD, TAIL)[number]
                elif token == first + start:
                    marks[token] = BEGIN
                elif marks[token] == NONE:
                    marks[token] = INSIDE
                tokens.append(token)
                of.append(before + number)
            starts.append(start)
            ends.append(end)
        pairs += [(before + head, before + tail) for head, tail in item.pairs]
        pair_places += range(row * most, row * most + len(item.pairs))
    table = [type_vectors[name] for name in list(names)[1:]]
    width = next(iter(type_vectors.values())).shape[0] if type_vectors else 0
    size = len(inputs), columns, most
    mask = torch.arange(columns)[None] < torch.tensor(sizes)[:, None]
    chunks, back = _chunks(sizes)
    return Packed(
        ids=torch.tensor(ids),
        columns=torch.tensor(column),
        marks=torch.tensor(marks),
        types=torch.tensor(types),
        places=torch.tensor(places),
        type_table=torch.stack([torch.zeros(width), *table]),
        mask=mask,
        mention_tokens=torch.tensor(tokens, dtype=torch.long),
        mention_of=torch.tensor(of, dtype=torch.long),
        mention_start=torch.tensor(starts, dtype=torch.long),
        mention_end=torch.tensor(ends, dtype=torch.long),
        pairs=torch.tensor(pairs, dtype=torch.long).view(-1, 2),
        pair_places=torch.tensor(pair_places, dtype=torch.long),
        size=size,
        chunks=chunks,
        back=back,
    )


def _chunks(sizes: Sequence[int]) -> Tuple[List[Chunk], Tensor]:
    """Rows by like length, so that little padding is attended to."""
    firsts = [0]
    for size in sizes:
        firsts.append(firsts[-1] + size)
    groups: List[List[int]] = []
    for row in sorted(range(len(sizes)), key=lambda row: sizes[row]):
        if groups and sizes[row] <= 1.35 * sizes[groups[-1][0]] + 4:
            groups[-1].append(row)
        else:
            groups.append([row])
    chunks = []
    for group in groups:
        width = max(sizes[row] for row in group)
        tokens = [firsts[row] + i for row in group for i in range(sizes[row])]
        places = [number * width + i for number, row in enumerate(group) for i in range(sizes[row])]
        mask = torch.arange(width)[None] < torch.tensor([sizes[row] for row in group])[:, None]
        chunks.append(Chunk(torch.tensor(group), torch.tensor(tokens), torch.tensor(places), mask))
    back = torch.empty(firsts[-1], dtype=torch.long)
    back[torch.cat([chunk.tokens for chunk in chunks])] = torch.arange(firsts[-1])
    return chunks, back
