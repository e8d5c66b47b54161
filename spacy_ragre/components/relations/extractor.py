"""What the extractors of relations have in common, whatever answers: labels, examples, pairs, training, saving."""

import warnings
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer

from ...candidates import (
    Candidate,
    CandidateGenerator,
    filter_by_types,
    is_near,
    label_candidates,
    make_passage,
    make_same_sentence,
    unreached,
)
from ...entity_types import STRICT, TypeRules
from ...errors import Errors, Warnings
from ...instances import Instance
from ...pair_weights import set_weights
from ...relations import (
    Relation,
    all_labels,
    cluster_entities,
    entity_spans,
    get_relations,
    has_relations,
    replace_relations,
)
from ...retrieval import Retriever, open_store
from ...retrieval.opening import labelled, store_folder
from ...training.locks import one_at_a_time
from ...training.tensors import Precision
from ..base import Scorer
from ..saving import Part
from .advice import Advice, explain_no_pairs
from .annotations import RelationPrediction, drop_rivals, propose, to_relations, to_weights, with_proposals
from .examples import as_shown, may_take, without
from .labelled import Labelled
from .predictor import RelationPredictor
from .teaching import Sampling, Taught, sample, taught

if TYPE_CHECKING:
    import numpy as np

# Gold relations that no pair reaches, each with its document.
Lost = List[Tuple[Doc, Relation]]


class RelationExtractor(Labelled):
    """Find relations between the entities of a document: what the extractors have in common, whatever answers.

    predictor (RelationPredictor): scores the classes of pairs.
    candidates (Optional[CandidateGenerator]): which pairs are asked about; by the way to answer if None.
    Other arguments are those of `Labelled` and `Component`.
    """

    old_names: ClassVar[Mapping[str, str]] = {"pending": "waiting"}

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str,
        *,
        predictor: RelationPredictor,
        candidates: Optional[CandidateGenerator],
        threshold: Union[float, Dict[str, float]],
        labels: Union[Mapping[str, Any], Sequence[Any]],
        spans_key: Optional[str],
        scorer: Optional[Scorer],
    ) -> None:
        super().__init__(
            vocab,
            model,
            name,
            predictor=predictor,
            threshold=threshold,
            labels=labels,
            spans_key=spans_key,
            scorer=scorer,
        )
        self.candidates = candidates
        #: Answers are sampled several times, to teach another model; once, and the likeliest, where None. Not saved.
        self.sampling: Optional[Sampling] = None
        self.advice = Advice(name, spans_key, candidates)

    # Examples

    @one_at_a_time
    def add_examples(self, docs: Iterable[Doc]) -> int:
        """Put examples into the store; nothing is trained. From now on they are shown in prompts, or tell the reader of
        open labels what its labels mean. Trained weights of that reader don't read them (W164): these let them vote
        once they are calibrated.

        docs (Iterable[Doc]): documents with entities and gold `doc._.relations`; without relations, where that is set
            to an empty list. Those for which it was never set are left out.
        RETURNS (int): the number of pairs that were added.
        """
        if isinstance(docs, Doc):
            raise ValueError(Errors.R631.format(name=self.name, value="one Doc"))
        docs = list(docs)
        other = next((doc for doc in docs if not isinstance(doc, Doc)), None)
        if other is not None:
            raise ValueError(Errors.R631.format(name=self.name, value=f"{other!r} in it"))
        if docs and not any(map(has_relations, docs)):
            warnings.warn(Warnings.W667.format(name=self.name, count=len(docs), text=docs[0].text[:40]), stacklevel=3)
        self._take_labels(docs)
        lost: Lost = []
        instances = self._gold(docs, lost)
        self.advice.lost_relations(lost)
        self._store(instances)
        return len(instances)

    @one_at_a_time
    def add_store(self, path: Union[str, Path]) -> int:
        """Put the examples of a store of `ragre index` into the component's own. Their keys are made again; but where
        the component has no examples, one with an index "hnsw" or "ivfpq" is taken as it is, if the component's encoder
        made its keys and all its examples have answers.

        path (Union[str, Path]): the folder. Examples without labels, and those that are there, are left out.
        RETURNS (int): the number of pairs that were added.
        """
        store = open_store(store_folder(path))
        if not self.predictor.pending and may_take(store, self.predictor.retriever):
            self._take_names(list({answer.label: None for item in store.instances for answer in item.answers or ()}))
            self.predictor.retriever.store = store
            self._advise(len(store))
            return len(store)
        instances = self.predictor.unknown(labelled(store))
        self._take_names([answer.label for instance in instances for answer in instance.answers or ()])
        self._store(instances)
        return len(instances)

    @one_at_a_time
    def remove_examples(self, ids: Iterable[str] = (), texts: Iterable[str] = ()) -> int:
        """Remove examples from the store. They are not shown or counted any more from now on.

        ids (Iterable[str]): ids of their documents.
        texts (Iterable[str]): what they read, without regard to case and white space.
        RETURNS (int): the number of pairs that were removed. A ValueError is raised for a string in place of a list.
        """
        ids, texts = self._strings("ids", ids), self._strings("texts", texts)
        left = without(self.predictor.pending, ids, texts)
        count, self.predictor.pending = len(self.predictor.pending) - len(left), left
        return count + self.predictor.retriever.remove(ids, texts)

    def _strings(self, setting: str, values: Iterable[str]) -> List[str]:
        # The letters of a string are strings, too.
        found: Union[str, List[str]] = values if isinstance(values, str) else list(values)
        if isinstance(found, str) or not all(isinstance(value, str) for value in found):
            raise ValueError(Errors.R633.format(name=self.name, setting=setting, value=found))
        return found

    def _store(self, instances: Sequence[Instance]) -> None:
        self.predictor.add_examples(instances)
        if instances:
            labels, known = self.predictor.labels, self.predictor.known_examples
            self._advise(sum(as_shown(instance, labels).answers is not None for instance in known))

    def _advise(self, count: int) -> None:
        """count (int): examples whose answers are known."""
        predictor = self.predictor
        if predictor.mode == "open":
            if not predictor.open.reads_examples and not predictor.calibration.weight:
                told = Warnings.W164 if predictor.open.shim.tuned else Warnings.W161
                warnings.warn(told.format(name=self.name, weights=predictor.open.weights), stacklevel=5)
        elif predictor.shows_answers and not predictor.trained:
            self.advice.check_examples(predictor.one_sided(), count)

    def _take_labels(self, docs: Iterable[Doc], again: bool = False) -> None:
        # Goes before pairs are made: without labels, no pair is worth asking about.
        self._take_names([relation.label for doc in docs for relation in get_relations(doc)], again)

    def _take_names(self, names: Sequence[str], again: bool = False) -> None:
        # A head closes the labels, until it is made again.
        may_add = self._open_labels and (again or not self.predictor.shim.has_head)
        known = self.predictor.labels
        for name in names:
            if may_add:
                self.predictor.add_label(name)
            elif name not in known:
                raise ValueError(Errors.R007.format(label=name, known=", ".join(known) or "none"))

    # Pairs

    def _type_rules(self, docs: Sequence[Doc], trained: Optional[str] = None) -> TypeRules:
        """RETURNS (TypeRules): which entity types may stand for those of the labels.

        docs (Sequence[Doc]): the documents of the pairs.
        trained (Optional[str]): the way to answer that pairs train or calibrate; None where they are asked about, or
            are examples.
        """
        return STRICT

    def _generator(self, trained: Optional[str] = None) -> CandidateGenerator:
        """RETURNS (CandidateGenerator): that of the settings; where they leave it open, all pairs of a passage for the
        reader of open labels, and else pairs of one sentence.

        trained (Optional[str]): what they train, which may be another way to answer than that of now; None where they
            are asked about.
        """
        if self.candidates is not None:
            return self.candidates
        answer = trained or self.predictor.answer
        if answer == "auto":
            answer = self.predictor.mode
        return make_passage() if answer == "open" else make_same_sentence()

    def _candidates(self, doc: Doc, types: TypeRules = STRICT, trained: Optional[str] = None) -> List[Candidate]:
        pairs = self._generator(trained)(doc, entity_spans(doc, self.spans_key))
        return filter_by_types(pairs, self.predictor.labels, types)

    @one_at_a_time
    def asked(self, doc: Doc) -> List[Candidate]:
        """RETURNS (List[Candidate]): the pairs of a document that training asks about."""
        trained = self.predictor.learns
        return self._candidates(doc, self._type_rules([doc], trained), trained)

    def _labelled(
        self, doc: Doc, types: TypeRules = STRICT, lost: Optional[Lost] = None, trained: Optional[str] = None
    ) -> List[Candidate]:
        """The pairs of a document with what is known of them. A gold relation whose mention is no entity, or that no
        pair reaches, says of the pairs whose mentions overlap with its own that they are not without relation: these
        are left out.

        doc (Doc): the document.
        types (TypeRules): which entity types may stand for those of the labels.
        lost (Optional[Lost]): where such relations are told, with their document.
        trained (Optional[str]): see `_generator`.
        RETURNS (List[Candidate]): the pairs of which something is known and that have a weight; none of a document
            whose relations were never set, and of one that was annotated for other labels only those with a relation.
        """
        if not has_relations(doc):
            return []
        spans = entity_spans(doc, self.spans_key)
        candidates = label_candidates(doc, self._candidates(doc, types, trained), spans, self.predictor.labels)
        missed = unreached(doc, candidates, spans, self.predictor.labels)
        candidates = [c for c in candidates if c.instance.weight > 0 and any(self.predictor.labels.known(c.instance))]
        if not missed:
            return candidates
        if lost is not None:
            lost.extend((doc, relation) for relation in missed)
        return [c for c in candidates if c.instance.answers or not any(is_near(c, relation) for relation in missed)]

    def _gold(self, docs: Sequence[Doc], lost: Optional[Lost] = None, trained: Optional[str] = None) -> List[Instance]:
        types = self._type_rules(docs, trained)
        return [candidate.instance for doc in docs for candidate in self._labelled(doc, types, lost, trained)]

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> Sequence[List[RelationPrediction]]:
        """RETURNS (Sequence[List[RelationPrediction]]): for every document its relations; see `predict_with_doubt`.
        With `sampling`, what its answers agree on; see `Taught`.
        """
        return self.predict_with_doubt(docs)[0] if self.sampling is None else self._teach(docs, self.sampling)

    @one_at_a_time
    def _teach(self, docs: Iterable[Doc], sampling: Sampling) -> List[Taught]:
        per_doc, pairs, documents = self._asked(list(docs))
        if not pairs:
            return [Taught() for _ in per_doc]
        answers, neighbours, least = sample(self.predictor, pairs, documents, sampling)
        found, start = [], 0
        for own in per_doc:
            part = slice(start, start + len(own))
            found.append(taught(own, answers[part], neighbours[part], self.predictor.labels, least[part]))
            start += len(own)
        return found

    def _asked(self, docs: Sequence[Doc]) -> Tuple[List[List[Candidate]], List[Candidate], List[int]]:
        """RETURNS (Tuple[List[List[Candidate]], List[Candidate], List[int]]): the pairs of each document, all of them,
        and the number of each one's document.
        """
        if not len(self.predictor.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        self._check_thresholds()
        self.advice.check_documents(docs)
        types = self._type_rules(docs)
        per_doc = [self._candidates(doc, types) for doc in docs]
        if self.predictor.pending and (self.predictor.calibration.weight > 0 or self.predictor.shown):
            warnings.warn(Warnings.W501.format(name=self.name), stacklevel=4)
        pairs = [candidate for candidates in per_doc for candidate in candidates]
        return per_doc, pairs, [number for number, candidates in enumerate(per_doc) for _ in candidates]

    @one_at_a_time
    def predict_with_doubt(self, docs: Iterable[Doc]) -> Tuple[List[List[RelationPrediction]], List[List[float]]]:
        """Find the relations of a batch of documents, without changing them, and say how near another answer is.

        docs (Iterable[Doc]): the documents.
        RETURNS (Tuple[List[List[RelationPrediction]], List[List[float]]]): for every document its relations, and the
            doubts about all of its pairs, with a relation or without, from 0 to 1.
        """
        docs = list(docs)
        per_doc, pairs, documents = self._asked(docs)
        owner = {id(candidate): number for candidate, number in zip(pairs, documents)}
        found: List[List[RelationPrediction]] = [[] for _ in docs]
        told: Optional[List[RelationPrediction]] = None if self._hear is None else []
        relations, doubts = self.predictor.predict(pairs, documents, told)
        for item in relations:
            found[owner[id(item.candidate)]].append(item)
        if self._hear is not None:
            likely: List[List[RelationPrediction]] = [[] for _ in docs]
            for item in told or ():
                likely[owner[id(item.candidate)]].append(item)
            for doc, items in zip(docs, likely):
                self._hear(doc, items)
        if pairs and self.predictor.zero_shot:
            found = [drop_rivals(items, self.predictor.labels) for items in found]
        following = iter(doubts)
        return found, [[next(following) for _ in candidates] for candidates in per_doc]

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[Sequence[RelationPrediction]]) -> None:
        """Set `doc._.relations`. Relations of labels that this component does not know stay: they are another's.

        docs (Iterable[Doc]): the documents.
        predictions (Iterable[Sequence[RelationPrediction]]): what `predict` gave for them.
        """
        for doc, found in zip(docs, predictions):
            spans = entity_spans(doc, self.spans_key)
            pairs = [item.candidate for item in found]
            pairs += [pair for pair, _ in found.weights] if isinstance(found, Taught) else []
            by_cluster = any(pair.first_cluster is not None for pair in pairs)
            clusters = cluster_entities(doc, spans) if by_cluster else []
            if self.spans_key is not None and by_cluster:
                # Without these, cluster indexes would be read as those of clusters of doc.ents.
                doc._.entity_clusters = clusters
            replace_relations(doc, to_relations(found, spans, clusters), self.labels)
            if isinstance(found, Taught):
                set_weights(doc, to_weights(found.weights, spans, clusters))
                # Nobody looked for other labels.
                doc._.annotated_labels = sorted(all_labels([doc], self.labels))

    # Training

    @one_at_a_time
    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Dict[str, Any]] = None,
        tune: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Take labels and examples from the training data, and make what is trained: the label head, or weights of the
        reader of open labels.

        The examples go into the store, beside those that are there. Where they hold no relation at all, the component
        stays as it is, ready for zero-shot use.

        get_examples (Callable[[], Iterable[Example]]): gives the training examples.
        nlp (Optional[Language]): its components before this one propose pairs, where the examples have none.
        labels (Optional[Dict[str, Any]]): labels as in `label_data`, in place of those in the data.
        tune (Optional[Dict[str, Any]]): tune the sentence encoder on the examples first, so that those with a query's
            relation are found; settings of `tune_encoder`. It is saved with the store. Not tuned where None.
        """
        self._check_training(get_examples)
        known = len(self.predictor.labels)
        for label, text in (labels or {}).items():
            self.predictor.add_label(label, text)
        self._open_labels = self._open_labels and not labels
        self._check_annotation(example.reference for example in get_examples())
        self._take_labels((example.reference for example in get_examples()), again=True)
        if not len(self.predictor.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        self._check_thresholds()
        instances: List[Instance] = []
        lost: Lost = []
        for example in propose(get_examples(), nlp, self):
            doc = with_proposals(example, self.spans_key)
            instances.extend(self._gold([doc], lost, self.predictor.fresh))
        self.advice.lost_relations(lost)
        has_relations = any(instance.answers for instance in instances)
        # A head is made again, and one with another number of classes has to be.
        if has_relations or (self.predictor.shim.has_head and len(self.predictor.labels) > known):
            self._begin_training()
        if has_relations:
            if tune is not None:
                self.predictor.tune_encoder(instances, tune)
            self.predictor.add_examples(self.predictor.unknown(instances))

    def _begin_training(self) -> None:
        """Make what is trained anew."""
        self.predictor.init_head()

    def _check_annotation(self, docs: Iterable[Doc]) -> None:
        """Raise a ValueError for documents with entities of which none has a relation: nothing can be learned."""
        total = entities = annotated = 0
        for doc in docs:
            if len(get_relations(doc)):
                return
            total += 1
            entities += bool(entity_spans(doc, self.spans_key))
            annotated += has_relations(doc)
        if entities:
            raise ValueError(Errors.R550.format(name=self.name, total=total, annotated=annotated))

    def _learn(self, examples: List[Example]) -> Optional[float]:
        # With gold entities and the candidate pairs of an annotating component.
        docs = [with_proposals(example, self.spans_key) for example in examples]
        self._take_labels(docs)
        if not len(self.predictor.labels):
            raise ValueError(Errors.R501.format(name=self.name))
        instances = self._gold(docs, trained=self.predictor.learns)
        if not instances:
            return None
        if not self.predictor.can_learn:
            self._begin_training()
        return self.predictor.train(instances)

    def _step(self, sgd: Optimizer) -> None:
        self.predictor.finish_update(sgd)

    def get_loss(self, examples: Iterable[Example], scores: "np.ndarray") -> "Tuple[float, np.ndarray]":
        """The loss of scores, and its gradient.

        examples (Iterable[Example]): the examples.
        scores (numpy.ndarray): logits for the pairs of the examples' references, in order, *Shape* (pairs, classes).
        RETURNS (Tuple[float, numpy.ndarray]): the mean loss and the gradient, *Shape* (pairs, classes).
        """
        docs = [with_proposals(example, self.spans_key) for example in examples]
        return self.predictor.loss(self._gold(docs, trained=self.predictor.learns), scores)

    @one_at_a_time
    def calibrate(self, examples: Iterable[Example]) -> Dict[str, float]:
        """Make the store's keys with the trained model, then choose temperature and the weight of the neighbours on
        examples that were not trained on.

        examples (Iterable[Example]): development examples.
        RETURNS (Dict[str, float]): micro-F1 on them `before` and `after`, from 0 to 1; and `cross_validated`, what the
            same choice gives on documents that it was not made on, where there are two documents or more. Where nothing
            is better than what was there, that stays.
        """
        docs = [with_proposals(example, self.spans_key) for example in examples]
        types = self._type_rules(docs, self.predictor.mode)
        per_doc = [self._labelled(doc, types) for doc in docs]
        candidates = [candidate for own in per_doc for candidate in own]
        if not candidates:
            raise ValueError(explain_no_pairs(self.name, docs, self.spans_key, self._generator()))
        return self.predictor.calibrate(candidates, [number for number, own in enumerate(per_doc) for _ in own])

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """As in spaCy. The scorer is told where the entities are, and which labels are symmetric."""
        symmetric = [label for label, spec in self.predictor.labels.specs.items() if spec.symmetric]
        scores: Dict[str, Any] = super().score(
            examples, **{"spans_key": self.spans_key, "symmetric": symmetric, **kwargs}
        )
        return scores

    # Serialisation

    @one_at_a_time
    def shrink(self, precision: Precision) -> None:
        """As in `Component`. Frozen labels stay so.

        precision (str): of what was trained, "half" or "int8".
        """
        super().shrink(precision)
        self.predictor.open.keep_read()

    def _retrievers(self) -> List[Retriever]:
        return [self.predictor.retriever]

    def _parts(self) -> Dict[str, Part]:
        pending = Part.file(
            self.predictor.pack_pending, self.predictor.load_pending, lambda path: Errors.R210.format(file=path)
        )
        parts = {"store": Part.of(self.predictor.retriever), "pending": pending}
        if self.predictor.open.weights is not None:
            parts["open"] = Part.file(
                lambda: self.predictor.open.to_bytes(),
                lambda data, file: self.predictor.open.from_bytes(data, file, self.name),
            )
        return parts

    def _before_saving(self) -> None:
        predictor = self.predictor
        is_open = predictor.answer != "head" and predictor.mode == "open"
        predictor.open.read_examples(predictor.labels, predictor.known_examples if is_open else [])
