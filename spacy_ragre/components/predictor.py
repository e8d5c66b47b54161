"""What the predictors of pairs and of tasks have in common: a language model, and the way it answers."""

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Iterable, Iterator, NamedTuple, Optional, Sequence, Tuple

from thinc.api import Model

from ..errors import Errors
from ..llm.attention.packing import PackedBatch, TokenPrompt, pack
from ..llm.base import Backbone
from ..llm.remote.backbone import RemoteLM
from ..training.locks import use_own_threads

if TYPE_CHECKING:
    import numpy as np


class Pass(NamedTuple):
    """Scores of some of the pairs, or tasks, that are learned from.

    rows (Sequence[int]): their numbers.
    logits (numpy.ndarray): *Shape* (rows, classes).
    known (Optional[numpy.ndarray]): bool, the scores that count, of the same shape; all where None.
    backprop (Callable[[numpy.ndarray], object]): takes the gradient of the logits.
    """

    rows: Sequence[int]
    logits: "np.ndarray"
    known: "Optional[np.ndarray]"
    backprop: "Callable[[np.ndarray], object]"


class Predictor:
    """Asks a language model.

    model (Model): has a shim with a backbone and, once it is initialised, a label head.
    answer (str): one of `modes`; "auto" is the head once it is trained, and `untrained_mode` before.
    n_examples (int): most examples in a prompt.
    label_smoothing (float): share of the target that training spreads over all classes, from 0 to less than 1.
    """

    modes: ClassVar[Tuple[str, ...]] = ("auto", "head", "trie")
    #: Those that a language model on a server can do.
    remote_modes: ClassVar[Tuple[str, ...]] = ()

    def __init__(self, model: Model[Any, Any], *, answer: str, n_examples: int, label_smoothing: float) -> None:
        if answer not in self.modes:
            raise ValueError(Errors.R502.format(value=answer, known=", ".join(self.modes)))
        if isinstance(n_examples, bool) or n_examples < 0:
            raise ValueError(Errors.R540.format(setting="n_examples", value=n_examples, expected="0 or more"))
        if not 0 <= label_smoothing < 1:
            raise ValueError(Errors.R508.format(value=label_smoothing))
        server = getattr(model.shims[0], "backbone", None)
        if isinstance(server, RemoteLM) and answer not in self.remote_modes:
            raise ValueError(server.lacks(f"the way to answer {answer!r} of this component"))
        self.model = model
        self.answer = answer
        self.n_examples = n_examples
        self.label_smoothing = label_smoothing
        self.trained = False
        # False while labels are asked about that the examples are not of.
        self.uses_examples = True
        self._has_gradients = False

    @property
    def shim(self) -> Any:
        """RETURNS (TorchShim): the torch side of the model."""
        return self.model.shims[0]

    @property
    def backbone(self) -> Backbone:
        """RETURNS (Backbone): the language model."""
        backbone: Backbone = self.shim.backbone
        return backbone

    def prepare(self) -> None:
        """Make the model ready to answer; every way to answer begins here. What was saved is put into the model, and
        dropout is off.
        """
        use_own_threads()
        self.shim.evaluate()

    def begin_update(self, prompts: Sequence[TokenPrompt]) -> Iterator[Pass]:
        """Score prompts by the label head, with gradients.

        prompts (Sequence[TokenPrompt]): the prompts.
        YIELDS (Pass): those of each chunk.
        """
        backbone = self.backbone
        chunks: Iterable[PackedBatch] = backbone.pack(prompts)
        if backbone.is_split:
            # Shared tokens would be passes of their own, in another order in each process.
            chunks = list(pack(prompts, backbone.batch_tokens, share=False))
            self.shim.keep_step(len(chunks))
        for chunk in chunks:
            (logits, _), backprop = self.model.begin_update(chunk)
            yield Pass(chunk.indexes, logits, None, backprop)
            # After the last chunk of a document, its gradients go on to the document's own tokens.
            chunk.release()

    @property
    def mode(self) -> str:
        """RETURNS (str): the way to answer now."""
        if self.answer == "head" and not self.shim.has_head:
            raise ValueError(Errors.R503)
        if self.answer != "auto":
            return self.answer
        return "head" if self.trained and self.shim.has_head else self.untrained_mode

    @property
    def untrained_mode(self) -> str:
        """RETURNS (str): the way that "auto" answers before training."""
        return "generate" if isinstance(self.backbone, RemoteLM) else "trie"
