"""Which pairs of entities may hold a relation: a trained filter before an expensive extractor.

Stage 1 of LMRC (arXiv 2408.13889): one score for each ordered pair of a document's entities, by localized context
pooling (ATLOP, arXiv 2010.11304). The threshold is chosen on development documents, so that a wanted share of the pairs
with a relation is kept.
"""

import math
import warnings
from typing import Any, Callable, ClassVar, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config, Model

from ...calibration.platt import PlattScale, fit_platt
from ...calibration.temperature import fit_temperature, softmax
from ...errors import Errors, Warnings
from ...relations import CandidatePair, all_labels, cluster_entities, entity_spans
from ...training.locks import one_at_a_time
from ...training.parallel import own_share, processes
from ..base import Component, Scorer
from .context_pooling import token_distances
from .encoders import PairInput
from .gold import GoldPairs, gold_pairs
from .losses import batch_weight, known_labels, label_loss, relation_loss
from .model import PairFilterShim
from .transformer_encoder import TransformerEncoder

DEFAULT_CONFIG = """
[pair_candidate_filter]
threshold = 0.5
target_recall = 0.95
balance = 0.5
label_weight = 0.0
max_distance = 0
spans_key = null

[pair_candidate_filter.model]
@architectures = "ragre.PairFilter.v1"

[pair_candidate_filter.model.encoder]
@architectures = "ragre.HuggingFaceEncoder.v1"
name = "all-MiniLM-L6-v2"

[pair_candidate_filter.scorer]
@scorers = "ragre.pair_filter_scorer.v1"
"""

# Calibrated probabilities may differ in their last digits between batches: a pair at the threshold must not be lost.
_MARGIN = 1e-6
# Labels of a pair that are less likely are left out.
_LEAST_LABEL = 0.005
# Documents are read and scored together as long as they have no more tokens and pairs, padding included.
_BATCH_TOKENS = 4096
_BATCH_PAIRS = 20000

_CONFIG = Config().from_str(DEFAULT_CONFIG)["pair_candidate_filter"]


@Language.factory(
    "pair_candidate_filter",
    assigns=["doc._.candidate_pairs"],
    requires=["doc.ents"],
    default_config=_CONFIG,
    default_score_weights={"pairs_f": 1.0, "pairs_p": None, "pairs_r": None, "pairs_dropped": None},
)
def make_pair_candidate_filter(
    nlp: Language,
    name: str,
    model: Model[Any, Any],
    threshold: float,
    target_recall: float,
    balance: float,
    label_weight: float,
    max_distance: int,
    spans_key: Optional[str],
    scorer: Optional[Scorer],
) -> "PairCandidateFilter":
    """Build the component. No weights are loaded before they are needed.

    model (Model): scores the ordered pairs of a document's entities.
    threshold (float): least probability of a candidate, from 0 to 1, until `calibrate` chooses one.
    target_recall (float): the share of the pairs with a relation that `calibrate` chooses a threshold for.
    balance (float): how much of the imbalance between the classes the loss makes up for, from 0 (nothing) to 1 (pairs
        with a relation weigh as much as all others). Probabilities stay right, since the weight is taken off again.
    label_weight (float): weight of a second loss, of telling the labels of pairs with a relation; 0 for none. A pair's
        score then comes from those of its labels, and candidate pairs have the probabilities of labels, which an
        extractor behind can make use of.
    max_distance (int): propose no pair whose nearest mentions start more tokens apart; 0 for no limit. What is further
        apart than the encoder's window is scored without a common context, and in long documents that is nearly all.
    spans_key (Optional[str]): read mentions from `doc.spans[spans_key]` instead of `doc.ents`; they may overlap.
    scorer (Optional[Callable]): the scoring method.
    """
    return PairCandidateFilter(
        nlp.vocab,
        model,
        name,
        threshold=threshold,
        target_recall=target_recall,
        balance=balance,
        label_weight=label_weight,
        max_distance=max_distance,
        spans_key=spans_key,
        scorer=scorer,
    )


class PairCandidateFilter(Component):
    """Propose pairs of entities that may hold a relation.

    The arguments are those of the factory; see `make_pair_candidate_filter`.
    """

    damaged_model: ClassVar[str] = Errors.R150

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str = "pair_candidate_filter",
        *,
        threshold: float = 0.5,
        target_recall: float = 0.95,
        balance: float = 0.5,
        label_weight: float = 0.0,
        max_distance: int = 0,
        spans_key: Optional[str] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        for setting, value in (("threshold", threshold), ("balance", balance)):
            if not 0 <= value <= 1:
                raise ValueError(Errors.R522.format(setting=setting, value=value, expected="give a number from 0 to 1"))
        for setting, value in (("label_weight", label_weight), ("max_distance", max_distance)):
            if value < 0:
                raise ValueError(Errors.R522.format(setting=setting, value=value, expected="give 0 or more"))
        if not 0 < target_recall <= 1:
            expected = "give a share above 0, and 1 at most"
            raise ValueError(Errors.R522.format(setting="target_recall", value=target_recall, expected=expected))
        super().__init__(vocab, model, name, scorer=scorer, spans_key=spans_key)
        self.target_recall = target_recall
        self.balance = balance
        self.label_weight = label_weight
        self.max_distance = max_distance
        self.threshold = self._configured = threshold
        # Weight of a pair with a relation in the loss.
        self.positive_weight = 1.0
        self.scale = PlattScale()
        self.label_temperature = 1.0
        # Those of the training data: pairs without a relation of documents that were annotated for fewer tell nothing.
        # None before training, and where a filter of an older version was loaded.
        self.corpus_labels: Optional[Set[str]] = None

    @property
    def shim(self) -> PairFilterShim:
        """RETURNS (PairFilterShim): the torch side of the model."""
        return self.model.shims[0]  # type: ignore[return-value]

    def _input(self, doc: Doc) -> PairInput:
        clusters = cluster_entities(doc, entity_spans(doc, self.spans_key))
        return PairInput(
            doc, [[(span.start, span.end) for span in c] for c in clusters], [cluster.label for cluster in clusters]
        )

    def _gold(self, examples: Iterable[Example]) -> List[GoldPairs]:
        return [gold_pairs(example, self._input, self.corpus_labels) for example in examples]

    # Prediction

    @one_at_a_time
    def predict(self, docs: Iterable[Doc]) -> List[List[CandidatePair]]:
        """Find the candidate pairs of a batch of documents, without changing them.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[List[CandidatePair]]): for every document its pairs, likeliest first.
        """
        docs = list(docs)
        self._warn_without_mentions(docs)
        inputs = [self._input(doc) for doc in docs]
        return [self._pick(part, self._near(item)) for part, item in zip(self._logits(inputs), inputs)]

    @one_at_a_time
    def score_pairs(self, docs: Iterable[Doc]) -> List[np.ndarray]:
        """docs (Iterable[Doc]): the documents.
        RETURNS (List[numpy.ndarray]): for every document the calibrated probability that a pair holds a relation, head
            by tail, *Shape* (entities, entities), however far apart they are; 0 for an entity with itself.
        """
        return [self._probability(part) for part in self._logits([self._input(doc) for doc in docs])]

    def _probability(self, logits: np.ndarray) -> np.ndarray:
        values = self.scale(logits[..., 0])
        np.fill_diagonal(values, 0.0)
        return values

    def _near(self, item: PairInput) -> np.ndarray:
        """RETURNS (numpy.ndarray): whether a pair may be proposed, head by tail, *Shape* (entities, entities)."""
        near = ~np.eye(len(item.clusters), dtype=bool)
        return near & (token_distances(item.clusters) <= self.max_distance) if self.max_distance else near

    def _pick(self, logits: np.ndarray, near: np.ndarray) -> List[CandidatePair]:
        probability = self._probability(logits)
        heads, tails = np.nonzero((probability >= self.threshold) & near)
        scores = probability[heads, tails]
        order = np.argsort(-scores, kind="stable")
        heads, tails, scores = heads[order], tails[order], scores[order]
        labels = self._label_probabilities(logits[heads, tails, 1:])
        return [CandidatePair(*row) for row in zip(heads.tolist(), tails.tolist(), scores.tolist(), labels)]

    def _label_probabilities(self, logits: np.ndarray) -> List[Optional[Dict[str, float]]]:
        """RETURNS (List[Optional[Dict[str, float]]]): for every pair the labels that it may have, if it has any."""
        if not logits.shape[1]:
            return [None] * len(logits)
        names = self.shim.labels
        rows = softmax(logits, self.label_temperature)
        return [{names[i]: float(row[i]) for i in np.flatnonzero(row >= _LEAST_LABEL)} for row in rows]

    def _logits(self, inputs: Sequence[PairInput]) -> List[np.ndarray]:
        """RETURNS (List[numpy.ndarray]): logits of every document, *Shape* (entities, entities, 1 + labels)."""
        results: List[np.ndarray] = [np.zeros((0, 0, 1))] * len(inputs)
        for rows in _batches(inputs):
            for i, part in zip(rows, self.model.predict([inputs[i] for i in rows])):
                off = ~np.eye(len(part), dtype=bool)
                if not np.isfinite(part[off]).all():
                    raise ValueError(Errors.R524)
                results[i] = np.where(off[..., None], part, 0.0).astype("float64")
        return results

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[Sequence[CandidatePair]]) -> None:
        """Set `doc._.candidate_pairs`.

        docs (Iterable[Doc]): the documents.
        predictions (Iterable[Sequence[CandidatePair]]): what `predict` gave for them.
        """
        for doc, pairs in zip(docs, predictions):
            if self.spans_key is not None and pairs:
                # Without these, cluster indexes would be read as those of clusters of doc.ents.
                doc._.entity_clusters = cluster_entities(doc, entity_spans(doc, self.spans_key))
            doc._.candidate_pairs = pairs

    # Training

    @one_at_a_time
    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Optional[Language] = None) -> None:
        """Load the encoder and make the model, with the entity types and the imbalance of the training data.

        get_examples (Callable[[], Iterable[Example]]): gives the training examples.
        nlp (Optional[Language]): the pipeline. A warning says where the filter comes after what reads its pairs.
        """
        self._check_training(get_examples)
        self._warn_of_place(nlp)
        types = set()
        labels: Set[str] = set()
        related = total = 0
        sample: List[Doc] = []
        self.corpus_labels = all_labels(example.reference for example in get_examples())
        for gold in self._gold(get_examples()):
            types.update(gold.item.types)
            if self.label_weight:
                labels.update(label for names in gold.labels.values() for label in names)
            if not sample and len(gold.item.doc):
                sample.append(gold.item.doc)
            if gold.related is not None:
                related += int((gold.related & gold.known).sum())
                total += int(gold.known.sum())
        if 0 < related < total:
            self.positive_weight = ((total - related) / related) ** self.balance
        self.threshold, self.label_temperature = self._configured, 1.0
        # Until it is calibrated, the scale takes the weight off again.
        self.scale = PlattScale(shift=-math.log(self.positive_weight))
        self.shim.init([name for name in types if name], self._width(sample), list(labels))

    def _warn_of_place(self, nlp: Optional[Language]) -> None:
        names = [] if nlp is None else nlp.component_names
        if nlp is None or self.name not in names:
            return
        before = names[: names.index(self.name)]
        configs = {name: nlp.get_pipe_config(name).get("candidates") or {} for name in before}
        readers = [name for name, config in configs.items() if config.get("@ragre_candidates") == "ragre.Proposed.v1"]
        if readers:
            shown, factory = ", ".join(map(repr, readers)), nlp.get_pipe_meta(self.name).factory
            message = Warnings.W532.format(name=self.name, readers=shown, factory=factory, first=readers[0])
            warnings.warn(message, stacklevel=4)

    def _width(self, sample: List[Doc]) -> int:
        encoder = self.shim.encoder
        if not isinstance(encoder, TransformerEncoder):
            encoder.start()
            return encoder.width
        encoder.layer.initialize(X=sample)
        return encoder.width

    def _learn(self, examples: List[Example]) -> Optional[float]:
        gold = self._gold(examples)
        if not isinstance(self.shim.encoder, TransformerEncoder):
            # A listener needs the whole batch, and its transformer waits for gradients; other encoders need not read
            # what nothing is learned from.
            gold = [item for item in gold if item.has_pairs]
        elif processes() > 1:
            raise ValueError(Errors.R775.format(name=self.name, count=processes()))
        if not any(len(item.item.doc) for item in gold):
            return None
        own = own_share(gold)
        logits, backprop = self.model.begin_update([item.item for item in own])
        loss, gradient = self._loss(own, logits, gold)
        if not math.isfinite(loss):
            raise ValueError(Errors.R524)
        backprop(gradient)
        return loss

    def get_loss(self, examples: Iterable[Example], scores: List[np.ndarray]) -> Tuple[float, List[np.ndarray]]:
        """The loss of scores, and its gradient.

        examples (Iterable[Example]): the examples.
        scores (List[numpy.ndarray]): logits for each example, *Shape* (entities, entities, 1 + labels).
        RETURNS (Tuple[float, List[numpy.ndarray]]): the mean loss of a pair, that of the labels added by its weight,
            and the gradient.
        """
        gold = self._gold(examples)
        return self._loss(gold, scores, gold)

    def _loss(
        self, gold: Sequence[GoldPairs], logits: Sequence[np.ndarray], batch: Sequence[GoldPairs]
    ) -> Tuple[float, List[np.ndarray]]:
        """RETURNS (Tuple[float, List[numpy.ndarray]]): the part that documents have in the mean loss of a batch, and
        its gradient.
        """
        related, known = [item.related for item in gold], [item.counted for item in gold]
        weight = self.positive_weight
        whole = batch_weight([item.related for item in batch], weight, [item.counted for item in batch])
        loss, slopes = relation_loss([part[..., 0] for part in logits], related, weight, known, whole)
        labelled = sum(map(len, self._label_targets(batch)))
        more, label_slopes = label_loss(
            [part[..., 1:] for part in logits], self._label_targets(gold), self._annotated(gold), labelled
        )
        gradients = [
            np.concatenate([slope[..., None], self.label_weight * label_slope], axis=2)
            for slope, label_slope in zip(slopes, label_slopes)
        ]
        return loss + self.label_weight * more, gradients

    @one_at_a_time
    def calibrate(self, examples: Iterable[Example]) -> Dict[str, float]:
        """Fit the probabilities, and choose the threshold that keeps `target_recall` of the pairs with a relation, on
        examples that were not trained on.

        examples (Iterable[Example]): development examples.
        RETURNS (Dict[str, float]): `threshold`, and with it `recall`, `precision` and `dropped`, the share of the pairs
            without a relation that are dropped; from 0 to 1.
        """
        gold = [item for item in self._gold(examples) if item.has_pairs]
        if not any(item.labels for item in gold):
            raise ValueError(Errors.R523)
        parts = self._logits([item.item for item in gold])
        known = [item.known for item in gold]
        logits = np.concatenate([part[mask][:, 0] for part, mask in zip(parts, known)])
        related = np.concatenate([np.asarray(item.related)[mask] for item, mask in zip(gold, known)])
        # Of a document that was not annotated for all labels, only pairs with a relation are known: the share of such
        # pairs is that of the others.
        whole = np.concatenate([np.full(mask.sum(), item.complete) for item, mask in zip(gold, known)])
        if not related[whole].any():
            raise ValueError(
                Errors.R548.format(count=len(gold), labels=", ".join(sorted(self.corpus_labels or ())) or "none")
            )
        self.scale = fit_platt(logits[whole], related[whole])
        self.label_temperature = self._fit_labels(gold, parts)
        near = np.concatenate([self._near(item.item)[mask] for item, mask in zip(gold, known)])
        probability = np.where(near, self.scale(logits), 0.0)
        best_first = np.sort(probability[related])[::-1]
        last = max(1, math.ceil(self.target_recall * len(best_first) - 1e-9)) - 1
        self.threshold = max(0.0, float(best_first[last]) - _MARGIN)
        kept = (probability >= self.threshold) & near
        return {
            "threshold": self.threshold,
            "configured": self._configured,
            "recall": float((kept & related).sum() / related.sum()),
            "precision": float((kept & related).sum() / max(1, kept.sum())),
            "dropped": float((~kept & ~related).sum() / max(1, (~related).sum())),
        }

    def _label_targets(self, gold: Sequence[GoldPairs]) -> List[Dict[Tuple[int, int], List[int]]]:
        """RETURNS (List[Dict[Tuple[int, int], List[int]]]): for every document, label indexes by pair. Labels that
        training did not have are left out.
        """
        index = {label: i for i, label in enumerate(self.shim.labels)}
        targets = []
        for item in gold:
            known = {pair: [index[label] for label in names if label in index] for pair, names in item.labels.items()}
            targets.append({pair: indexes for pair, indexes in known.items() if indexes})
        return targets

    def _annotated(self, gold: Sequence[GoldPairs]) -> List[Optional[np.ndarray]]:
        """RETURNS (List[Optional[numpy.ndarray]]): for every document whether it was annotated for each label, bool;
        None where it was for all.
        """
        names = self.shim.labels
        return [
            None if item.annotated is None else np.array([name in item.annotated for name in names], dtype=bool)
            for item in gold
        ]

    def _fit_labels(self, gold: Sequence[GoldPairs], logits: Sequence[np.ndarray]) -> float:
        targets = self._label_targets(gold)
        places = [(i, *pair) for i, found in enumerate(targets) for pair in found]
        if not places:
            return 1.0
        rows = np.stack([logits[i][head, tail][1:] for i, head, tail in places])
        own = [targets[i][head, tail] for i, head, tail in places]
        known = known_labels(rows.shape, places, own, self._annotated(gold))
        return fit_temperature(rows if known is None else np.where(known, rows, -np.inf), own)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """As in spaCy. The scorer is told where the entities are, and which labels there are."""
        known = {"spans_key": self.spans_key, "labels": self.corpus_labels}
        scores: Dict[str, Any] = super().score(examples, **{**known, **kwargs})
        return scores

    # Serialisation

    def _settings(self) -> Dict[str, Any]:
        return {
            "threshold": self.threshold,
            "positive_weight": self.positive_weight,
            "scale": list(self.scale),
            "label_temperature": self.label_temperature,
            "labels": None if self.corpus_labels is None else sorted(self.corpus_labels),
        }

    def _apply(self, settings: Dict[str, Any]) -> None:
        # Another one that was given when the pipeline was loaded goes before what calibration chose.
        given = settings.get("configured", self._configured) != self._configured
        self.threshold = self._configured if given else settings["threshold"]
        self.positive_weight = settings["positive_weight"]
        self.scale = PlattScale(*settings["scale"])
        self.label_temperature = settings.get("label_temperature", 1.0)
        labels = settings.get("labels")
        self.corpus_labels = None if labels is None else set(labels)


def _batches(inputs: Sequence[PairInput]) -> Iterator[List[int]]:
    """Documents of similar length together; those that are long alone, since their pairs are scored block by block."""
    batch: List[int] = []
    tokens = pairs = 0
    for i in sorted(range(len(inputs)), key=lambda i: -len(inputs[i].doc)):
        tokens = max(tokens, len(inputs[i].doc))
        pairs = max(pairs, len(inputs[i].clusters) ** 2)
        size = len(batch) + 1
        if batch and (size * tokens > _BATCH_TOKENS or size * pairs > _BATCH_PAIRS):
            yield batch
            batch, tokens, pairs = [], len(inputs[i].doc), len(inputs[i].clusters) ** 2
        batch.append(i)
    if batch:
        yield batch
