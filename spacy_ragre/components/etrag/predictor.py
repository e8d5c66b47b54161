"""Answers for pairs of mentions whose retrieval is trained with the answers."""

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple, cast

from thinc.api import Model, Optimizer

from ...errors import Errors
from ...instances import Instance
from ...labels import LabelSet
from ...llm.attention.packing import PackedBatch, pack
from ...llm.remote.backbone import Documents
from ...prompts import Prompt, class_words
from ...retrieval import ExampleStore, Neighbour, Retriever
from ...retrieval.indexes import IndexKind
from ...retrieval.texts import mark_mentions
from ...training.locks import use_own_threads
from ...training.losses import vote_likelihood
from ...training.parallel import own_share
from ..relations.annotations import known_classes, weights_of
from ..relations.examples import as_shown
from ..relations.pair_scores import LabelScores
from ..relations.predictor import RelationPredictor
from .batch import Batch, Preselected, Search, Selection
from .model import ETRAGShim

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

# Keys that are made at once.
_CHUNK = 512
# Queries that retrieve at once.
_QUERIES = 64


class SharedEncoder:
    """The encoder of the store: the one that is trained inside the model. It has no weights of its own.

    shim (ETRAGShim): the torch side of the model.
    labels (LabelSet): the labels, which instances are read with.
    """

    def __init__(self, shim: ETRAGShim, labels: LabelSet) -> None:
        self.shim = shim
        self.labels = labels

    @property
    def width(self) -> int:
        """RETURNS (int): width of a key."""
        return self.shim.encoder.width

    @property
    def fingerprint(self) -> str:
        """RETURNS (str): hash of what makes the keys."""
        return self.shim.encoder_fingerprint

    def encode_queries(self, instances: Sequence[Instance]) -> "np.ndarray":
        """RETURNS (numpy.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        return self.shim.encode([mark_mentions(instance) for instance in instances]).cpu().numpy()

    def encode_examples(self, instances: Sequence[Instance]) -> "np.ndarray":
        """RETURNS (numpy.ndarray): unit vectors, float32. *Shape* (len(instances), width)."""
        return self.shim.encode([self.read(instance) for instance in instances]).cpu().numpy()

    def read(self, instance: Instance) -> str:
        """RETURNS (str): the text of an instance: its relations in words, then the text with both mentions marked. A
        text that is too long for the encoder loses its end and never its label.
        """
        answers = as_shown(instance, self.labels).answers
        if answers is None:
            return mark_mentions(instance)
        words = class_words(self.labels)
        classes = sorted({self.labels.index(answer) for answer in answers}) or [0]
        return f"{', '.join(words[i] for i in classes)}: {mark_mentions(instance)}"

    def to_disk(self, path: Path) -> None:
        """Does nothing: the weights are saved with the model."""

    def from_disk(self, path: Path) -> "SharedEncoder":
        """Does nothing: the weights are loaded with the model."""
        return self


class ETRAGPredictor(RelationPredictor):
    """Scores the classes of pairs with a language model that reads retrieved instances as soft prompts.

    model (Model): see `spacy_ragre.components.etrag.model`.
    prompt (Prompt): how a pair is put to the language model.
    labels (LabelSet): the labels.
    name (str): the component's name, for messages.
    preselect (int): instances that the index finds for a query; the soft selection runs inside them.
    refresh_every (int): steps of training after which kept keys are made again; 0 for never.
    refresh_size (int): most keys that are made again then, one part of the store after another; 0 for all.
    index (str): "flat" or "hnsw".
    retrieval_loss (float): how much the likelihood of the right votes counts in the loss, beside that of the answers.
    **settings (Any): see `RelationPredictor`.
    """

    remote_modes = ()

    def __init__(
        self,
        model: Model[Any, Any],
        prompt: Prompt,
        labels: LabelSet,
        *,
        name: str,
        preselect: int,
        refresh_every: int,
        refresh_size: int,
        index: IndexKind,
        retrieval_loss: float,
        **settings: Any,
    ) -> None:
        shim: ETRAGShim = model.shims[0]  # type: ignore[assignment]
        if preselect < shim.k:
            raise ValueError(Errors.R541.format(k=shim.k, count=preselect))
        if index not in ("flat", "hnsw"):
            raise ValueError(Errors.R540.format(setting="index", value=index, expected="'flat' or 'hnsw'"))
        amounts = {"refresh_every": refresh_every, "refresh_size": refresh_size, "retrieval_loss": retrieval_loss}
        for setting, value in amounts.items():
            if not value >= 0:
                raise ValueError(Errors.R540.format(setting=setting, value=value, expected="0 or more"))
        super().__init__(
            model, prompt, Retriever(SharedEncoder(shim, labels), index=index), labels, answer="head", **settings
        )
        self.name = name
        self.preselect = preselect
        self.refresh_every = refresh_every
        self.refresh_size = refresh_size
        self.retrieval_loss = retrieval_loss
        # Mean 1 - cosine of the keys that were made again last, before and after.
        self.staleness = 0.0
        # Of training: steps that were taken, and the first key that is made again when it is time.
        self.steps = 0
        self.next_key = 0

    @property
    def mode(self) -> str:
        """RETURNS (str): the way to answer: always with the head."""
        self._check_trained()
        return "head"

    def _check_trained(self) -> None:
        if not self.shim.has_head:
            raise ValueError(Errors.R547.format(name=self.name))

    @property
    def etrag(self) -> ETRAGShim:
        """RETURNS (ETRAGShim): the torch side of the model."""
        return self.model.shims[0]  # type: ignore[return-value]

    @property
    def encoder(self) -> SharedEncoder:
        """RETURNS (SharedEncoder): the encoder of the store."""
        return self.retriever.encoder  # type: ignore[return-value]

    @property
    def _store(self) -> ExampleStore:
        # The retriever is made here, and keeps its examples in memory, where their keys can be replaced.
        return cast(ExampleStore, self.retriever.store)

    # Examples

    def add_examples(self, instances: Sequence[Instance]) -> None:
        """Put examples into the store; nothing is kept without retrieval.

        instances (Sequence[Instance]): pairs with answers.
        """
        self._check_trained()
        if self.etrag.k:
            self.refresh()
            super().add_examples(instances)

    def init_head(self) -> None:
        """Make all that is trained, with an empty store."""
        self.retriever.clear()
        self.steps = self.next_key = 0
        super().init_head()

    def refresh(self) -> None:
        """Make the kept keys again, where the encoder has changed since they were made."""
        store = self._store
        if len(store) and self.shim.has_head and store.fingerprint != self.encoder.fingerprint:
            self._reencode(len(store))

    def _reencode(self, count: int) -> None:
        """Make the next keys again, round after round. Logs by how much they had changed."""
        import numpy as np

        store = self._store
        whole = count >= len(store)
        positions = (self.next_key + np.arange(min(count, len(store)))) % len(store)
        self.next_key = int(positions[-1] + 1) % len(store)
        change = 0.0
        renewed = []
        for start in range(0, len(positions), _CHUNK):
            part = positions[start : start + _CHUNK]
            keys = self.encoder.encode_examples([store.instances[i] for i in part])
            change += float((1 - (store.keys_of(part) * keys).sum(1)).sum())
            renewed.append(keys)
        store.replace_keys(positions, np.concatenate(renewed))
        # Keys of several states of the encoder are those of none.
        store.fingerprint = self.encoder.fingerprint if whole else ""
        self.staleness = change / len(positions)
        steps = self.etrag.staleness
        within = sum(steps) / len(steps) if steps else 0.0
        logger.info(
            "%s: %d keys encoded again after %d steps; staleness %.5f, of those that were used %.5f",
            self.name,
            len(positions),
            self.steps,
            self.staleness,
            within,
        )
        steps.clear()

    # Retrieval

    def _search(self, queries: Sequence[Instance], keys: "np.ndarray") -> Preselected:
        """What the index finds for queries, with all that the soft selection needs of it."""
        import numpy as np

        store = self._store
        if not len(store):
            raise ValueError(Errors.R544.format(name=self.name))
        positions, allowed = store.preselect(keys, self.preselect, queries)
        if positions.shape[1] < self.etrag.k:
            raise ValueError(Errors.R543.format(name=self.name, k=self.etrag.k, count=len(store)))
        unique, rows = np.unique(np.maximum(positions, 0), return_inverse=True)
        # Thousands of instances have a few answers.
        known: Dict[Any, Any] = {}
        given = [as_shown(store.instances[position], self.labels).answers for position in unique]
        for answers in given:
            if answers not in known:
                known[answers] = np.zeros(len(self.labels.classes), dtype="float32")
                if answers is not None:
                    own = sorted({self.labels.index(answer) for answer in answers}) or [0]
                    known[answers][own] = 1 / len(own)
        return Preselected(
            positions,
            rows.reshape(positions.shape).astype("int64"),
            allowed,
            store.keys_of(unique),
            np.stack([known[answers] for answers in given]),
            lambda picked: [self.encoder.read(store.instances[unique[row]]) for row in picked],
        )

    def _queries(self, instances: Sequence[Instance]) -> Tuple[List[str], Search]:
        """RETURNS (Tuple[List[str], Callable]): the queries' texts, and what finds instances by their keys."""
        return [mark_mentions(instance) for instance in instances], partial(self._search, instances)

    def _chunks(self, instances: Sequence[Instance]) -> Iterator[PackedBatch]:
        prompts = self._ids(instances, [[] for _ in instances])
        # Soft prompts come first and are each pair's own, so that nothing after them can be shared.
        return pack(prompts, self.backbone.batch_tokens, False, lambda index: self.etrag.prompt_tokens)

    def _nearest(self, selection: Optional[Selection], rows: int, count: int) -> List[List[Neighbour]]:
        import numpy as np

        if selection is None:
            return [[] for _ in range(rows)]
        # By weight, and not by similarity: of many that are nearly as similar, later neighbours are those that earlier
        # ones left aside.
        order = np.argsort(np.where(selection.allowed, -selection.weights, np.inf), axis=1, kind="stable")[:, :count]
        return [
            [
                Neighbour(
                    self._store.instances[selection.positions[row, at]],
                    float(selection.similarity[row, at]),
                    int(selection.positions[row, at]),
                    float(selection.weights[row, at]),
                )
                for at in places
                if selection.allowed[row, at]
            ]
            for row, places in enumerate(order)
        ]

    def neighbours(self, instances: Sequence[Instance]) -> List[List[Neighbour]]:
        """The instances that pairs retrieve; the language model is not asked.

        instances (Sequence[Instance]): the pairs.
        RETURNS (List[List[Neighbour]]): the k with most weight for each pair, best first.
        """
        self._check_trained()
        self.refresh()
        found: List[List[Neighbour]] = []
        for start in range(0, len(instances), _QUERIES):
            part = instances[start : start + _QUERIES]
            selection = self.etrag.retrieve(*self._queries(part)).selection
            found += self._nearest(selection, len(part), self.etrag.k)
        return found

    # Answering

    def score(
        self, instances: Sequence[Instance], count: Optional[int] = None, documents: Documents = None
    ) -> LabelScores:
        """Score every class of every pair.

        instances (Sequence[Instance]): the pairs.
        count (Optional[int]): number of neighbours to tell of; as many as the model and calibration use if None.
        documents (Optional[Sequence[int]]): of no effect here.
        RETURNS (LabelScores): logits of the head, and the neighbours with their weights.
        """
        import numpy as np

        scores = np.zeros((len(instances), len(self.labels.classes)), dtype="float32")
        found: List[List[Neighbour]] = []
        if not instances:
            return LabelScores(scores, found)
        use_own_threads()
        self._check_trained()
        self.refresh()
        if count is None:
            count = max(self.etrag.k, self.calibration.neighbours if self.calibration.weight > 0 else 0)
        for start in range(0, len(instances), _QUERIES):
            part = instances[start : start + _QUERIES]
            retrieved = self.etrag.retrieve(*self._queries(part))
            logits = scores[start : start + len(part)]
            for chunk in self._chunks(part):
                logits[chunk.indexes] = self.model.predict(Batch(chunk, retrieved.vectors[chunk.indexes]))
            # Votes are not in the logits that are trained: on training sentences they are nearly always right, and the
            # language model would leave to them what they cannot do for new ones.
            if retrieved.selection is not None:
                logits += self.etrag.settings["vote"] * retrieved.selection.votes
            found += self._nearest(retrieved.selection, len(part), count)
        if not np.isfinite(scores).all():
            raise ValueError(Errors.R504.format(model=self.backbone.name))
        return LabelScores(scores, found)

    # Training

    def train(self, instances: Sequence[Instance]) -> float:
        """One forward and backward pass. Gradients add up until `finish_update`.

        instances (Sequence[Instance]): pairs with answers. Of several processes, each takes its share.
        RETURNS (float): the mean loss; of several processes, this one's part of it.
        """
        count, instances = len(instances), own_share(instances)
        targets, known, weights = self.targets(instances), known_classes(instances, self.labels), weights_of(instances)
        total = 0.0
        starts = range(0, len(instances), _QUERIES)
        parts = [instances[start : start + _QUERIES] for start in starts]
        chunks = [list(self._chunks(part)) for part in parts]
        self.shim.keep_step(sum(map(len, chunks)))
        for start, part, own_chunks in zip(starts, parts, chunks):
            retrieved, backprop_retrieval = self.etrag.begin_retrieve(*self._queries(part), share=len(part) / count)
            d_vectors = retrieved.vectors.new_zeros(retrieved.vectors.shape)
            for chunk in own_chunks:
                logits, backprop = self.model.begin_update(Batch(chunk, retrieved.vectors[chunk.indexes]))
                rows = [start + i for i in chunk.indexes]
                own_known = None if known is None else known[rows]
                weighed = None if weights is None else weights[rows]
                loss, gradient = self.decision.loss(logits, [targets[row] for row in rows], own_known, weighed)
                total += loss
                d_vectors[chunk.indexes] = backprop(gradient / count)
            d_votes = None
            if retrieved.selection is not None and self.retrieval_loss:
                own = targets[start : start + len(part)]
                own_known = None if known is None else known[start : start + len(part)]
                weighed = None if weights is None else weights[start : start + len(part)]
                loss, gradient = vote_likelihood(retrieved.selection.votes, own, known=own_known, weights=weighed)
                total += self.retrieval_loss * loss
                d_votes = gradient * self.retrieval_loss / count
            backprop_retrieval(d_vectors, d_votes)
        self._has_gradients = True
        return total / count

    def finish_update(self, sgd: Optimizer) -> None:
        """Take a step with the gradients that added up, and make keys again where it is time. Does nothing where there
        are no gradients.

        sgd (Optimizer): the optimizer.
        """
        stepped = self._has_gradients
        super().finish_update(sgd)
        self.steps += stepped
        due = stepped and self.refresh_every and self.steps % self.refresh_every == 0
        if due and self.etrag.trains_retriever and len(self.retriever.store):
            self._reencode(self.refresh_size or len(self.retriever.store))
