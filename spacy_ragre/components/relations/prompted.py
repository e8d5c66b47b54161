"""Pairs of mentions as prompts of a language model, and what it makes of them: logits and hidden states."""

from typing import TYPE_CHECKING, Any, List, Sequence, Tuple

from thinc.api import Model

from ...entity_types import TypeRules
from ...instances import Instance
from ...labels import LabelSet
from ...llm.attention.packing import TokenPrompt
from ...llm.base import Pieces
from ...llm.label_scoring import PairPrompts
from ...llm.remote.backbone import Asked, Documents
from ...prompts import Prompt
from ...retrieval import Neighbour
from ..predictor import Predictor
from .examples import as_shown

if TYPE_CHECKING:
    import numpy as np


class PairPredictor(Predictor):
    """Puts pairs to a language model.

    model (Model): a label model; see `spacy_ragre.llm.label_model`.
    prompt (Prompt): how a pair is put to the language model.
    labels (LabelSet): the labels.
    both_orders (bool): read pairs in both orders, and average the logits.
    Other arguments are those of `Predictor`.
    """

    def __init__(
        self, model: Model[Any, Any], prompt: Prompt, labels: LabelSet, *, both_orders: bool, **settings: Any
    ) -> None:
        super().__init__(model, **settings)
        self.prompt = prompt
        self.prompts = PairPrompts()
        self.labels = labels
        self.both_orders = both_orders

    @property
    def shown(self) -> int:
        """RETURNS (int): most examples in a prompt."""
        return self.n_examples

    def pieces(self, instance: Instance, examples: Sequence[Neighbour] = ()) -> Pieces:
        """The pieces of a pair's prompt, with as many examples as fit, the most similar one last.

        instance (Instance): the pair.
        examples (Sequence[Neighbour]): examples, most similar first.
        RETURNS (Tuple[str, Tuple[str, ...], Sequence[str]]): instruction, document, and the pieces of the pair, to be
            tokenised one by one.
        """
        shown = [as_shown(neighbour.instance, self.labels) for neighbour in examples]
        return self.prompts.pieces(self.backbone, self.prompt, instance, self.labels, shown)

    def _ids(self, instances: Sequence[Instance], found: Sequence[Sequence[Neighbour]]) -> List[TokenPrompt]:
        return [
            self.backbone.tokenize(self.pieces(instance, neighbours[: self.shown]))
            for instance, neighbours in zip(instances, found)
        ]

    def asked(
        self,
        instances: Sequence[Instance],
        found: Sequence[Sequence[Neighbour]],
        documents: Documents,
        types: TypeRules,
        several: bool,
    ) -> Asked:
        """Pairs as a server is asked about them.

        instances (Sequence[Instance]): the pairs.
        found (Sequence[Sequence[Neighbour]]): the examples for each, most similar first.
        documents (Optional[Sequence[int]]): the number of each pair's document.
        types (TypeRules): which entity types may stand for those of the labels.
        several (bool): whether a pair may hold several relations.
        RETURNS (Asked): the pairs.
        """
        allowed = [self.labels.allowed(i.first_type, i.second_type, types) for i in instances]
        examples = [[as_shown(near.instance, self.labels) for near in own[: self.shown]] for own in found]
        return Asked(self.prompt, self.labels, instances, allowed, examples, documents, several)

    def states(self, instances: Sequence[Instance]) -> "np.ndarray":
        """Hidden state at the end of each pair's prompt, without examples; with `both_orders`, the states of the pair
        and of the turned pair, side by side.

        instances (Sequence[Instance]): the pairs.
        RETURNS (numpy.ndarray): float32, *Shape* (pairs, width), or (pairs, 2 * width) with `both_orders`.
        """
        return self._read(instances, [[] for _ in instances])[1]

    def _read(
        self, instances: Sequence[Instance], found: Sequence[Sequence[Neighbour]]
    ) -> "Tuple[np.ndarray, np.ndarray]":
        """RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): logits, the mean of both orders where both are asked in, and
        hidden states, those of both orders side by side.
        """
        import numpy as np

        logits, states = self._forward(self._ids(instances, found))
        if not self.both_orders:
            return logits, states
        turned_logits, turned_states = self._forward(self._ids([instance.swapped() for instance in instances], found))
        if self.shim.has_head:
            classes = [0 if c is None else self.labels.index(c.swapped()) for c in self.labels.classes]
            logits = (logits + turned_logits[:, classes]) / 2
        return logits, np.concatenate([states, turned_states], axis=1)

    def _forward(self, prompts: Sequence[TokenPrompt]) -> "Tuple[np.ndarray, np.ndarray]":
        """RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): logits (empty without a head) and hidden states."""
        import numpy as np
        import torch

        width = len(self.labels.classes) if self.shim.has_head else 0
        logits = np.zeros((len(prompts), width), dtype="float32")
        states = np.zeros((len(prompts), self.backbone.width), dtype="float32")
        self.prepare()
        backbone = self.backbone
        for chunk in backbone.pack(prompts):
            if width:
                logits[chunk.indexes], states[chunk.indexes] = self.model.predict(chunk)
            else:
                with torch.no_grad():
                    states[chunk.indexes] = backbone.states(chunk).cpu().numpy()
            chunk.release()
        return logits, states
