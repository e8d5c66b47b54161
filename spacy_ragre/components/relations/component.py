"""Relations between entities, answered by a language model that is shown similar examples first.

The component works in three states: with labels alone (zero-shot), with examples that were added (few-shot), and
trained. It asks about each pair of mentions once, in the order of the text, and chooses among "no relation" and every
label in both directions.

Sources: RAG4RE (arXiv 2404.13397), its fine-tuned form (arXiv 2406.14745), QLoRA (arXiv 2305.14314), interpolation
with neighbours (arXiv 1911.00172).
"""

from typing import Any, Dict, List, Optional, Sequence, Union

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import logger
from spacy.vocab import Vocab
from thinc.api import Config, Model

from ...candidates import CandidateGenerator
from ...entity_types import ONTONOTES, STRICT, TypeRules
from ...errors import Errors
from ...labels import LabelSet, check_config_labels, label_table
from ...prompts import Prompt
from ...retrieval import DEFAULT_K, Retriever
from ..base import Scorer
from .annotations import SCORE_WEIGHTS
from .extractor import RelationExtractor
from .given_types import Given, GivenTypes
from .learning import explain, labels_without_words
from .open_scorer import BUNDLED_WEIGHTS
from .predictor import RelationPredictor

DEFAULT_CONFIG = """
[rag_relation_extractor]
labels = {}
weights = "open"
answer = "auto"
n_examples = 3
multi_label = false
threshold = 0.0
label_smoothing = 0.0
both_orders = false
types = "auto"
spans_key = null
candidates = null

[rag_relation_extractor.model]
@architectures = "ragre.LabelModel.v1"

[rag_relation_extractor.model.backbone]
@ragre_backbones = "ragre.CausalLM.v1"
name = "smollm2-135m-instruct"

[rag_relation_extractor.prompt]
@ragre_prompts = "ragre.Relation.v1"

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
    default_score_weights=SCORE_WEIGHTS,
)
def make_rag_relation_extractor(
    nlp: Language,
    name: str,
    model: Model[Any, Any],
    labels: Union[Dict[str, Any], List[Any]],
    weights: Optional[str],
    answer: str,
    n_examples: int,
    multi_label: bool,
    threshold: Union[float, Dict[str, Any]],
    label_smoothing: float,
    both_orders: bool,
    types: str,
    spans_key: Optional[str],
    prompt: Prompt,
    candidates: Optional[CandidateGenerator],
    retriever: Retriever,
    scorer: Optional[Scorer],
) -> "RagRelationExtractor":
    """Build the component. No weights are loaded before they are needed.

    model (Model): a label model around a language model.
    labels (Union[Dict[str, Any], List[Any]]): a list of labels, or each label with its text between head and tail ("was
        founded by"), or with a table with `text` (one, or a list of wordings), `definition`, `symmetric`, `head_types`
        and `tail_types`; a list may hold such tables, with the key `label`. May be empty: labels then come from
        `initialize` or `add_examples`.
    weights (Optional[str]): of the encoder that reads labels which nobody trained on, and where its training starts:
        "open" for those that come with the package, a folder with others, or null for none.
    answer (str): "open" (that encoder, trained or not), "head", "trie" or "generate" (the language model). "auto"
        trains that encoder, unless `weights` is null, a label has no words ("P17"), or `model`, `prompt`, `both_orders`
        or keys of the model's states are set: then the language model. It answers by what was trained, and before by
        "open", or by "trie" where there are no weights. A model on a server answers by "generate", the only way it can.
    n_examples (int): most retrieved examples in a prompt. Before the model is trained, as many with a relation as
        without, and none where there are not both: what all of them hold is what such a model would answer.
    multi_label (bool): whether a pair may hold several relations.
    threshold (Union[float, Dict[str, Any]]): least probability of a relation, from 0 to 1: one for all labels, or a
        table of labels, in which "*" stands for all others. With 0, or without, a label keeps the limit that was
        chosen for it.
    label_smoothing (float): share of the target that training spreads over all classes, from 0 to less than 1.
        Of no effect with `multi_label`.
    both_orders (bool): train the head on pairs in both orders, and average its answers to both: better, and twice the
        work in prediction.
    types (str): how strictly entities must have the types of the labels. "strict": no others. "near": other kinds of
        names, and types that the pipeline never gives, must score higher. "auto": near where a trained recogniser,
        `open_entities` or `entity_phrases` finds the entities and nothing was trained or calibrated, else strict.
    spans_key (Optional[str]): read mentions from `doc.spans[spans_key]` instead of `doc.ents`; they may overlap.
    prompt (Prompt): how a pair is put to the language model.
    candidates (Optional[CandidateGenerator]): which pairs are asked about. If null, all of a passage
        (`ragre.Passage.v1`) where the answer is "open", else those of one sentence (`ragre.SameSentence.v1`).
    retriever (Retriever): encoder and store of examples.
    scorer (Optional[Callable]): the scoring method.
    """
    check_config_labels(labels)
    check_config_labels(threshold if isinstance(threshold, dict) else {})
    return RagRelationExtractor(
        nlp.vocab,
        model,
        name,
        labels=labels,
        weights=weights,
        answer=answer,
        n_examples=n_examples,
        multi_label=multi_label,
        threshold=threshold,
        label_smoothing=label_smoothing,
        both_orders=both_orders,
        types=types,
        nlp=nlp,
        spans_key=spans_key,
        prompt=prompt,
        candidates=candidates,
        retriever=retriever,
        scorer=scorer,
    )


class RagRelationExtractor(RelationExtractor):
    """Find relations between the entities of a document.

    The arguments are those of the factory; see `make_rag_relation_extractor`. `nlp` says which entity types are found
    before it; without it, entities are somebody's own, and "near" takes the types of OntoNotes.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str = "rag_relation_extractor",
        *,
        prompt: Prompt,
        retriever: Retriever,
        candidates: Optional[CandidateGenerator] = None,
        labels: Union[Dict[str, Any], List[Any], None] = None,
        weights: Optional[str] = BUNDLED_WEIGHTS,
        answer: str = "auto",
        n_examples: int = 3,
        multi_label: bool = False,
        threshold: Union[float, Dict[str, float]] = 0.0,
        label_smoothing: float = 0.0,
        both_orders: bool = False,
        types: str = "auto",
        nlp: Optional[Language] = None,
        spans_key: Optional[str] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        if types not in ("auto", "near", "strict"):
            raise ValueError(Errors.R642.format(name=name, value=types))
        predictor = RelationPredictor(
            model,
            prompt,
            retriever,
            LabelSet(label_table(labels or {})),
            weights=weights,
            answer=answer,
            n_examples=n_examples,
            multi_label=multi_label,
            label_smoothing=label_smoothing,
            both_orders=both_orders,
        )
        super().__init__(
            vocab,
            model,
            name,
            predictor=predictor,
            candidates=candidates,
            threshold=threshold,
            labels=labels or {},
            spans_key=spans_key,
            scorer=scorer,
        )
        self.advice.check_retriever(retriever.k, DEFAULT_K, n_examples)
        self.types = types
        self._given = None if nlp is None else GivenTypes(nlp, self)

    def _type_rules(self, docs: Sequence[Doc], trained: Optional[str] = None) -> TypeRules:
        predictor = self.predictor
        found = Given() if self._given is None or self.spans_key is not None else self._given.found(docs)
        untouched = trained is None and not predictor.open.shim.tuned
        untouched = untouched and predictor.calibration == predictor.calibration.plain()
        near = self.types == "near" or (self.types == "auto" and untouched and found.types is not None)
        near = near and (trained or predictor.mode) == "open"
        known = ONTONOTES if found.types is None else found.types
        if near and not found.known:
            self.advice.unknown_pipeline()
        elif found.known and (near or found.types is not None):
            self.advice.check_types(predictor.labels, TypeRules(known), near)
        if trained is None and predictor.zero_shot:
            has_examples = bool(predictor.pending or len(predictor.retriever.store))
            codes = [] if has_examples else labels_without_words(predictor.labels)
            self.advice.check_reader(self.vocab.lang, predictor.open.weights == BUNDLED_WEIGHTS, codes)
        predictor.open.types, predictor.open.entities = TypeRules(known) if near else STRICT, found.by
        return predictor.open.types

    def _begin_training(self) -> None:
        super()._begin_training()
        logger.info(explain(self.name, self.predictor))

    def _settings(self) -> Dict[str, Any]:
        return {**super()._settings(), "types": self.types}

    def _apply(self, settings: Dict[str, Any]) -> None:
        super()._apply(settings)
        if self.types == "auto" and "types" not in settings:
            self.types = "strict"  # as all were when it was saved
