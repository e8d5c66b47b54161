"""Answers for pairs of mentions: what the relation components share between documents and the language model."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from thinc.api import Model, Optimizer
from tqdm import tqdm

from ...calibration.settings import Calibration
from ...calibration.temperature import interpolate
from ...candidates import Candidate
from ...errors import Errors
from ...instances import Instance
from ...labels import LabelSet
from ...llm.label_model import LabelShim
from ...llm.label_scoring import generate_texts, parse_texts, score_texts
from ...llm.remote.backbone import Documents, RemoteLM
from ...prompts import Prompt, class_words
from ...retrieval import Neighbour, Retriever, TextEncoder, tune_encoder
from ...retrieval.packing import pack_instances, read_instances
from ...retrieval.state_keys import BackboneEncoder, normalize
from ...training.locks import use_own_threads
from ...training.parallel import own_share
from .annotations import (
    RelationPrediction,
    allowed_classes,
    gather,
    gather_all,
    known_classes,
    proposal_odds,
    weights_of,
)
from .decisions import BestLabel, Decision, MultiLabel, SingleLabel, model_probabilities, pick_each
from .examples import as_shown, both_kinds, only_kind
from .fitting import NEIGHBOURS, DevelopmentPairs, choose
from .learning import is_as_default, labels_without_words
from .open_scorer import OpenScorer
from .pair_scores import LabelScores, likeliest, mention_pairs
from .prompted import PairPredictor

if TYPE_CHECKING:
    import numpy as np

# Work on fewer pairs than this shows no progress bar.
_LONG = 2000
_CHUNK = 512


class RelationPredictor(PairPredictor):
    """Scores the classes of pairs with a language model and the examples in a store.

    model (Model): a label model; see `spacy_ragre.llm.label_model`.
    prompt (Prompt): how a pair is put to the language model.
    retriever (Retriever): encoder and store of examples.
    labels (LabelSet): the labels.
    weights (Optional[str]): of the reader of open labels; see `OpenScorer`.
    answer (str): "head", "trie", "generate", "open" (an encoder that reads labels nobody trained on; see
        `open_scorer`), or "auto" for what was trained, and before for "open", or the trie without weights.
    n_examples (int): most examples in a prompt.
    multi_label (bool): whether a pair may hold several relations.
    label_smoothing (float): share of the target that training spreads over all classes, from 0 to less than 1.
    both_orders (bool): train the head on pairs in both orders, one of them at random in each step, and average its
        answers to both. Keys that are hidden states are then those of both.
    """

    modes = ("auto", "head", "trie", "generate", "open")
    remote_modes: ClassVar[Tuple[str, ...]] = ("auto", "generate", "open")

    def __init__(
        self,
        model: Model[Any, Any],
        prompt: Prompt,
        retriever: Retriever,
        labels: LabelSet,
        *,
        weights: Optional[str] = None,
        answer: str = "auto",
        n_examples: int = 0,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        both_orders: bool = False,
    ) -> None:
        if answer == "open" and weights is None:
            raise ValueError(Errors.R561)
        if answer != "open" and isinstance(getattr(model.shims[0], "backbone", None), RemoteLM):
            weights = None  # "auto" asks the server that somebody chose
        settings: Dict[str, Any] = {"answer": answer, "n_examples": n_examples, "label_smoothing": label_smoothing}
        super().__init__(model, prompt, labels, both_orders=both_orders, **settings)
        self.open = OpenScorer(weights)
        # Saved, averaged and stepped with the model. It takes the dropout of `update`.
        model.shims.append(self.open.shim)
        if answer in ("open", "auto"):
            model.attrs["dropout_rate"] = 0.0
        self.retriever = retriever
        self.multi_label = multi_label
        self._decision: Decision = MultiLabel() if multi_label else SingleLabel(label_smoothing)
        self.calibration = Calibration()
        #: Least probability of a relation, in place of all that is set or chosen, where not None. Not saved.
        self.limit: Optional[float] = None
        # Examples whose keys are of an older state of the model, or were never made.
        self.pending: List[Instance] = []
        if isinstance(retriever.encoder, BackboneEncoder):
            # Bound methods, since a lambda would keep the component from being pickled for another process.
            retriever.encoder.bind(self.states, self.fingerprint, self._width)
        # Whether no setting of the language model's own asks for it.
        self.is_plain = not both_orders and not self.uses_states and is_as_default(self.backbone, prompt)

    @property
    def untrained_mode(self) -> str:
        """RETURNS (str): the way that "auto" answers while there is no trained head."""
        return "open" if self.open.shim.tuned or self.open.weights is not None else super().untrained_mode

    @property
    def fresh(self) -> str:
        """RETURNS (str): what training begins anew with: "open", the reader's weights, or "head", adapter and head."""
        if self.answer != "auto":
            return "open" if self.answer == "open" else "head"
        reads = self.is_plain and self.open.weights is not None and not labels_without_words(self.labels)
        return "open" if reads else "head"

    @property
    def learns(self) -> str:
        """RETURNS (str): what an update trains, "open" or "head": what is there, or else what is made first."""
        if self.answer != "auto" or not (self.open.shim.tuned or self.shim.has_head):
            return self.fresh
        return "open" if self.open.shim.tuned else "head"

    @property
    def zero_shot(self) -> bool:
        """RETURNS (bool): whether labels are read that nothing was trained on."""
        return self.mode == "open" and not self.open.shim.tuned

    @property
    def decision(self) -> Decision:
        """RETURNS (Decision): how scores become answers now."""
        return BestLabel() if self.zero_shot and not self.multi_label else self._decision

    @property
    def settings(self) -> Calibration:
        """RETURNS (Calibration): what was chosen on development documents. Where nothing was, relations under open
        labels must be as likely as the user says, or as the weights say; once they are trained, likelier than none.
        """
        return self._settings()

    def _settings(self, across: bool = False) -> Calibration:
        """RETURNS (Calibration): for pairs of one sentence, or for those across sentences."""
        chosen = self.calibration
        if self.limit is not None:
            return replace(chosen, threshold=self.limit, thresholds={}, decision=0.0)  # no limit beside it
        if self.zero_shot and chosen == chosen.plain():
            return replace(chosen, decision=0.0, threshold=chosen.threshold or self.open.decision(self.labels, across))
        return chosen

    @property
    def shim(self) -> LabelShim:
        """RETURNS (LabelShim): the torch side of the model."""
        return self.model.shims[0]  # type: ignore[return-value]

    def fingerprint(self) -> str:
        """RETURNS (str): hash of what makes the keys, where those are hidden states."""
        fingerprint = self.shim.fingerprint()
        return f"{fingerprint}-both" if self.both_orders else fingerprint

    def _width(self) -> int:
        return self.backbone.width * (2 if self.both_orders else 1)

    def add_label(self, label: str, text: Union[str, Mapping[str, Any]] = "") -> bool:
        """RETURNS (bool): whether the label is new. A head has no row for it before it is made again."""
        added = self.labels.add(label, text)
        if added:  # What was fitted for other classes does not fit these.
            self.calibration = replace(self.calibration, prior=())
        return added

    # Examples

    @property
    def shown(self) -> int:
        """RETURNS (int): most examples in a prompt. None where keys are hidden states and the model is trained: each
        step of training changes all keys, so that no examples are found there, and prompts of prediction have to be
        those of training. The neighbours vote all the same (see `calibrate`).
        """
        if self.mode == "open" or not self.uses_examples:  # the first reads no prompts
            return 0
        return 0 if self.uses_states and self.shim.has_head and self.trained else self.n_examples

    @property
    def uses_states(self) -> bool:
        """RETURNS (bool): whether keys are hidden states of the language model."""
        return isinstance(self.retriever.encoder, BackboneEncoder)

    def add_examples(self, instances: Sequence[Instance]) -> None:
        """Put examples into the store.

        instances (Sequence[Instance]): pairs with answers.
        """
        self.targets(instances)  # raises where a label is unknown, before anything is stored
        learns = self.open.shim.tuned or (self.uses_states and self.shim.has_head)
        if self.pending or (learns and not self.trained):
            self.pending.extend(instances)
        else:
            list(self._index(instances))

    def unknown(self, instances: Sequence[Instance]) -> List[Instance]:
        """RETURNS (List[Instance]): those that are neither in the store nor pending for it."""
        known = set(self.known_examples)
        return [instance for instance in instances if instance not in known]

    def tune_encoder(self, instances: Sequence[Instance], settings: Mapping[str, Any]) -> None:
        """Tune the sentence encoder by contrast, and make the store's keys again.

        instances (Sequence[Instance]): pairs with answers.
        settings (Mapping[str, Any]): keyword arguments of `spacy_ragre.retrieval.tune_encoder`.
        """
        encoder = self.retriever.encoder
        if not isinstance(encoder, TextEncoder):
            raise ValueError(Errors.R507.format(encoder=type(encoder).__name__))
        if encoder.tuned:
            encoder.reset()
        # Those that may have a relation which nobody looked for are like none of the others.
        known = [instance for instance in instances if as_shown(instance, self.labels).answers is not None]
        self.retriever.encoder = tune_encoder(encoder, known, self.labels, **settings)
        stored = list(self.retriever.store.instances)
        self.retriever.clear()
        self.add_examples(stored)

    def outdate(self) -> None:
        """Note that the model changed: keys that it made wait to be made again."""
        if self.uses_states and len(self.retriever.store) and self.learns != "open":
            self.pending = list(self.retriever.store.instances) + self.pending
            self.retriever.clear()

    def refresh(self) -> None:
        """Make the keys that are pending."""
        # What fails leaves the rest pending, instead of losing it.
        for count in self._index(self.pending):
            self.pending = self.pending[count:]

    def pack_pending(self) -> bytes:
        """RETURNS (bytes): the examples whose keys are pending, as a msgpack message."""
        return pack_instances(self.pending)

    def load_pending(self, data: bytes, file: str = "bytes") -> None:
        """Take what `pack_pending` gave; see `read_instances`."""
        self.pending = read_instances(data, file)

    def _index(self, instances: Sequence[Instance]) -> Iterator[int]:
        """YIELDS (int): how many examples were put into the store, a chunk at a time."""
        with tqdm(total=len(instances), desc="Indexing examples", disable=len(instances) < _LONG) as bar:
            for start in range(0, len(instances), _CHUNK):
                chunk = instances[start : start + _CHUNK]
                self.retriever.add(chunk)
                bar.update(len(chunk))
                yield len(chunk)

    def _found(self, instances: Sequence[Instance], count: int, keys: Optional[Any] = None) -> List[List[Neighbour]]:
        if count < 1 or not len(self.retriever.store):
            return [[] for _ in instances]
        if keys is None and self.uses_states:
            keys = normalize(self.states(instances))
        return self.retriever.retrieve(instances, k=count, keys=keys)

    # Answering

    def predict(
        self,
        candidates: Sequence[Candidate],
        documents: Documents = None,
        told: Optional[List[RelationPrediction]] = None,
    ) -> Tuple[List[RelationPrediction], List[float]]:
        """Find the relations of pairs: the one entry, whatever the way to answer.

        candidates (Sequence[Candidate]): the pairs, of any number of documents.
        documents (Optional[Sequence[int]]): the number of each pair's document; told by their ids where None.
        told (Optional[List[RelationPrediction]]): gets what pairs may hold, though it is not likely enough.
        RETURNS (Tuple[List[RelationPrediction], List[float]]): the relations, in the order of the pairs, of several of
            one pair the likeliest first; and how near another answer is, for every pair, from 0 to 1.
        """
        if not candidates:
            return [], []
        scored, probability = self.judge(candidates, documents)
        if told is not None:
            told += gather_all(self.decision, candidates, probability, self.labels)
        chosen, doubts = pick_each(self.decision, probability, self.settings_of(candidates), self.labels)
        return gather(candidates, chosen, probability, scored.neighbours, self.labels), doubts.tolist()

    def judge(self, candidates: Sequence[Candidate], documents: Documents) -> "Tuple[LabelScores, np.ndarray]":
        """RETURNS (Tuple[LabelScores, numpy.ndarray]): scores, and probabilities, *Shape* (pairs, classes)."""
        scored = self._score_pairs(candidates, documents=documents)
        allowed = allowed_classes(candidates, self.labels, self.open.types)
        return scored, self._probabilities(scored, allowed, proposal_odds(candidates, self.labels))

    def settings_of(self, candidates: Sequence[Candidate]) -> List[Calibration]:
        """RETURNS (List[Calibration]): how each pair is decided."""
        settings = self._settings(), self._settings(across=True)
        return [settings[pair.across] for pair in candidates]

    def _score_pairs(
        self, candidates: Sequence[Candidate], count: Optional[int] = None, documents: Documents = None
    ) -> LabelScores:
        """See `score`. Before training, open labels are looked for wherever mentions of two clusters are near."""
        if not self.zero_shot:
            return self.score([candidate.instance for candidate in candidates], count, documents)
        instances, starts, owners = mention_pairs(candidates, documents)
        rivals = self.open.rivals(candidates, self.labels, documents)
        return likeliest(self.score(instances, count, owners), starts, rivals)

    def score(
        self, instances: Sequence[Instance], count: Optional[int] = None, documents: Documents = None
    ) -> LabelScores:
        """Score every class of every pair.

        instances (Sequence[Instance]): the pairs.
        count (Optional[int]): number of neighbours to find; as many as prompts and calibration use if None.
        documents (Optional[Sequence[int]]): see `predict`.
        RETURNS (LabelScores): logits of the head, or the likelihood scores of the classes' texts.
        """
        import numpy as np

        if not instances:
            return LabelScores(np.zeros((0, len(self.labels.classes)), dtype="float32"), [])
        use_own_threads()
        mode = self.mode
        mixed = self.calibration.neighbours if self.calibration.weight > 0 else 0
        count = max(self.shown, mixed) if count is None else count
        if mode == "head" and self.uses_states and self.shown == 0:
            logits, states = self._read(instances, [()] * len(instances))
            scored = LabelScores(logits, self._found(instances, count, normalize(states)))
        else:
            found = self._found(instances, count)
            shown = self._examples(instances, found)
            # What is told as evidence is what was shown, where nothing else is done with neighbours.
            scores = self._score_mode(mode, instances, shown, documents)
            scored = LabelScores(scores, found if count > self.shown else shown)
        if not np.isfinite(scored.scores[:, 0]).all() or np.isnan(scored.scores).any():
            raise ValueError(Errors.R504.format(model=self.backbone.name))
        return scored

    def _examples(self, instances: Sequence[Instance], found: Sequence[List[Neighbour]]) -> List[List[Neighbour]]:
        """RETURNS (List[List[Neighbour]]): the examples that each pair's prompt shows, most similar first."""
        if not self._balances:
            return [near[: self.shown] for near in found]
        if self.one_sided() is not None:
            return [[] for _ in instances]

        def find(rows: Sequence[int], count: int) -> List[List[Neighbour]]:
            return self._found([instances[row] for row in rows], count)

        return both_kinds(found, self.shown, find, len(self.retriever.store), self.labels)

    def shown_examples(self, instances: Sequence[Instance]) -> List[List[Neighbour]]:
        """RETURNS (List[List[Neighbour]]): the examples that prompts of pairs show, most similar first."""
        return self._examples(instances, self._found(instances, self.shown))

    @property
    def shows_answers(self) -> bool:
        """RETURNS (bool): whether prompts show examples with their answers."""
        return self.n_examples > 0 and getattr(self.prompt, "example_labels", True)

    @property
    def _balances(self) -> bool:
        """RETURNS (bool): whether prompts need examples of both kinds; see `both_kinds`."""
        return self.shows_answers and not self.trained

    @property
    def known_examples(self) -> List[Instance]:
        """RETURNS (List[Instance]): those in the store, and those that wait for their keys."""
        return [*self.retriever.store.instances, *self.pending] if self.uses_examples else []

    def one_sided(self) -> Optional[bool]:
        """RETURNS (Optional[bool]): True where all examples in the store hold a relation, False where none does; None
        where there are both, or none at all.
        """
        return only_kind(self.known_examples, self.labels)

    def _score_mode(
        self, mode: str, instances: Sequence[Instance], found: Sequence[List[Neighbour]], documents: Documents
    ) -> "np.ndarray":
        if mode == "head":
            return self._read(instances, found)[0]
        if mode == "open":
            return self.open.scores(instances, self.labels, self.known_examples, documents)
        backbone = self.backbone
        if isinstance(backbone, RemoteLM):
            return backbone.score_pairs(self.asked(instances, found, documents, self.open.types, self.multi_label))
        prompts = [self.pieces(i, n[: self.shown]) for i, n in zip(instances, found)]
        self.prepare()
        if mode == "trie":
            return score_texts(backbone, prompts, [self.prompt.answers(i, self.labels) for i in instances])
        return parse_texts(self.prompt, instances, generate_texts(backbone, prompts), self.labels)

    def _probabilities(self, scored: LabelScores, allowed: "np.ndarray", odds: Optional["np.ndarray"]) -> "np.ndarray":
        """RETURNS (numpy.ndarray): probabilities, mixed with the votes of the neighbours, *Shape* (pairs, classes)."""
        settings = self.settings
        result = model_probabilities(self.decision, scored.scores, settings, allowed, odds)
        if not settings.weight:
            return result
        near = [items[: settings.neighbours] for items in scored.neighbours]
        votes = self.decision.votes(near, self.labels, settings.neighbour_temperature, allowed)
        heard = self.decision.turnout(near, votes, self.labels, settings.neighbours)
        return interpolate(result, votes, settings.weight * heard)

    # Training

    @property
    def can_learn(self) -> bool:
        """RETURNS (bool): whether there is something to train: a label head, or weights of the reader's own."""
        return self.open.shim.tuned if self.learns == "open" else self.shim.has_head

    def init_head(self) -> None:
        """Make what is trained: adapter and label head, which then answers, or weights of the reader; one at most."""
        if self.fresh == "open":
            self.shim.from_bytes(b"")
            self.open.start()
        else:
            self.open.stop()
            # With a space in front, as words stand inside a text.
            self.shim.init_head([f" {words}" for words in class_words(self.labels)])
        self.trained = self._has_gradients = False
        self.calibration = self.calibration.plain()  # what was fitted is of another model
        self.outdate()

    def targets(self, instances: Sequence[Instance]) -> List[List[int]]:
        """RETURNS (List[List[int]]): each pair's gold classes; empty for no relation."""
        # A symmetric relation that is annotated in both directions is one class.
        return [sorted({self.labels.index(answer) for answer in instance.answers or ()}) for instance in instances]

    def train(self, instances: Sequence[Instance]) -> float:
        """One forward and backward pass. Gradients add up until `finish_update`.

        instances (Sequence[Instance]): pairs with answers. The loss of each is multiplied with its weight.
        RETURNS (float): the mean loss; of several processes, this one's part of it.
        """
        count, instances = len(instances), own_share(instances)
        if self.learns == "open":
            passes = self.open.begin_update(instances, self.labels, self.model.attrs["dropout_rate"])
        else:
            found = self._found(instances, 0 if self.uses_states else self.n_examples)
            if self.both_orders:
                instances = [instance.swapped() if random.random() < 0.5 else instance for instance in instances]
            passes = self.begin_update(self._ids(instances, found))
        targets, known, weights = self.targets(instances), known_classes(instances, self.labels), weights_of(instances)
        total = 0.0
        for rows, logits, asked, backprop in passes:
            own = asked if known is None else known[rows] if asked is None else known[rows] & asked
            weighed = None if weights is None else weights[rows]
            loss, gradient = self._decision.loss(logits, [targets[i] for i in rows], own, weighed)
            backprop(gradient / count)
            total += loss
        self._has_gradients = True
        return total / count

    def finish_update(self, sgd: Optimizer) -> None:
        """Take a step with the gradients that added up. Does nothing where there are none.

        sgd (Optimizer): the optimizer.
        """
        if self._has_gradients:
            self.model.finish_update(sgd)
            self._has_gradients = False
            self.trained = True
            self.outdate()

    def loss(self, instances: Sequence[Instance], logits: Any) -> "Tuple[float, np.ndarray]":
        """RETURNS (Tuple[float, numpy.ndarray]): the mean loss and its gradient, *Shape* (pairs, classes)."""
        known, weights = known_classes(instances, self.labels), weights_of(instances)
        loss, gradient = self._decision.loss(logits, self.targets(instances), known, weights)
        return loss / max(1, len(instances)), gradient / max(1, len(instances))

    def calibrate(self, candidates: Sequence[Candidate], documents: Documents = None) -> Dict[str, float]:
        """Choose prior, temperature and neighbours on pairs that were not trained on; with several relations a pair,
        also how much a filter's score counts, and how likely a relation must be.

        candidates, documents: see `predict`; at least one pair, with answers.
        RETURNS (Dict[str, float]): micro-F1, from 0 to 1; see `choose`.
        """
        self.refresh()
        scored = self._score_pairs(candidates, max(*NEIGHBOURS, self.shown), documents)
        instances = [candidate.instance for candidate in candidates]
        allowed = allowed_classes(candidates, self.labels, self.open.types)
        odds = proposal_odds(candidates, self.labels)
        pairs = DevelopmentPairs(
            scored.scores,
            scored.neighbours,
            self.targets(instances),
            allowed,
            odds,
            [instance.id or instance.text for instance in instances],
            known_classes(instances, self.labels),
        )
        probability = self._probabilities(scored, allowed, odds)
        before, _ = pick_each(self.decision, probability, self.settings_of(candidates), self.labels)
        plain = self.calibration.plain()
        if self.zero_shot:
            plain = replace(plain, decision=self.open.decision(self.labels))
        with_prior = self.mode == "trie"
        chosen, result = choose(pairs, self.decision, self.labels, plain, tuple(before), with_prior=with_prior)
        if chosen is not None:
            self.calibration = chosen
        return result
