"""What examples tell of open labels, beyond the labels' words.

Each label with examples gets a logistic regression over the reader's vectors of pairs, which starts from the reader's
score:

    log-odds(pair, label) = score(pair, label) + (vector(pair) - centre) . weights(label)

The weights are those that make the examples' answers likeliest, under a normal prior around zero (Chen and Rosenfeld
1999, "A Gaussian prior for smoothing maximum entropy models"). So an example counts as far as the score was wrong on
it, several count more than one, and what is like none of them keeps its score. All looked-at pairs of the examples'
documents that do not hold a label count against it. A label without an example of its own keeps its scores.

The centre is the mean vector of all pairs, which any two have in common; it and the prior's variance are fitted on
schemas that the reader was not trained on, and come with its weights.
"""

import base64
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Set, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from ...instances import Instance
from ...labels import LabelSet
from ...retrieval.texts import normalise
from ...training.tensors import plain_tensors
from .open_labels import NEVER, OpenText, PairReadings
from .open_states import Readings

# Steps of L-BFGS. The problem is convex, and a few dozen reach the optimum.
STEPS = 60
# Texts that are read at once, and from how many on progress is shown.
_CHUNK, _LONG = 256, 1000


class ExampleSettings(NamedTuple):
    """What is fitted with a reader's weights.

    centre (np.ndarray): the mean vector of pairs, float32. *Shape:* (views,)
    variance (float): of the prior of each weight, above 0.
    """

    centre: np.ndarray
    variance: float

    @classmethod
    def of(cls, known: Mapping[str, Any], kind: str) -> "ExampleSettings":
        """known (Mapping[str, Any]): `examples` of the file beside the weights.
        kind (str): "types" or "no_types".
        RETURNS (ExampleSettings): the settings.
        """
        return cls(unpack_vector(known["centre"]), float(known[kind]["variance"]))


def pack_vector(vector: np.ndarray) -> str:
    """RETURNS (str): a vector as base64 of half-precision numbers, the lowest byte first. *Shape:* (n,)"""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii")


def unpack_vector(text: str) -> np.ndarray:
    """RETURNS (np.ndarray): what `pack_vector` wrote, float32. *Shape:* (n,)"""
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype("float32")


@dataclass(frozen=True)
class Evidence:
    """What examples tell of labels.

    weights (np.ndarray): float32; zeros for labels without examples. *Shape:* (L, views)
    shares (np.ndarray): what each pair of the examples adds to them, as a multiple of its vector. *Shape:* (P, L)
    vectors (np.ndarray): of these pairs, around the centre. *Shape:* (P, views)
    rows (Mapping[str, Set[int]]): which of them belong to a text (`normalise`) or to a document's id.
    centre (np.ndarray): the centre. *Shape:* (views,)
    """

    weights: np.ndarray
    shares: np.ndarray
    vectors: np.ndarray
    rows: Mapping[Tuple[str, str], Set[int]]
    centre: np.ndarray

    def added(self, vectors: np.ndarray, texts: Sequence[OpenText], ids: Sequence[Set[str]]) -> np.ndarray:
        """What is added to the log-odds of pairs. A text is told nothing by examples of its own text or id.

        vectors (np.ndarray): of the pairs of all texts, one after the other. *Shape:* (Q, views)
        texts (Sequence[OpenText]): the texts.
        ids (Sequence[Set[str]]): the ids of the documents that each is from.
        RETURNS (np.ndarray): float32. *Shape:* (Q, L)
        """
        vectors = vectors - self.centre
        out: np.ndarray = vectors @ self.weights.T
        at = 0
        for text, own_ids in zip(texts, ids):
            count = len(text.all_pairs())
            keys = [_text_key(text.text), *map(_id_key, own_ids)]
            own = sorted(set().union(*(self.rows.get(key, ()) for key in keys)))
            if own:
                out[at : at + count] -= vectors[at : at + count] @ (self.vectors[own].T @ self.shares[own])
            at += count
        return out


def read_examples(
    read: Callable[[Sequence[OpenText]], PairReadings], texts: Sequence[OpenText], known: Readings
) -> Tuple[PairReadings, Readings]:
    """Read the examples' texts that were not read before.

    read (Callable[[Sequence[OpenText]], PairReadings]): reads texts.
    texts (Sequence[OpenText]): the texts.
    known (Readings): vectors and relatedness of what was read, by `reading_key`.
    RETURNS (Tuple[PairReadings, Readings]): the pairs of all texts, and what is to be kept of them.
    """
    keys = [reading_key(text) for text in texts]
    kept = {key: known[key] for key in keys if key in known}
    missing = {key: text for key, text in zip(keys, texts) if key not in kept}
    names = list(missing)
    with tqdm(total=len(names), desc="Reading examples", disable=len(names) < _LONG) as bar:
        for first in range(0, len(names), _CHUNK):
            part = [missing[name] for name in names[first : first + _CHUNK]]
            pairs = read(part)
            at = 0
            for name, text in zip(names[first : first + _CHUNK], part):
                until = at + len(text.all_pairs())
                # Half precision, before a file is written as after it: scores are the same then.
                kept[name] = pairs.vectors[at:until].astype("float16"), pairs.related[at:until].copy()
                at = until
            bar.update(len(part))
    vectors, related = (np.concatenate([kept[key][i] for key in keys]).astype("float32") for i in (0, 1))
    return PairReadings(vectors, related), kept


def reading_key(text: OpenText) -> str:
    """RETURNS (str): hash of a text and its pairs."""
    return hashlib.sha256(json.dumps([text.text, text.mentions, text.pairs]).encode("utf8")).hexdigest()


def weigh(
    examples: Sequence[Instance],
    places: Sequence[Tuple[int, int, int]],
    firsts: Sequence[int],
    pairs: PairReadings,
    scores: np.ndarray,
    labels: LabelSet,
    settings: ExampleSettings,
) -> Evidence:
    """Find the weights.

    examples (Sequence[Instance]): pairs with their answers.
    places (Sequence[Tuple[int, int, int]]): for each, its text and the rows of its two directions there.
    firsts (Sequence[int]): where each text's rows begin among those of all.
    pairs (PairReadings): what was read of all rows, P of them.
    scores (np.ndarray): calibrated log-odds of all rows; `NEVER` or less where types allow no answer. *Shape:* (P, L)
    labels (LabelSet): the labels.
    settings (ExampleSettings): centre and variance.
    RETURNS (Evidence): what the examples tell.
    """
    column = {name: number for number, name in enumerate(labels)}
    classes = [next(i for i, answer in enumerate(labels.classes) if answer and answer.label == name) for name in labels]
    holds, known = np.zeros(scores.shape, dtype=bool), np.zeros(scores.shape, dtype=bool)
    rows: Dict[Tuple[str, str], Set[int]] = {}
    for example, (text, ahead, back) in zip(examples, places):
        both = [firsts[text] + ahead, firsts[text] + back]
        known[both] |= np.array(labels.known(example))[classes]
        for answer in example.answers or ():
            ways = both if labels.specs[answer.label].symmetric else [both[answer.reversed]]
            holds[ways, column[answer.label]] = True
        keys = [_text_key(example.text), *([_id_key(example.id)] if example.id else [])]
        for key in keys:
            rows.setdefault(key, set()).update(both)
    known &= (scores > NEVER) & ~np.isnan(pairs.related)[:, None]
    vectors = pairs.vectors - settings.centre
    weights, shares = learn(vectors, scores, holds, known, settings.variance)
    return Evidence(weights, shares, vectors, rows, settings.centre)


@plain_tensors
def learn(
    vectors: np.ndarray, scores: np.ndarray, holds: np.ndarray, known: np.ndarray, variance: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Logistic regression for each label that holds of a pair, from scores, under a normal prior.

    vectors (np.ndarray): *Shape:* (P, views)
    scores, holds, known (np.ndarray): log-odds; whether the label holds; whether that is known. *Shape:* (P, L)
    variance (float): of the prior.
    RETURNS (Tuple[np.ndarray, np.ndarray]): weights, *Shape:* (L, views), and by how much each pair's vector was
        multiplied in them, *Shape:* (P, L). Both float32.
    """
    weights = np.zeros((scores.shape[1], vectors.shape[1]), dtype="float32")
    shares = np.zeros(scores.shape, dtype="float32")
    columns, used = np.flatnonzero((holds & known).any(0)), np.flatnonzero(known.any(1))
    if not len(columns):
        return weights, shares
    cells = np.ix_(used, columns)
    features = torch.from_numpy(vectors[used]).float() * math.sqrt(variance)
    start, target, asked = (torch.from_numpy(array[cells]).float() for array in (scores, holds, known))
    solution = torch.zeros(len(columns), features.shape[1], requires_grad=True)
    optimizer = torch.optim.LBFGS([solution], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        odds = start + features @ solution.T
        losses = F.binary_cross_entropy_with_logits(odds, target, reduction="none")
        loss = (asked * losses).sum() + (solution**2).sum() / 2
        loss.backward()
        return loss

    optimizer.step(closure)
    found = solution.detach()
    weights[columns] = (found * math.sqrt(variance)).numpy()
    shares[cells] = (variance * asked * (target - torch.sigmoid(start + features @ found.T))).numpy()
    return weights, shares


def _text_key(text: str) -> Tuple[str, str]:
    return "text", normalise(text)


def _id_key(id_: str) -> Tuple[str, str]:
    return "id", id_


def first_rows(texts: Sequence[OpenText]) -> List[int]:
    """RETURNS (List[int]): where each text's pairs begin among those of all."""
    return [int(first) for first in np.cumsum([0, *(len(text.all_pairs()) for text in texts)])[:-1]]
