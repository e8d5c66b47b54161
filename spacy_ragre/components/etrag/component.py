"""Relations between entities, answered by a language model whose retrieval is trained with it.

An encoder embeds each pair and the annotated instances of the training data; k neighbours are chosen softly and read
by the language model as vectors before the prompt. Encoder, soft selection, projection, adapter and label head have one
loss.

Source: ETRAG (arXiv 2406.03790). See docs/etrag.md for what is different here.
"""

import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Union

from spacy.language import Language
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Config, Model

from ...candidates import CandidateGenerator
from ...errors import Errors, Warnings
from ...instances import Instance
from ...labels import LabelSet, check_config_labels, label_table
from ...prompts import Prompt
from ...retrieval import Neighbour
from ...training.locks import one_at_a_time
from ...training.tensors import Precision
from ..base import Scorer
from ..relations.annotations import SCORE_WEIGHTS, with_proposals
from ..relations.examples import as_shown
from ..relations.extractor import RelationExtractor
from .predictor import ETRAGPredictor

DEFAULT_CONFIG = """
[etrag_extractor]
labels = {}
preselect = 256
refresh_every = 100
refresh_size = 0
index = "flat"
retrieval_loss = 1.0
multi_label = false
threshold = 0.0
label_smoothing = 0.0
spans_key = null

[etrag_extractor.model]
@architectures = "ragre.ETRAG.v1"
k = 4
prompt_length = 1
temperature = 0.1
learn_temperature = true
train_retriever = true
train_layers = 0
fresh = 16
vote = 3.0
label_dropout = 0.5
tuning = "lora"
retriever_rate = 0.05

[etrag_extractor.model.backbone]
@ragre_backbones = "ragre.CausalLM.v1"
name = "smollm2-135m-instruct"

[etrag_extractor.model.encoder]
@ragre_encoders = "ragre.TextEncoder.v1"
name = "all-MiniLM-L6-v2"
text = "marked"

[etrag_extractor.prompt]
@ragre_prompts = "ragre.Relation.v1"
instruction = false

[etrag_extractor.candidates]
@ragre_candidates = "ragre.SameSentence.v1"

[etrag_extractor.scorer]
@scorers = "ragre.relation_scorer.v1"
"""

_CONFIG = Config().from_str(DEFAULT_CONFIG)["etrag_extractor"]


@Language.factory(
    "etrag_extractor",
    assigns=["doc._.relations"],
    requires=["doc.ents"],
    default_config=_CONFIG,
    default_score_weights=SCORE_WEIGHTS,
)
def make_etrag_extractor(
    nlp: Language,
    name: str,
    model: Model[Any, Any],
    labels: Union[Dict[str, Any], List[Any]],
    preselect: int,
    refresh_every: int,
    refresh_size: int,
    index: str,
    retrieval_loss: float,
    multi_label: bool,
    threshold: Union[float, Dict[str, Any]],
    label_smoothing: float,
    spans_key: Optional[str],
    prompt: Prompt,
    candidates: CandidateGenerator,
    scorer: Optional[Scorer],
) -> "ETRAGExtractor":
    """Build the component. No weights are loaded before they are needed.

    model (Model): language model, encoder and soft selection; see `spacy_ragre.components.etrag.model`.
    labels (Union[Dict[str, Any], List[Any]]): a list of labels, or each label with its text between head and tail ("was
        founded by"), or with a table with `text` (one, or a list of wordings), `definition`, `symmetric`, `head_types`
        and `tail_types`; a list may hold such tables, with the key `label`. May be empty: labels then come from
        `initialize`.
    preselect (int): instances that the index finds for a query; the soft selection runs inside them. At least k.
    refresh_every (int): steps of training after which kept keys are made again; 0 for never.
    refresh_size (int): most keys that are made again then, one part of the store after another; 0 for all of them.
    index (str): "flat" (exact) or "hnsw" (for large stores).
    retrieval_loss (float): weight of a second loss, which asks that neighbours have the query's label; 0 for the loss
        of the answers alone, as it was published.
    multi_label (bool): whether a pair may hold several relations.
    threshold (Union[float, Dict[str, Any]]): least probability of a relation, from 0 to 1: one for all labels, or a
        table of labels, in which "*" stands for all others. With 0, or without, a label keeps the limit that was
        chosen for it.
    label_smoothing (float): share of the target that training spreads over all classes, from 0 to less than 1.
        Of no effect with `multi_label`.
    spans_key (Optional[str]): read mentions from `doc.spans[spans_key]` instead of `doc.ents`; they may overlap.
    prompt (Prompt): how a pair is put to the language model.
    candidates (CandidateGenerator): which pairs are asked about.
    scorer (Optional[Callable]): the scoring method.
    """
    check_config_labels(labels)
    check_config_labels(threshold if isinstance(threshold, dict) else {})
    return ETRAGExtractor(
        nlp.vocab,
        model,
        name,
        labels=labels,
        preselect=preselect,
        refresh_every=refresh_every,
        refresh_size=refresh_size,
        index=index,
        retrieval_loss=retrieval_loss,
        multi_label=multi_label,
        threshold=threshold,
        label_smoothing=label_smoothing,
        spans_key=spans_key,
        prompt=prompt,
        candidates=candidates,
        scorer=scorer,
    )


class ETRAGExtractor(RelationExtractor):
    """Find relations between the entities of a document, by a model that learns what to retrieve.

    The arguments are those of the factory; see `make_etrag_extractor`.
    """

    predictor: ETRAGPredictor

    def __init__(
        self,
        vocab: Vocab,
        model: Model[Any, Any],
        name: str = "etrag_extractor",
        *,
        prompt: Prompt,
        candidates: CandidateGenerator,
        labels: Union[Dict[str, Any], List[Any], None] = None,
        preselect: int = 256,
        refresh_every: int = 100,
        refresh_size: int = 0,
        index: str = "flat",
        retrieval_loss: float = 1.0,
        multi_label: bool = False,
        threshold: Union[float, Dict[str, float]] = 0.0,
        label_smoothing: float = 0.0,
        spans_key: Optional[str] = None,
        scorer: Optional[Scorer] = None,
    ) -> None:
        predictor = ETRAGPredictor(
            model,
            prompt,
            LabelSet(label_table(labels or {})),
            name=name,
            preselect=preselect,
            refresh_every=refresh_every,
            refresh_size=refresh_size,
            index=index,  # type: ignore[arg-type]
            retrieval_loss=retrieval_loss,
            multi_label=multi_label,
            label_smoothing=label_smoothing,
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

    @one_at_a_time
    def initialize(  # type: ignore[override]
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Dict[str, Any]] = None,
    ) -> None:
        """Take labels from the training data, make all that is trained, and put its pairs into the store.

        get_examples (Callable[[], Iterable[Example]]): gives the training examples.
        nlp (Optional[Language]): its components before this one propose pairs, where the examples have none.
        labels (Optional[Dict[str, Any]]): labels as in `label_data`, in place of those in the data.
        """
        self.predictor.retriever.clear()
        super().initialize(get_examples, nlp=nlp, labels=labels)
        k, store = self.predictor.etrag.k, self.predictor.retriever.store
        if not k:
            return
        if not len(store):
            raise ValueError(Errors.R544.format(name=self.name))
        if len(store) < k:
            raise ValueError(Errors.R543.format(name=self.name, k=k, count=len(store)))
        answers = {instance.answers for instance in store.instances}
        if len(answers) == 1:
            only = ", ".join(answer.label for answer in next(iter(answers)) or ())
            warnings.warn(Warnings.W502.format(name=self.name, answer=only), stacklevel=3)

    # Inspection

    @one_at_a_time
    def retrieval_report(self, examples: Iterable[Example]) -> Dict[str, float]:
        """How often the retrieved instances have something in common with the query. The k with most weight are looked
        at for each pair.

        examples (Iterable[Example]): annotated examples.
        RETURNS (Dict[str, float]): shares from 0 to 1: `label`, of the retrieved instances that have the query's label
            ("no relation" is one); `weight`, of the k neighbours' weight that is on such instances; `entity`, of those
            that have a mention with the text of one of the query's; `either`, of those that have one or the other;
            `nearest`, of the queries whose first neighbour has their label. And `pairs`, the number of queries.
        """
        gold = self._gold([with_proposals(example, self.spans_key) for example in examples])
        # Whether a pair holds no relation is not known where its document was annotated for some labels only.
        instances = [instance for instance in gold if as_shown(instance, self.predictor.labels).answers is not None]
        counts = dict.fromkeys(("label", "entity", "either", "weight", "nearest"), 0.0)
        total = weight = queries = 0.0
        for query, found in zip(instances, self.predictor.neighbours(instances)):
            for rank, neighbour in enumerate(found):
                same = _same_label(query, as_shown(neighbour.instance, self.predictor.labels))
                shared = _same_entity(query, neighbour)
                share = neighbour.weight or 0.0
                counts["label"] += same
                counts["entity"] += shared
                counts["either"] += same or shared
                counts["weight"] += share * same
                counts["nearest"] += same and rank == 0
                weight += share
            total += len(found)
            queries += bool(found)
        parts = {"weight": weight, "nearest": queries}
        report = {key: value / max(parts.get(key, total), 1e-12) for key, value in counts.items()}
        return {**report, "pairs": float(len(instances))}

    # Serialisation

    def _settings(self) -> Dict[str, Any]:
        # Where training goes on from.
        return {**super()._settings(), "steps": self.predictor.steps, "next_key": self.predictor.next_key}

    def _apply(self, settings: Dict[str, Any]) -> None:
        super()._apply(settings)
        self.predictor.steps, self.predictor.next_key = settings.get("steps", 0), settings.get("next_key", 0)

    def shrink(self, precision: Precision) -> None:
        """Not supported: raises a ValueError. The instances' keys are of an encoder that is trained with the rest.

        precision (str): "half" or "int8".
        """
        raise ValueError(Errors.R652.format(name=self.name))

    def _before_saving(self) -> None:
        # Instances are saved with the keys of the trained encoder.
        self.predictor.refresh()


def _same_label(query: Instance, example: Instance) -> bool:
    if example.answers is None:
        return False
    own, other = set(query.answers or ()), set(example.answers)
    return bool(own & other) or own == other


def _same_entity(query: Instance, neighbour: Neighbour) -> bool:
    mentions: List[Set[str]] = [
        {instance.first_text.casefold(), instance.second_text.casefold()} for instance in (query, neighbour.instance)
    ]
    return bool(mentions[0] & mentions[1])
