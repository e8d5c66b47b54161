"""Open-label relations: plain data in, scores out.

reader = OpenRelations.load("open_reader.safetensors", "path/to/all-MiniLM-L6-v2")
labels = [OpenLabel("founded_by", ("was founded by",), "HEAD is an organisation that TAIL founded.")]
states = reader.read_labels(labels)                       # once; kept
text = OpenText("Bill Gates founded Microsoft.", ((0, 10, "PERSON"), (19, 28, "ORG")))
scores = reader.score([text], labels, states)             # one array of (pairs, labels) a text: log-odds
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple, Union

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from ...instances import Instance
from ...llm.runtime.precision import mixed_precision
from ...training.tensors import plain_tensors
from .open_encoder import BertEncoder
from .open_reader import OpenReader, Packed, PairReader, TokenInput, pack
from .open_shim import find_encoder
from .open_tokens import TokenLayout, TypeVectors, type_words

WINDOW, STRIDE = 254, 128
WORDS_OF_BERT = "embeddings.word_embeddings.weight"
# Tokens that one pass of training reads at most, a longer text excepted.
MOST_TOKENS = 8192
# A score for what types do not allow, or for mentions too far apart for one window: as good as never.
NEVER = -30.0


@dataclass(frozen=True)
class OpenLabel:
    """A label that nobody trained on.

    name (str): its name.
    texts (Tuple[str, ...]): wordings that read between head and tail; readings of several are averaged.
    definition (str): what decides whether it holds, with "HEAD" and "TAIL" or "the head" and "the tail" in it.
    head_types, tail_types (Tuple[str, ...]): entity types it may have; all where empty.
    symmetric (bool): whether it holds in both directions.
    """

    name: str
    texts: Tuple[str, ...]
    definition: str = ""
    head_types: Tuple[str, ...] = ()
    tail_types: Tuple[str, ...] = ()
    symmetric: bool = False

    def allows(self, head: str, tail: str) -> bool:
        """Whether entities of these types may stand in it. What has no type may; components also ask `LabelSet`, where
        it may only if no type is asked for.
        """

        def fits(type_: str, types: Tuple[str, ...]) -> bool:
            return not types or not type_ or type_ in types

        if fits(head, self.head_types) and fits(tail, self.tail_types):
            return True
        return self.symmetric and fits(tail, self.head_types) and fits(head, self.tail_types)


@dataclass(frozen=True)
class OpenText:
    """A text with mentions.

    text (str): the text.
    mentions (Tuple[Tuple[int, int, str], ...]): characters from and to (exclusive), and entity type ("" where unknown).
    pairs (Optional[Tuple[Tuple[int, int], ...]]): ordered pairs of mention numbers to score. All by default.
    """

    text: str
    mentions: Tuple[Tuple[int, int, str], ...]
    pairs: Optional[Tuple[Tuple[int, int], ...]] = None

    def all_pairs(self) -> List[Tuple[int, int]]:
        """RETURNS (List[Tuple[int, int]]): the pairs to score, in order."""
        if self.pairs is not None:
            return list(self.pairs)
        numbers = range(len(self.mentions))
        return [(head, tail) for head in numbers for tail in numbers if head != tail]


class PairReadings(NamedTuple):
    """What was read of P pairs.

    vectors (np.ndarray): of unit length in each view, float32. *Shape:* (P, views)
    related (np.ndarray): how far each is related at all, float32; NaN where head and tail are too far apart for one
        window, or no token. *Shape:* (P,)
    """

    vectors: np.ndarray
    related: np.ndarray


def group_pairs(
    instances: Sequence[Instance], documents: Optional[Sequence[int]] = None
) -> Tuple[List[OpenText], List[Tuple[int, int, int]]]:
    """The texts of pairs, with the mentions of all pairs that share one.

    instances (Sequence[Instance]): the pairs.
    documents (Optional[Sequence[int]]): the number of each one's document; told by their ids where None. Two documents
        share no text, and a text has one type at each place, since what is read of a pair depends on both.
    RETURNS (Tuple[List[OpenText], List[Tuple[int, int, int]]]): the texts, and for every pair its text and the rows of
        its two directions there.
    """
    texts: List[str] = []
    mentions: List[Dict[Tuple[int, int, str], int]] = []
    types: List[Dict[Tuple[int, int], str]] = []
    pairs: List[Dict[Tuple[int, int], int]] = []
    numbers: Dict[Tuple[object, str], List[int]] = {}
    places = []
    owners: Sequence[object] = [instance.id for instance in instances] if documents is None else documents
    for instance, owner in zip(instances, owners):
        both = ((instance.first, instance.first_type), (instance.second, instance.second_type))
        known = numbers.setdefault((owner, instance.text), [])
        fitting = (n for n in known if all(types[n].get(place, type_) == type_ for place, type_ in both))
        number = next(fitting, len(texts))
        if number == len(texts):
            known.append(number)
            texts.append(instance.text)
            mentions.append({})
            types.append({})
            pairs.append({})
        own, asked = mentions[number], pairs[number]
        types[number].update(both)
        first, second = (own.setdefault((*place, type_), len(own)) for place, type_ in both)
        forward = asked.setdefault((first, second), len(asked))
        backward = asked.setdefault((second, first), len(asked))
        places.append((number, forward, backward))
    return [OpenText(*parts) for parts in zip(texts, map(tuple, mentions), map(tuple, pairs))], places


class OpenRelations:
    """A trained reader with its tokenizer.

    model (PairReader): the reader.
    layout (TokenLayout): how texts and labels are laid out for it.
    """

    def __init__(self, model: PairReader, layout: TokenLayout) -> None:
        self.model, self.layout = model.eval(), layout
        self._types = TypeVectors(layout, lambda: model.word_vectors)

    @classmethod
    def load(cls, weights: Union[str, Path], encoder: Optional[Path] = None) -> "OpenRelations":
        """weights (Union[str, Path]): what `save_weights` wrote.
        encoder (Optional[Path]): see `build`.
        """
        return cls.build(read_settings(weights), read_weights(weights), encoder)

    @classmethod
    @plain_tensors
    def build(
        cls, settings: Mapping[str, Any], weights: Mapping[str, Tensor], encoder: Optional[Path] = None
    ) -> "OpenRelations":
        """settings (Mapping[str, Any]): of the reader.
        weights (Mapping[str, Tensor]): all but the base model's, by name; with none, the reader is as it is before
            training.
        encoder (Optional[Path]): folder of all-MiniLM-L6-v2, for word vectors and tokenizer of a reader that has no
            other base model. Where it comes as a package by default.
        """
        model: PairReader
        if "backbone" in settings:
            from .open_models import ModelReader

            model = other = ModelReader(**settings)
            layout = other.layout()
        else:
            model = own = OpenReader(**settings)
            layout = take_words(own, encoder)
        if weights:
            model.load_own_state(weights)
        return cls(model, layout)

    @cached_property
    def base_hash(self) -> str:
        """RETURNS (str): SHA-256 of what is not saved, since it is the base model's."""
        return self.model.base_hash()

    @torch.inference_mode()
    def read_labels(self, labels: Sequence[OpenLabel], *, types: bool = True, batch_size: int = 64) -> Tensor:
        """Read labels, once for all texts.

        labels (Sequence[OpenLabel]): the labels.
        types (bool): tell the reader their entity types.
        RETURNS (Tensor): *Shape:* (L, views)
        """
        inputs = [self._statement(label, text, types) for label in labels for text in label.texts]
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i].ids))
        rows: List[Tensor] = [torch.empty(0)] * len(inputs)
        for first in range(0, len(order), batch_size):
            part = order[first : first + batch_size]
            for i, state in zip(part, self.model.read_labels(self._pack([inputs[i] for i in part])).cpu()):
                rows[i] = state
        return _average(rows, labels)

    def is_cut(self, label: OpenLabel) -> bool:
        """RETURNS (bool): whether a label has more words than are read."""
        return any(self.layout.is_cut(text, label.definition) for text in label.texts)

    def score(
        self,
        texts: Sequence[OpenText],
        labels: Sequence[OpenLabel],
        states: Tensor,
        *,
        types: bool = True,
        batch_size: int = 24,
    ) -> List[np.ndarray]:
        """Log-odds that a label holds of a pair.

        texts (Sequence[OpenText]): the texts.
        labels (Sequence[OpenLabel]): the labels, for their types and symmetry.
        states (Tensor): what `read_labels` gave for them.
        types (bool): tell the reader the entities' types, and never answer what types do not allow.
        RETURNS (List[np.ndarray]): for each text, float32 in the order of its pairs. *Shape:* (pairs, L)
        """
        pairs = self.read_pairs(texts, types=types, batch_size=batch_size)
        return by_text(self.match(pairs, states), texts, labels, types=types)

    @torch.inference_mode()
    def read_pairs(self, texts: Sequence[OpenText], *, types: bool = True, batch_size: int = 24) -> PairReadings:
        """Read texts, once for all labels.

        texts (Sequence[OpenText]): the texts.
        types (bool): tell the reader the entities' types.
        RETURNS (PairReadings): the pairs of all texts, one after the other.
        """
        firsts = np.cumsum([0, *(len(text.all_pairs()) for text in texts)])
        vectors = torch.zeros(int(firsts[-1]), sum(self.model.settings["views"]))
        related = torch.full((int(firsts[-1]),), float("nan"))
        windows = [window for number, text in enumerate(texts) for window in self._windows(number, text, types)]
        windows.sort(key=lambda window: len(window[1].ids))
        for first in range(0, len(windows), batch_size):
            part = windows[first : first + batch_size]
            inputs = [input_ for _, input_, _ in part]
            places = torch.tensor([int(firsts[number]) + row for number, _, rows in part for row in rows])
            read, sure = self.model.read_texts(self._pack(inputs))
            vectors[places], related[places] = read.cpu(), sure.cpu()
        return PairReadings(vectors.numpy(), related.numpy())

    @torch.inference_mode()
    def match(
        self, pairs: PairReadings, states: Tensor, *, unlikely: Optional[Tuple[float, float]] = None
    ) -> np.ndarray:
        """Match readings of pairs and labels.

        pairs (PairReadings): P pairs.
        states (Tensor): what `read_labels` gave. *Shape:* (L, views)
        unlikely (Optional[Tuple[float, float]]): see `OpenReader.score`.
        RETURNS (np.ndarray): log-odds, whatever types allow; NaN for pairs that could not be read. *Shape:* (P, L)
        """
        device = self.model.device
        vectors, related = (torch.from_numpy(part).to(device) for part in pairs)
        scores = self.model.score(vectors, related, states.to(device), unlikely=unlikely)
        array: np.ndarray = scores.float().cpu().numpy()
        return array

    def learn(
        self, texts: Sequence[OpenText], labels: Sequence[OpenLabel], *, most: int = MOST_TOKENS
    ) -> Iterator[Tuple[Tensor, List[Tuple[int, int]]]]:
        """Score texts with gradients, in as few passes as fit. Labels are read once for all of them, and learn from
        what has gone back through the scores when the last pass is asked for its successor.

        texts (Sequence[OpenText]): the texts.
        labels (Sequence[OpenLabel]): the labels.
        most (int): tokens of a pass.
        YIELDS (Tuple[Tensor, List[Tuple[int, int]]]): log-odds, as `OpenReader.score` gives them, *Shape* (pairs, L),
            and for each pair the number of its text and its place there. Pairs that no window holds are left out.
        """
        windows = [window for number, text in enumerate(texts) for window in self._windows(number, text, True)]
        statements = [self._statement(label, text, True) for label in labels for text in label.texts]
        if not windows or not statements:
            return
        precision = mixed_precision(self.model.device)
        with precision:
            states = _average(self.model.read_labels(self._pack(statements)), labels)
        leaf = states.detach().requires_grad_()
        for part in _portions(windows, most):
            inputs = [input_ for _, input_, _ in part]
            with precision:
                pairs, related = self.model.read_texts(self._pack(inputs))
            yield self.model.score(pairs, related, leaf), [(number, row) for number, _, rows in part for row in rows]
        if leaf.grad is not None:
            states.backward(leaf.grad)

    def _statement(self, label: OpenLabel, text: str, types: bool) -> TokenInput:
        heads, tails = (label.head_types, label.tail_types) if types else ((), ())
        return self.layout.statement(text, label.definition, heads, tails)

    def _windows(self, number: int, text: OpenText, types: bool) -> List[Tuple[int, TokenInput, List[int]]]:
        """A text as one or more inputs. RETURNS: its number, the input, and which of its pairs that input scores."""
        pairs = text.all_pairs()
        encoded = self.layout.tokenizer.encode(text.text, add_special_tokens=False)
        spans: List[Optional[Tuple[int, int]]] = []
        for start, end, _ in text.mentions:
            found = [i for i, (first, last) in enumerate(encoded.offsets) if first < end and last > start]
            spans.append((found[0], found[-1] + 1) if found else None)
        left = {row for row, pair in enumerate(pairs) if all(spans[i] is not None for i in pair)}
        out = []
        for first in range(0, max(1, len(encoded.ids)), STRIDE):
            last = first + WINDOW
            inside = [i for i, span in enumerate(spans) if span is not None and first <= span[0] and span[1] <= last]
            place = {i: k for k, i in enumerate(inside)}
            rows = sorted(row for row in left if pairs[row][0] in place and pairs[row][1] in place)
            left.difference_update(rows)
            if rows:
                mentions = []
                for i in inside:
                    start, end = spans[i]  # type: ignore[misc]
                    name = text.mentions[i][2]
                    mentions.append((start - first, end - first, type_words(name) if types and name else ""))
                chosen = [(place[pairs[row][0]], place[pairs[row][1]]) for row in rows]
                out.append((number, self.layout.text(encoded.ids[first:last], mentions, chosen), rows))
            if last >= len(encoded.ids):
                break
        return out

    def _pack(self, inputs: Sequence[TokenInput]) -> Packed:
        return pack(inputs, self._types(inputs)).to(self.model.device)


def by_text(
    scores: np.ndarray, texts: Sequence[OpenText], labels: Sequence[OpenLabel], *, types: bool = True
) -> List[np.ndarray]:
    """Scores of the pairs of all texts as one array a text, symmetric labels the same both ways.

    scores (np.ndarray): as `OpenRelations.match` gives them. *Shape:* (P, L)
    types (bool): never answer what types do not allow.
    RETURNS (List[np.ndarray]): for each text in the order of its pairs; `NEVER` for pairs that could not be read.
        *Shape:* (pairs, L)
    """
    scores = np.where(np.isnan(scores), np.float32(NEVER), scores)
    out = np.split(scores, np.cumsum([len(text.all_pairs()) for text in texts])[:-1]) if len(texts) else []
    for text, array in zip(texts, out):
        _both_ways(array, text.all_pairs(), labels)
        if types:
            _allow(array, text, labels)
    return out


def _average(rows: Union[Tensor, Sequence[Tensor]], labels: Sequence[OpenLabel]) -> Tensor:
    """RETURNS (Tensor): the mean of the readings of each label's wordings. *Shape:* (L, views)"""
    groups = _split(list(rows), [len(label.texts) for label in labels])
    return torch.stack([torch.stack(list(group)).mean(0) for group in groups])


def _portions(
    windows: Sequence[Tuple[int, TokenInput, List[int]]], most: int
) -> Iterator[List[Tuple[int, TokenInput, List[int]]]]:
    """Windows of like length together, as many as have so many tokens in all, or one that is longer."""
    part: List[Tuple[int, TokenInput, List[int]]] = []
    size = 0
    for window in sorted(windows, key=lambda window: len(window[1].ids)):
        if part and size + len(window[1].ids) > most:
            yield part
            part, size = [], 0
        part.append(window)
        size += len(window[1].ids)
    yield part


def _split(rows: Sequence[Tensor], sizes: Sequence[int]) -> List[Sequence[Tensor]]:
    out, at = [], 0
    for size in sizes:
        out.append(rows[at : at + size])
        at += size
    return out


def _both_ways(scores: np.ndarray, pairs: Sequence[Tuple[int, int]], labels: Sequence[OpenLabel]) -> None:
    """A symmetric label's score is the mean of both directions', where both are asked."""
    columns = [i for i, label in enumerate(labels) if label.symmetric]
    rows = {pair: row for row, pair in enumerate(pairs)}
    for (head, tail), row in rows.items():
        back = rows.get((tail, head))
        if columns and head < tail and back is not None:
            mean = (scores[row, columns] + scores[back, columns]) / 2
            scores[row, columns] = mean
            scores[back, columns] = mean


def _allow(scores: np.ndarray, text: OpenText, labels: Sequence[OpenLabel]) -> None:
    """What types do not allow never holds."""
    allowed: Dict[Tuple[str, str], np.ndarray] = {}
    for row, (head, tail) in enumerate(text.all_pairs()):
        key = text.mentions[head][2], text.mentions[tail][2]
        if key not in allowed:
            allowed[key] = np.array([label.allows(*key) for label in labels], dtype=bool)
        scores[row, ~allowed[key]] = NEVER


# Weights


class WithOwnState(Protocol):
    """A model whose base model's weights are kept apart."""

    settings: Dict[str, Any]

    def own_state(self) -> Dict[str, Tensor]:
        """RETURNS (Dict[str, Tensor]): all weights but the base model's, by name."""
        ...


def save_weights(model: WithOwnState, path: Union[str, Path], metadata: Optional[Dict[str, str]] = None) -> None:
    """Write a model's own weights: matrices in 8 bits with a scale for each row, the rest in half precision."""
    tensors: Dict[str, Tensor] = {}
    for name, value in model.own_state().items():
        value = value.detach().float().cpu()
        if value.dim() == 2 and value.numel() > 4096:
            scale = value.abs().amax(1, keepdim=True).clamp(min=1e-12) / 127
            tensors[name] = (value / scale).round().to(torch.int8)
            tensors[f"{name}_scale"] = scale.squeeze(1)
        else:
            tensors[name] = value.half() if value.dim() else value
    save_file(tensors, str(path), metadata={"settings": json.dumps(model.settings), **(metadata or {})})


def read_settings(path: Union[str, Path]) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the settings of the model whose weights a file has."""
    with safe_open(str(path), "pt") as file_:
        settings: Dict[str, Any] = json.loads(file_.metadata()["settings"])
    return settings


def take_words(model: BertEncoder, encoder: Optional[Path] = None) -> TokenLayout:
    """Give a model the word vectors of all-MiniLM-L6-v2.

    model (BertEncoder): the model.
    encoder (Optional[Path]): folder of all-MiniLM-L6-v2. Where it comes as a package by default.
    RETURNS (TokenLayout): how texts are laid out for it, by that encoder's tokenizer.
    """
    encoder = encoder or find_encoder()
    model.words.weight.data = load_file(str(encoder / "model.safetensors"))[WORDS_OF_BERT].float()
    tokenizer = Tokenizer.from_file(str(encoder / "tokenizer.json"))
    before, after = ([tokenizer.token_to_id(token)] for token in ("[CLS]", "[SEP]"))
    return TokenLayout(tokenizer, before, after)


def read_weights(path: Union[str, Path]) -> Dict[str, Tensor]:
    """RETURNS (Dict[str, Tensor]): what `save_weights` wrote, in 32 bits."""
    tensors = load_file(str(path))
    state = {}
    for name, value in tensors.items():
        if name.endswith("_scale"):
            continue
        scale = tensors.get(f"{name}_scale")
        state[name] = value.float() if scale is None else value.float() * scale[:, None]
    return state
