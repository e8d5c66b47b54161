"""Relations between entities, answered by a language model that is shown similar examples first.

The component works in three states: with labels alone (zero-shot), with examples that were added (few-shot), and
trained. It asks about each pair of mentions once, in the order of the text, and chooses among "no relation" and every
label in both directions.

Sources: RAG4RE (arXiv 2404.13397), its fine-tuned form (arXiv 2406.14745), QLoRA (arXiv 2305.14314), interpolation
with neighbours (arXiv 1911.00172).
"""

import logging
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from spacy import util
from spacy.language import Language
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc, Span
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer

from ..candidates import Candidate, CandidateGenerator, filter_by_types, label_candidates, unreached
from ..errors import Errors, Warnings
from ..models.calibration import Calibration
from ..prompts import Prompt
from ..relations import LabelSet, PairInstance
from ..retrieval import Retriever, evidence
from ..retrieval.store import pack_instances, unpack_instances
from .answerer import PairAnswerer

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = """
[rag_relation_extractor]
labels = {}
answer = "auto"
n_examples = 3
multi_label = false
threshold = 0.0
spans_key = null

[rag_relation_extractor.model]
@architectures = "ragre.LabelModel.v1"

[rag_relation_extractor.model.backbone]
@ragre_backbones = "ragre.CausalLM.v1"
name = "smollm2-135m-instruct"

[rag_relation_extractor.prompt]
@ragre_prompts = "ragre.Relation.v1"

[rag_relation_extractor.candidates]
@ragre_candidates = "ragre.SameSentence.v1"

[rag_relation_extractor.retriever]
@ragre_retrievers = "ragre.Retriever.v1"

[rag_relation_extractor.retriever.encoder]
@ragre_encoders = "ragre.TextEncoder.v1"
text = "marked"

[rag_relation_extractor.scorer]
@scorers = "ragre.relation_scorer.v1"
"""

_CONFIG = Config().from_str(DEFAULT_CONFIG)["rag_relation_extractor"]


@Language.factory(
    "rag_relation_extractor",
    assigns=["doc._.relations"],
    requires=["doc.ents"],
    default_config=_CONFIG,
    default_score_weights={
        "rels_micro_f": 1.0,
        "rels_micro_p": None,
        "rels_micro_r": None,
        "rels_macro_f": None,
        "rels_micro_all_f": None,
        "rels_per_type": None,
    },
)
def make_rag_relation_extractor(
    nlp: Language,
    name: str,
    model: Model,
    labels: Dict[str, Any],
    answer: str,
    n_examples: int,
    multi_label: bool,
    threshold: float,
    spans_key: Optional[str],
    prompt: Prompt,
    candidates: CandidateGenerator,
    retriever: Retriever,
    scorer: Optional[Callable],
) -> "RagRelationExtractor":
    """Build the component. No weights are loaded before they are needed.

    model (Model): a label model around a language model.
    labels (Dict[str, Any]): each label with its text between head and tail ("was founded by"), or with a table with
        `text`, `definition`, `symmetric`, `head_types` and `tail_types`. May be empty: labels then come from
        `initialize` or `add_examples`.
    answer (str): "head", "trie", "generate", or "auto" for the head once trained and the trie before.
    n_examples (int): most retrieved examples in a prompt.
    multi_label (bool): whether a pair may hold several relations.
    threshold (float): least probability of a relation, from 0 to 1.
    spans_key (Optional[str]): read mentions from `doc.spans[spans_key]` instead of `doc.ents`; they may overlap.
    prompt (Prompt): how a pair is put to the language model.
    candidates (CandidateGenerator): which pairs are asked about.
    retriever (Retriever): encoder and store of examples.
    scorer (Optional[Callable]): the scoring method.
    """
    return RagRelationExtractor(
        nlp.vocab,
        model,
        name,
        labels=labels,
        answer=answer,
        n_examples=n_examples,
        multi_label=multi_label,
        threshold=threshold,
        spans_key=spans_key,
        prompt=prompt,
        candidates=candidates,
        retriever=retriever,
        scorer=scorer,
    )


class Found(NamedTuple):
    """A relation that was found in a document.

    candidate (Candidate): the pair.
    label (str): its label.
    inverse (bool): True where the second mention is the head.
    score (float): its probability.
    evidence (Dict[str, Any]): what supported it.
    """

    candidate: Candidate
    label: str
    inverse: bool
    score: float
    evidence: Dict[str, Any]


class RagRelationExtractor(TrainablePipe):
    """Find relations between the entities of a document.

    The arguments are those of the factory; see `make_rag_relation_extractor`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "rag_relation_extractor",
        *,
        prompt: Prompt,
        candidates: CandidateGenerator,
        retriever: Retriever,
        labels: Optional[Dict[str, Any]] = None,
        answer: str = "auto",
        n_examples: int = 3,
        multi_label: bool = False,
        threshold: float = 0.0,
        spans_key: Optional[str] = None,
        scorer: Optional[Callable] = None,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.candidates = candidates
        self.spans_key = spans_key
        self.answerer = PairAnswerer(
            model,
            prompt,
            retriever,
            LabelSet(labels or {}),
            answer=answer,
            n_examples=n_examples,
            multi_label=multi_label,
        )
        self.answerer.calibration = Calibration(threshold=threshold)
        self.cfg: Dict[str, Any] = {}
        self._open_labels = not labels
        self._unseen = 0

    # Labels

    @property
    def labels(self) -> Tuple[str, ...]:  # type: ignore[override]
        """RETURNS (Tuple[str, ...]): the labels, in the order they were added."""
        return tuple(self.answerer.labels)

    @property
    def label_data(self) -> Dict[str, Dict[str, Any]]:  # type: ignore[override]
        """RETURNS (Dict[str, Dict[str, Any]]): the labels as `initialize` takes them."""
        return self.answerer.labels.to_dict()

    def add_label(self, label: str, text: Union[str, Dict[str, Any]] = "") -> int:  # type: ignore[override]
        """Add a label.

        label (str): the label.
        text (Union[str, Dict[str, Any]]): the words between head and tail, or a table; see the factory.
        RETURNS (int): 1 where it is new, else 0. Raises a ValueError once the label head is there.
        """
        if label in self.answerer.labels:
            return 0
        if self.answerer.shim.has_head:
            raise ValueError(Errors.R505.format(label=label, name=self.name))
        return int(self.answerer.labels.add(label, text))

    def add_examples(self, docs: Iterable[Doc]) -> int:
        """Put examples into the store. They are shown in prompts from now on; nothing is trained.

        docs (Iterable[Doc]): documents with entities and gold `doc._.relations`.
        RETURNS (int): the number of pairs that were added.
        """
        instances = []
        for doc in docs:
            self._take_labels(doc)
            instances.extend(self._gold(doc))
        self.answerer.add_examples(instances)
        return len(instances)

    def _take_labels(self, doc: Doc) -> None:
        if self._open_labels and not self.answerer.shim.has_head:
            for relation in doc._.relations:
                self.add_label(relation.label)

    # Pairs

    def _spans(self, doc: Doc) -> Sequence[Span]:
        if self.spans_key is None:
            return doc.ents
        return list(doc.spans[self.spans_key]) if self.spans_key in doc.spans else []

    def _candidates(self, doc: Doc) -> List[Candidate]:
        return filter_by_types(self.candidates(doc, self._spans(doc)), self.answerer.labels)

    def _gold(self, doc: Doc) -> List[PairInstance]:
        spans = self._spans(doc)
        candidates = self._candidates(doc)
        self._unseen += len(unreached(doc, candidates, spans))
        return [candidate.instance for candidate in label_candidates(doc, candidates, spans)]

    def _allowed(self, candidates: Sequence[Candidate]) -> Any:
        """RETURNS (numpy.ndarray): bool, *Shape* (pairs, classes): the classes that types and directions allow."""
        import numpy as np

        labels = self.answerer.labels
        inverse = np.array([answer is not None and answer.inverse for answer in labels.classes])
        symmetric = np.array([answer is None or labels.specs[answer.label].symmetric for answer in labels.classes])
        rows = []
        for candidate in candidates:
            types = np.array(labels.allowed(candidate.instance.first_type, candidate.instance.second_type))
            direction = (inverse & candidate.inverse) | (~inverse & candidate.forward) | symmetric
            rows.append(types & direction)
        return np.array(rows).reshape(len(rows), len(labels.classes))

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> List[List[Found]]:  # type: ignore[override]
        """Find the relations of a batch of documents, without changing them.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[List[Found]]): for every document its relations.
        """
        docs = list(docs)
        if not len(self.answerer.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        per_doc = [self._candidates(doc) for doc in docs]
        flat = [candidate for candidates in per_doc for candidate in candidates]
        if self.answerer.waiting and self.answerer.calibration.weight > 0:
            warnings.warn(Warnings.W501.format(name=self.name))
        scored = self.answerer.score([candidate.instance for candidate in flat])
        probability = self.answerer.probabilities(scored, self._allowed(flat))
        chosen = self.answerer.pick(probability)
        results: List[List[Found]] = []
        row = 0
        for candidates in per_doc:
            found = []
            for candidate in candidates:
                for index in chosen[row]:
                    answer = self.answerer.labels.classes[index]
                    if answer is not None:
                        support = {"text": candidate.instance.text, "examples": evidence(scored.neighbours[row])}
                        found.append(Found(candidate, *answer, float(probability[row, index]), support))
                row += 1
            results.append(found)
        return results

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[Sequence[Found]]) -> None:  # type: ignore[override]
        """Set `doc._.relations`.

        docs (Iterable[Doc]): the documents.
        predictions (Iterable[Sequence[Found]]): what `predict` gave for them.
        """
        for doc, found in zip(docs, predictions):
            types = {(span.start, span.end): span.label_ for span in self._spans(doc)}
            relations = []
            for item in found:
                first = (*item.candidate.first, types.get(item.candidate.first, item.candidate.instance.first_type))
                second = (*item.candidate.second, types.get(item.candidate.second, item.candidate.instance.second_type))
                clusters = (item.candidate.first_cluster, item.candidate.second_cluster)
                order = -1 if item.inverse else 1
                (head, tail), (head_cluster, tail_cluster) = (first, second)[::order], clusters[::order]
                relations.append(
                    {
                        "head": head,
                        "tail": tail,
                        "label": item.label,
                        "score": item.score,
                        "head_cluster": head_cluster,
                        "tail_cluster": tail_cluster,
                        "evidence": item.evidence,
                    }
                )
            doc._.relations = relations

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 32) -> Iterator[Doc]:  # type: ignore[override]
        """Process a stream of documents in batches. Where a batch fails, its documents are tried one by one, so that
        only those that fail themselves go to the error handler.

        stream (Iterable[Doc]): the documents.
        batch_size (int): documents of a batch. Their pairs are put to the model together.
        YIELDS (Doc): the documents, in order.
        """
        handler = self.get_error_handler()
        for docs in util.minibatch(stream, size=batch_size):
            try:
                predictions = self.predict(docs)
            except Exception:  # one by one below, where the handler gets what fails
                for doc in docs:
                    try:
                        self.set_annotations([doc], self.predict([doc]))
                    except Exception as error:
                        handler(self.name, self, [doc], error)
                    else:
                        yield doc
            else:
                self.set_annotations(docs, predictions)
                yield from docs

    # Training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Take labels and examples from the training data, and make the label head.

        The examples go into the store. Where they hold no relation at all, the component stays as it is, ready for
        zero-shot use.

        get_examples (Callable[[], Iterable[Example]]): gives the training examples.
        nlp (Optional[Language]): not used.
        labels (Optional[Dict[str, Any]]): labels as in `label_data`, in place of those in the data.
        """
        validate_get_examples(get_examples, "RagRelationExtractor.initialize")
        for label, text in (labels or {}).items():
            self.add_label(label, text)
        self._open_labels = self._open_labels and not labels
        self._unseen = 0
        instances: List[PairInstance] = []
        for example in get_examples():
            self._take_labels(example.reference)
            instances.extend(self._gold(example.reference))
        if not len(self.answerer.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        if self._unseen:
            logger.info("%d relations of the training data are out of reach of the candidates", self._unseen)
        if any(instance.answers for instance in instances):
            self.answerer.init_head()
            self.answerer.add_examples(instances)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch of examples, with gold entities.

        examples (Iterable[Example]): the examples.
        drop (float): not used; dropout is a setting of the backbone's LoRA.
        sgd (Optional[Optimizer]): takes a step with it; without one, gradients add up until `finish_update`.
        losses (Optional[Dict[str, float]]): the loss is added to it under the component's name.
        RETURNS (Dict[str, float]): the losses.
        """
        examples = list(examples)
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        validate_examples(examples, "RagRelationExtractor.update")
        instances = [instance for example in examples for instance in self._gold(example.reference)]
        if not instances:
            return losses
        if not len(self.answerer.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        self._check_labels(examples)
        if not self.answerer.shim.has_head:
            self.answerer.init_head()
        losses[self.name] += self.answerer.train(instances)
        self.answerer.outdate()
        if sgd is not None:
            self.finish_update(sgd)
        return losses

    def _check_labels(self, examples: Sequence[Example]) -> None:
        for example in examples:
            for relation in example.reference._.relations:
                if relation.label not in self.answerer.labels:
                    known = ", ".join(self.labels)
                    raise ValueError(Errors.R007.format(label=relation.label, known=known))

    def get_loss(self, examples: Iterable[Example], scores: Any) -> Tuple[float, Any]:
        """The loss of scores, and its gradient.

        examples (Iterable[Example]): the examples.
        scores (numpy.ndarray): logits for the pairs of the examples' references, in order, *Shape* (pairs, classes).
        RETURNS (Tuple[float, numpy.ndarray]): the mean loss and the gradient, *Shape* (pairs, classes).
        """
        return self.answerer.loss([i for example in examples for i in self._gold(example.reference)], scores)

    def calibrate(self, examples: Iterable[Example]) -> Dict[str, float]:
        """Make the store's keys with the trained model, then choose temperature and the weight of the neighbours on
        examples that were not trained on.

        examples (Iterable[Example]): development examples.
        RETURNS (Dict[str, float]): micro-F1 on them before and after, from 0 to 1.
        """
        candidates = []
        for example in examples:
            doc = example.reference
            candidates.extend(label_candidates(doc, self._candidates(doc), self._spans(doc)))
        if not candidates:
            raise ValueError(Errors.R506)
        threshold = self.answerer.calibration.threshold
        return self.answerer.calibrate([c.instance for c in candidates], self._allowed(candidates), threshold)

    # Serialisation

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """RETURNS (bytes): settings, adapter, label head and examples."""
        self._write_cfg()
        parts = {
            "pipe": lambda: super(RagRelationExtractor, self).to_bytes(exclude=exclude),
            "store": self.answerer.retriever.to_bytes,
            "waiting": lambda: pack_instances(self.answerer.waiting),
        }
        return util.to_bytes(parts, exclude)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "RagRelationExtractor":
        """Load what `to_bytes` gave, in place.

        RETURNS (RagRelationExtractor): the component.
        """

        def load_pipe(data: bytes) -> None:
            super(RagRelationExtractor, self).from_bytes(data, exclude=exclude)
            self._read_cfg()

        parts = {
            "pipe": load_pipe,
            "store": self.answerer.retriever.from_bytes,
            "waiting": self._load_waiting,
        }
        util.from_bytes(bytes_data, parts, exclude)
        return self

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save settings, adapter, label head and examples; not the base model.

        path (Union[str, Path]): the folder.
        exclude (Iterable[str]): names of parts to leave out: cfg, model, vocab, store, waiting.
        """
        self._write_cfg()
        super().to_disk(path, exclude=exclude)
        parts = {
            "store": self.answerer.retriever.to_disk,
            "waiting": lambda p: p.write_bytes(pack_instances(self.answerer.waiting)),
        }
        util.to_disk(path, parts, exclude)

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "RagRelationExtractor":
        """Load what `to_disk` saved, in place. The language model is not loaded before it is needed.

        path (Union[str, Path]): the folder.
        exclude (Iterable[str]): names of parts to leave as they are.
        RETURNS (RagRelationExtractor): the component.
        """
        super().from_disk(path, exclude=exclude)
        self._read_cfg()
        parts = {
            "store": self.answerer.retriever.from_disk,
            "waiting": lambda p: self._load_waiting(p.read_bytes()),
        }
        util.from_disk(path, parts, exclude)
        return self

    def _load_waiting(self, data: bytes) -> None:
        self.answerer.waiting = unpack_instances(data)

    def _write_cfg(self) -> None:
        self.cfg = {
            "labels": self.label_data,
            "open_labels": self._open_labels,
            "trained": self.answerer.trained,
            "calibration": self.answerer.calibration.to_dict(),
        }

    def _read_cfg(self) -> None:
        if not self.cfg:
            return
        self.answerer.labels.replace(self.cfg["labels"])
        self._open_labels = self.cfg["open_labels"]
        self.answerer.trained = self.cfg["trained"]
        self.answerer.calibration = Calibration.from_dict(self.cfg["calibration"])
