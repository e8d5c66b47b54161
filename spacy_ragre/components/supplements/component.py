"""Dietary supplements in clinical text: four tasks, one language model with one adapter (RAMIE, arXiv 2411.15700).

`ner` finds supplements and events, `re` says how they are related, `te` lists triples of them, and `uc` says whether a
supplement is continuing, discontinued, started or uncertain. `re` and `uc` choose from a closed set of labels; `ner`
and `te` generate lists, which are aligned to the text. Nothing of a text is logged, and nothing leaves the machine.
"""

from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer

from ...errors import Errors
from ...instances import Instance
from ...prompts.responses import count_answers
from ...prompts.supplements import LABELS, RELATIONS, TASKS, Task, TaskPrompt
from ...relations import ID_KEY, entity_spans, has_entity_annotation, replace_relations
from ...retrieval import Retriever
from ...training.locks import one_at_a_time
from ..base import Component, Scorer
from ..saving import Part
from .gazetteer import Gazetteer
from .mention_swap import MentionSwapper
from .mentions import look_up, set_mentions, set_triples, without_taken
from .predictor import TaskPredictor, mixing_weights
from .questions import EntityLabels, questions, without_mentions
from .runner import Predicted, TaskRunner, read_triples_off
from .windows import Limits

DEFAULT_CONFIG = """
[supplement_usage_classifier]
tasks = ["uc"]
supplement_label = "SUPPLEMENT"
event_label = "EVENT"
spans_key = null
answer = "auto"
triples = "auto"
n_examples = 1
max_tokens = 64
max_sentences = 1
mixing_temperature = 1.0
label_smoothing = 0.0
swap_mentions = 0.0
constrained = true

[supplement_usage_classifier.model]
@architectures = "ragre.MultiTaskModel.v1"

[supplement_usage_classifier.model.backbone]
@ragre_backbones = "ragre.CausalLM.v1"
name = "smollm2-135m-instruct"
lora = {"rank": 64, "alpha": 32, "dropout": 0.1}

[supplement_usage_classifier.prompt]
@ragre_prompts = "ragre.Supplements.v1"

[supplement_usage_classifier.retriever]
@ragre_retrievers = "ragre.Retriever.v1"

[supplement_usage_classifier.retriever.encoder]
@ragre_encoders = "ragre.TextEncoder.v1"
text = "response"

[supplement_usage_classifier.gazetteer]
@misc = "ragre.SupplementGazetteer.v1"

[supplement_usage_classifier.scorer]
@scorers = "ragre.supplement_scorer.v1"
"""

TRIPLES = ("auto", "generate")
_CONFIG = Config().from_str(DEFAULT_CONFIG)["supplement_usage_classifier"]


@Language.factory(
    "supplement_usage_classifier",
    assigns=["doc.ents", "doc._.relations", "doc._.triples", "span._.usage", "span._.usage_score"],
    default_config=_CONFIG,
    default_score_weights={
        "ner_strict_f": 0.25,
        "re_micro_f": 0.25,
        "te_strict_f": 0.25,
        "uc_macro_f": 0.25,
        "ner_lenient_f": None,
        "re_macro_f": None,
        "uc_micro_f": None,
        "ner_per_type": None,
        "re_per_type": None,
        "te_per_type": None,
        "uc_per_type": None,
        "uc_confusion": None,
    },
)
def make_supplement_usage_classifier(
    nlp: Language,
    name: str,
    model: Model[Any, Any],
    tasks: List[str],
    supplement_label: str,
    event_label: str,
    spans_key: Optional[str],
    answer: str,
    triples: str,
    n_examples: int,
    max_tokens: int,
    max_sentences: Optional[int],
    mixing_temperature: float,
    label_smoothing: float,
    swap_mentions: float,
    constrained: bool,
    prompt: TaskPrompt,
    retriever: Retriever,
    gazetteer: Optional[Gazetteer],
    scorer: Optional[Scorer],
) -> "SupplementUsageClassifier":
    """Build the component. No weights are loaded before they are needed.

    model (Model): a multi-task model around a language model.
    tasks (List[str]): any of "ner", "re", "te" and "uc". With "ner", mentions are found again, and the other tasks ask
        about those; without it, they ask about the mentions that the document has.
    supplement_label (str): entity label of supplements.
    event_label (str): entity label of events.
    spans_key (Optional[str]): mentions are in `doc.spans[spans_key]`, where they may overlap, instead of `doc.ents`.
    answer (str): how "re" and "uc" are answered: "head", "trie", or "auto" for the head once trained.
    triples (str): how "te" is answered: "generate", or "auto" to read triples off the relations of mentions where "re"
        is among the tasks, too.
    n_examples (int): most retrieved examples in a prompt; 0 for none.
    max_tokens (int): most spaCy tokens that are read at once. A longer sentence is cut where it is full.
    max_sentences (Optional[int]): most sentences that are read at once; None for as many as fit. Supplements and
        events that are not read together are not related.
    mixing_temperature (float): how tasks are mixed in training: 1 in proportion to their answers (labels, mentions,
        triples), the larger the more equal.
    label_smoothing (float): share of the target that training spreads over all labels.
    swap_mentions (float): share of the names in a training document that are exchanged for those of other training
        documents, drawn again at each step, from 0 to 1. With examples in prompts, for documents that have an id.
    constrained (bool): generate names that stand in the text only. Without it, others are generated and then dropped.
    prompt (TaskPrompt): how a question is put to the language model.
    retriever (Retriever): encoder and settings of the stores of examples.
    gazetteer (Optional[Gazetteer]): finds the supplements of documents that have no mention of one, where "ner" is not
        among the tasks.
    scorer (Optional[Callable]): the scoring method.
    """
    return SupplementUsageClassifier(
        nlp.vocab,
        model,
        name,
        tasks=tasks,
        labels=EntityLabels(supplement_label, event_label),
        spans_key=spans_key,
        answer=answer,
        triples=triples,
        n_examples=n_examples,
        limits=Limits(max_tokens, max_sentences),
        mixing_temperature=mixing_temperature,
        label_smoothing=label_smoothing,
        swap_mentions=swap_mentions,
        constrained=constrained,
        prompt=prompt,
        retriever=retriever,
        gazetteer=gazetteer,
        scorer=scorer,
    )


class SupplementUsageClassifier(Component):
    """Find dietary supplements, how they are used, and what they are said to act on.

    The arguments are those of the factory; see `make_supplement_usage_classifier`.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str = "supplement_usage_classifier",
        *,
        prompt: TaskPrompt,
        retriever: Retriever,
        tasks: Sequence[str] = ("uc",),
        labels: EntityLabels = EntityLabels("SUPPLEMENT", "EVENT"),
        spans_key: Optional[str] = None,
        answer: str = "auto",
        triples: str = "auto",
        n_examples: int = 1,
        limits: Limits = Limits(),
        mixing_temperature: float = 1.0,
        label_smoothing: float = 0.0,
        swap_mentions: float = 0.0,
        constrained: bool = True,
        gazetteer: Optional[Gazetteer] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        unknown = set(tasks) - set(TASKS)
        if unknown or not tasks or len(set(tasks)) < len(tasks):
            raise ValueError(Errors.R530.format(value=list(tasks), known=", ".join(TASKS)))
        if not labels.supplement or not labels.event or labels.supplement == labels.event:
            raise ValueError(Errors.R532.format(supplement=labels.supplement, event=labels.event))
        limits.check()
        if not mixing_temperature >= 0.1:
            raise ValueError(Errors.R533.format(setting="mixing_temperature", value=mixing_temperature, least=0.1))
        if not 0 <= swap_mentions <= 1:
            raise ValueError(Errors.R535.format(value=swap_mentions))
        if triples not in TRIPLES:
            raise ValueError(Errors.R536.format(value=triples, known=", ".join(TRIPLES)))
        super().__init__(vocab, model, name, scorer=scorer, spans_key=spans_key)
        self.entity_labels = labels
        self.mixing_temperature = mixing_temperature
        self.gazetteer = gazetteer
        self.swapper = MentionSwapper(swap_mentions)
        # In the order in which they are answered, whatever order they are given in.
        self.tasks: Tuple[Task, ...] = tuple(task for task in TASKS if task in tasks)
        self.triples = triples
        self.weights: Dict[Task, float] = {task: 1.0 for task in self.tasks}
        self.predictor = TaskPredictor(
            model,
            prompt,
            retriever,
            self.tasks,
            answer=answer,
            n_examples=n_examples,
            label_smoothing=label_smoothing,
            constrained=constrained,
        )
        self.runner = TaskRunner(self.predictor, labels, limits)

    @property
    def dropped(self) -> int:
        """RETURNS (int): generated items that were dropped since the component was made: no part of a list, or not in
        the text.
        """
        return self.runner.dropped

    # Examples

    @one_at_a_time
    def add_examples(self, docs: Iterable[Doc]) -> int:
        """Put examples into the stores. They are shown in prompts from now on; nothing is trained.

        docs (Iterable[Doc]): annotated documents.
        RETURNS (int): the number of questions that were added.
        """
        gold = self._gold(docs)
        return sum(self.predictor.add_examples(task, instances) for task, instances in gold.items())

    def _gold(self, docs: Iterable[Doc], training: bool = False, swap: bool = False) -> Dict[Task, List[Instance]]:
        result: Dict[Task, List[Instance]] = {task: [] for task in self.tasks}
        for doc in docs:
            spans = entity_spans(doc, self.spans_key)
            annotated = has_entity_annotation(doc, self.spans_key)
            # Without an id, a document with other names would be shown itself as an example.
            if swap and (ID_KEY in doc.user_data or not self.predictor.n_examples):
                doc, spans = self.swapper(doc, spans)
            # A store may be filled without loading the language model.
            fits = self.predictor.fits if training else None
            for task in self.tasks if annotated else [task for task in self.tasks if task != "ner"]:
                asked = questions(doc, task, spans, self.entity_labels, self.runner.limits, gold=True, fits=fits)
                result[task].extend(question.instance for question in asked)
            if annotated and fits is not None and "ner" in self.tasks:
                parts = without_mentions(doc, spans, self.runner.limits.max_tokens)
                result["ner"].extend(part for part in parts if fits("ner", part))
        return result

    def _show_names(self, docs: Iterable[Doc]) -> None:
        for doc in docs:
            self.swapper.add([span for span in entity_spans(doc, self.spans_key) if span.label_ in self.entity_labels])

    # Prediction

    @one_at_a_time
    def predict(self, docs: Iterable[Doc], tasks: Optional[Sequence[Task]] = None) -> List[Predicted]:
        """Answer the tasks for a batch of documents, without changing them.

        docs (Iterable[Doc]): the documents.
        tasks (Optional[Sequence[str]]): some of the component's tasks; all of them where None.
        RETURNS (List[Predicted]): what was found in each document.
        """
        docs = list(docs)
        chosen = self.tasks if tasks is None else tuple(task for task in self.tasks if task in tasks)
        mentions, spans = self._find_mentions(docs, chosen)
        read_off = "te" in chosen and "re" in self.tasks and self.triples == "auto"
        labelled = [task for task in LABELS if task in chosen or (task == "re" and read_off)]
        if "ner" not in chosen and ("re" in labelled or (labelled and self.gazetteer is None)):
            self._warn_without_mentions(docs)
        found = self.runner.choose(docs, spans, labelled)
        if read_off:
            found = [
                own._replace(
                    triples=read_triples_off(doc, own.relations or ()),
                    relations=own.relations if "re" in chosen else None,
                )
                for doc, own in zip(docs, found)
            ]
        elif "te" in chosen:
            found = [own._replace(triples=triples) for own, triples in zip(found, self.runner.triples(docs))]
        # What the gazetteer finds is added; what NER finds is all there is.
        replaced = tuple(self.entity_labels) if "ner" in chosen else ()
        return [own._replace(mentions=new, replaced=replaced) for own, new in zip(found, mentions)]

    def _find_mentions(
        self, docs: Sequence[Doc], tasks: Sequence[Task]
    ) -> Tuple[List[Optional[List[Tuple[int, int, str]]]], List[Sequence[Span]]]:
        """RETURNS: the mentions that are new for each document, and all that the other tasks ask about."""
        spans: List[Sequence[Span]] = [entity_spans(doc, self.spans_key) for doc in docs]
        new: List[Optional[List[Span]]] = [None] * len(docs)
        if "ner" in tasks:
            new = list(self.runner.mentions(docs))
            if self.spans_key is None:
                new = [without_taken(found or (), (), self.entity_labels) for found in new]
            spans = [found or [] for found in new]
        elif self.gazetteer is not None:
            for i, doc in enumerate(docs):
                if not any(span.label_ == self.entity_labels.supplement for span in spans[i]):
                    new[i] = look_up(doc, self.gazetteer, self.entity_labels, spans[i], self.spans_key)
                    spans[i] = [*spans[i], *(new[i] or [])]
        plain = [None if found is None else [(s.start, s.end, s.label_) for s in found] for found in new]
        return plain, spans

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[Predicted]) -> None:
        """Set the mentions, `doc._.relations`, `doc._.triples`, `span._.usage` and `span._.usage_score`.

        docs (Iterable[Doc]): the documents.
        predictions (Iterable[Predicted]): what `predict` gave for them.
        """
        for doc, found in zip(docs, predictions):
            if found.mentions is not None:
                mentions = [Span(doc, start, end, label) for start, end, label in found.mentions]
                set_mentions(doc, mentions, found.replaced, self.spans_key)
            if found.relations is not None:
                replace_relations(doc, found.relations, RELATIONS)
            if found.triples is not None:
                set_triples(doc, found.triples)
            for start, end, status, score in found.usage or ():
                span = doc[start:end]
                span._.usage, span._.usage_score = status, score

    # Training

    @one_at_a_time
    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Optional[Language] = None) -> None:
        """Make a new adapter and new label heads, and fill the stores with the training examples alone. Where they
        hold no question of the tasks, the component stays as it is.

        get_examples (Callable[[], Iterable[Example]]): gives the training examples.
        nlp (Optional[Language]): not used.
        """
        self._check_training(get_examples)
        docs = [example.reference for example in get_examples()]
        gold = self._gold(docs, training=True)
        if not any(gold.values()):
            return
        # Triples that are read off relations need no training.
        read_off = ("te",) if "re" in self.tasks and self.triples == "auto" else ()
        missing = [task for task, items in gold.items() if not items and task not in read_off]
        if missing:
            raise ValueError(Errors.R538.format(name=self.name, tasks=", ".join(missing)))
        counts = {task: len(items) for task, items in gold.items()}
        answers = {task: sum(count_answers(item.response) for item in items) for task, items in gold.items()}
        self.weights = mixing_weights(counts, answers, self.mixing_temperature)
        self.swapper = MentionSwapper(self.swapper.share)
        self._show_names(docs)
        self.predictor.init_heads()
        self.predictor.clear_examples()
        if self.predictor.n_examples:
            for task, instances in gold.items():
                self.predictor.add_examples(task, instances)

    def _learn(self, examples: List[Example]) -> Optional[float]:
        # All tasks, with gold mentions.
        docs = [example.reference for example in examples]
        self._show_names(docs)
        gold = self._gold(docs, training=True, swap=True)
        if not any(gold.values()):
            return None
        if not self.predictor.shim.has_head:
            self.predictor.init_heads()
        return self.predictor.train(gold, self.weights)

    def _step(self, sgd: Optimizer) -> None:
        self.predictor.finish_update(sgd)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """As in spaCy. The scorer is told the tasks, where the entities are, and their labels."""
        own = {"tasks": self.tasks, "spans_key": self.spans_key, "labels": self.entity_labels}
        scores: Dict[str, Any] = super().score(examples, **{**own, **kwargs})
        return scores

    # Serialisation

    def _retrievers(self) -> List[Retriever]:
        return list(self.predictor.stores.values())

    def _parts(self) -> Dict[str, Part]:
        return {f"store_{task}": Part.of(store) for task, store in self.predictor.stores.items()}

    def _settings(self) -> Dict[str, Any]:
        weights = {task: float(weight) for task, weight in self.weights.items()}
        return {"tasks": list(self.tasks), "weights": weights, "trained": self.predictor.trained}

    def _apply(self, settings: Dict[str, Any]) -> None:
        untrained = set(self.tasks) - set(settings["tasks"])
        if untrained:
            raise ValueError(Errors.R534.format(name=self.name, tasks=sorted(untrained), known=settings["tasks"]))
        # A pipeline may be loaded with some of its tasks only.
        self.weights = {task: settings["weights"].get(task, 1.0) for task in self.tasks}
        self.predictor.trained = settings["trained"]

    def _after_loading(self) -> None:
        self.predictor.forget()
