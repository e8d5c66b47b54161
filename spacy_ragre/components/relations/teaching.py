"""Answers that teach: each pair is answered several times, and what the answers agree on is written, with how many do.

An answer is the whole of what a pair holds. The one that most samples give is taken (self-consistency, Wang et al.
2023, arXiv 2203.11171), and its share of all samples is the score of the pair's relations and the weight of the pair in
training, of one without a relation, too.
"""

import zlib
from collections import Counter
from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple

from ...calibration.settings import Calibration
from ...calibration.thresholds import decisions, limits
from ...candidates import Candidate
from ...errors import Errors
from ...labels import LabelSet
from ...llm.remote.backbone import Documents, RemoteLM
from ...llm.remote.questions import Draw
from ...retrieval import Neighbour
from .annotations import RelationPrediction, allowed_classes, gather
from .decisions import MultiLabel, model_probabilities

if TYPE_CHECKING:
    import numpy as np

    from .predictor import RelationPredictor

#: The classes of one answer for a pair, without class 0; None for a pair that the answer leaves out.
Given = Optional[Tuple[int, ...]]


class Sampling(NamedTuple):
    """How answers are sampled.

    samples (int): answers of each pair.
    temperature (float): of the sampling, above 0. Of a model that is loaded here, its probabilities are drawn from, and
        1 takes these as they are.
    seed (int): of the first answer; the others have those after it.
    """

    samples: int = 5
    temperature: float = 0.7
    seed: int = 0

    def check(self) -> "Sampling":
        """RETURNS (Sampling): itself. A ValueError is raised for what no answers can be sampled with."""
        whole = all(isinstance(value, int) and not isinstance(value, bool) for value in (self.samples, self.seed))
        if not whole or self.samples < 1 or self.seed < 0 or not 0 < self.temperature <= 10:
            raise ValueError(Errors.R756.format(**self._asdict()))
        return self


class Taught(List[RelationPrediction]):
    """The relations of a document that answers agree on, and what each pair counts.

    found (Sequence[RelationPrediction]): the relations.
    weights (Sequence[Tuple[Candidate, float]]): the share of the answers that agree, of pairs where it is not 1; 0 for
        a pair of which nothing is known.
    """

    def __init__(
        self, found: Sequence[RelationPrediction] = (), weights: Sequence[Tuple[Candidate, float]] = ()
    ) -> None:
        super().__init__(found)
        self.weights = list(weights)


def agree(answers: Sequence[Given]) -> Tuple[Given, float]:
    """What most answers say of a pair.

    answers (Sequence[Optional[Tuple[int, ...]]]): the answers.
    RETURNS (Tuple[Optional[Tuple[int, ...]], float]): the one that is given most often, of several the first; None
        where no answer says anything. And its share of all answers, from 0 to 1.
    """
    given = Counter(tuple(sorted(answer)) for answer in answers if answer is not None)
    if not given:
        return None, 0.0
    ((chosen, count),) = given.most_common(1)
    return chosen, count / len(answers)


def taught(
    candidates: Sequence[Candidate],
    answers: Sequence[Sequence[Given]],
    neighbours: Sequence[Sequence[Neighbour]],
    labels: LabelSet,
    least: "np.ndarray",
) -> Taught:
    """What a document teaches.

    candidates (Sequence[Candidate]): its pairs.
    answers (Sequence[Sequence[Optional[Tuple[int, ...]]]]): the answers for each.
    neighbours (Sequence[Sequence[Neighbour]]): the examples that were shown for each.
    labels (LabelSet): the labels.
    least (numpy.ndarray): least share of the answers for a relation of each class, *Shape* (pairs, classes). A pair
        with fewer is one of which nothing is known.
    RETURNS (Taught): relations and weights.
    """
    import numpy as np

    shares = np.zeros((len(candidates), len(labels.classes)))
    chosen: List[Tuple[int, ...]] = []
    weights = []
    for row, (candidate, own) in enumerate(zip(candidates, answers)):
        given, share = agree(own)
        if given is None or any(share < least[row, index] for index in given):
            given, share = (), 0.0
        shares[row, list(given)] = share
        chosen.append(given)
        if share < 1:
            weights.append((candidate, share))
    return Taught(gather(candidates, chosen, shares, neighbours, labels), weights)


def sample(
    predictor: "RelationPredictor", candidates: Sequence[Candidate], documents: Documents, sampling: Sampling
) -> "Tuple[List[List[Given]], List[List[Neighbour]], np.ndarray]":
    """Answer pairs several times.

    predictor (RelationPredictor): answers.
    candidates (Sequence[Candidate]): the pairs, at least one.
    documents (Optional[Sequence[int]]): the number of each pair's document.
    sampling (Sampling): how often, and how.
    RETURNS (Tuple[List[List[Optional[Tuple[int, ...]]]], List[List[Neighbour]], numpy.ndarray]): the answers for each
        pair, the examples that were shown for it, and `least` as `taught` takes it. A ValueError is raised for a way to
        answer that always says the same.
    """
    import numpy as np

    labels = predictor.labels
    server = predictor.backbone
    asked_of_server = isinstance(server, RemoteLM) and predictor.mode == "generate"
    if predictor.mode == "generate" and not asked_of_server:
        raise ValueError(Errors.R757.format(model=server.name))
    several = isinstance(predictor.decision, MultiLabel)
    settings = predictor.settings_of(candidates)
    least = np.array([np.maximum(limits(own, labels), decisions(own, labels) if several else 0.0) for own in settings])
    if isinstance(server, RemoteLM) and asked_of_server:
        answers, neighbours = _asked_often(predictor, server, candidates, documents, sampling)
        return answers, neighbours, least
    scored, probability = predictor.judge(candidates, documents)
    drawn: List[List[Given]] = []
    for candidate, row in zip(candidates, probability):
        pair = candidate.instance
        # Of the pair alone, so that it is answered the same in whatever batch it comes.
        place = zlib.crc32(f"{pair.id} {pair.text} {candidate.first} {candidate.second}".encode("utf8", "replace"))
        random = np.random.default_rng([sampling.seed, place]).random((sampling.samples, len(labels.classes)))
        drawn.append([*predictor.decision.draw(row, sampling.temperature, random)])
    return drawn, scored.neighbours, least


def _asked_often(
    predictor: "RelationPredictor",
    server: RemoteLM,
    candidates: Sequence[Candidate],
    documents: Documents,
    sampling: Sampling,
) -> Tuple[List[List[Given]], List[List[Neighbour]]]:
    import numpy as np

    labels, decision = predictor.labels, predictor.decision
    instances = [candidate.instance for candidate in candidates]
    shown = predictor.shown_examples(instances)
    draws = [Draw(sampling.temperature, sampling.seed + number) for number in range(sampling.samples)]
    types = predictor.open.types
    asked = predictor.asked(instances, shown, documents, types, predictor.multi_label)
    scores = server.sample_pairs(asked, draws)
    allowed = allowed_classes(candidates, labels, types)
    answers: List[List[Given]] = [[] for _ in candidates]
    for own in scores:
        silent = np.isnan(own).any(axis=1)
        found = model_probabilities(decision, np.where(silent[:, None], 0.0, own), Calibration(), allowed, None)
        for row, (none, classes) in enumerate(zip(silent.tolist(), decision.pick(found, Calibration(), labels))):
            answers[row].append(None if none else classes)
    return answers, shown
