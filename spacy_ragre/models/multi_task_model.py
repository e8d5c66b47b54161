"""One language model with one adapter for several tasks: label heads for those with a closed set of answers, and
generated responses for the others, as a Thinc model.

The heads of all tasks are the rows of one matrix, and a task reads its own rows.
"""

from typing import Any, Callable, List, Optional, Sequence, Tuple

from thinc.api import Model
from thinc.types import Floats2d

from ..registry import registry
from .copying import CopyGrammar
from .generation_loss import generate_ids, last_states, response_loss
from .label_model import Encodes, LabelShim

Prompts = Sequence[Sequence[int]]
Output = Tuple[Floats2d, Floats2d]


@registry.architectures("ragre.MultiTaskModel.v1")
def MultiTaskModel(backbone: Encodes) -> Model[Prompts, Output]:
    """Build the model. It has no heads before `init_head` of its shim is called or a trained state is loaded.

    backbone (Encodes): the language model.
    RETURNS (Model[Prompts, Tuple[Floats2d, Floats2d]]): takes the token ids of a batch of prompts, and gives the
        logits of all tasks' labels, *Shape* (prompts, labels), and the hidden states, *Shape* (prompts, width). Its
        gradient is that of the logits.
    """
    return Model("ragre_multi_task_model", _forward, shims=[MultiTaskShim(backbone)])


def _forward(model: Model, prompts: Prompts, is_train: bool) -> Tuple[Output, Callable]:
    shim: MultiTaskShim = model.shims[0]  # type: ignore[assignment]
    return shim.begin_update(prompts) if is_train else (shim.predict(prompts), lambda gradient: [])


class MultiTaskShim(LabelShim):
    """Holds the backbone's adapter and the heads of all tasks, trained and saved together."""

    def predict(self, prompts: Prompts) -> Output:
        """prompts (Sequence[Sequence[int]]): token ids of the prompts of one batch.
        RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): logits, *Shape* (prompts, labels), and hidden states.
        """
        import torch

        self.restore()
        self.backbone.set_training(False)
        with torch.no_grad():
            states = last_states(self._backbone, prompts)
            return self._logits(states).cpu().numpy(), states.cpu().numpy()

    def begin_update(self, prompts: Prompts) -> Tuple[Output, Callable]:
        """As `predict`, in training. RETURNS (Tuple[Output, Callable]): the output and its backward pass."""
        import torch

        self.restore()
        self.backbone.set_training(True)
        with torch.enable_grad():
            states = last_states(self._backbone, prompts)
            logits = self._logits(states)

        def backprop(gradient: Floats2d) -> List[Any]:
            logits.backward(torch.as_tensor(gradient, dtype=logits.dtype, device=logits.device))
            return []

        return (logits.detach().cpu().numpy(), states.detach().cpu().numpy()), backprop

    def train_responses(self, prompts: Prompts, responses: Prompts, weights: Sequence[float]) -> float:
        """Forward and backward pass over responses. Gradients add up until `finish_update`.

        prompts (Sequence[Sequence[int]]): token ids of the prompts of one batch.
        responses (Sequence[Sequence[int]]): token ids of their responses.
        weights (Sequence[float]): the weight of each.
        RETURNS (float): the weighted sum of the losses.
        """
        import torch

        self.restore()
        self.backbone.set_training(True)
        with torch.enable_grad():
            loss = response_loss(self._backbone, prompts, responses, weights)
        loss.backward()
        return float(loss.detach())

    def generate(
        self, prompts: Prompts, max_new_tokens: int, grammars: Optional[Sequence[CopyGrammar]] = None
    ) -> List[List[int]]:
        """Generate responses; see `generate_ids`."""
        self.restore()
        self.backbone.set_training(False)
        return generate_ids(self._backbone, prompts, max_new_tokens, grammars)

    @property
    def _backbone(self) -> Any:
        # The protocol of label models names less than is needed here.
        return self.backbone
