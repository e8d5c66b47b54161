"""One language model with one adapter for several tasks: label heads for those with a closed set of answers, and
generated responses for the others, as a Thinc model.

The heads of all tasks are the rows of one matrix, and a task reads its own rows.
"""

from typing import Any, List, Optional, Sequence

from thinc.api import Model

from ..registry import registry
from .copying import CopyGrammar
from .generation_loss import generate_ids, response_loss
from .label_model import Encodes, LabelShim, Output, Prompts, forward

Ids = Sequence[Sequence[int]]


@registry.architectures("ragre.MultiTaskModel.v1")
def MultiTaskModel(backbone: Encodes) -> Model[Prompts, Output]:
    """Build the model. It has no heads before `init_head` of its shim is called or a trained state is loaded.

    backbone (Encodes): the language model.
    RETURNS (Model[Prompts, Output]): takes a chunk of prompts, and gives the
        logits of all tasks' labels, *Shape* (prompts, labels), and the hidden states, *Shape* (prompts, width). Its
        gradient is that of the logits.
    """
    return Model("ragre_multi_task_model", forward, shims=[MultiTaskShim(backbone)])


class MultiTaskShim(LabelShim):
    """Holds the backbone's adapter and the heads of all tasks, trained and saved together."""

    def train_responses(self, prompts: Ids, responses: Ids, weight: float) -> float:
        """Forward and backward pass over responses. Gradients add up until `finish_update`.

        prompts (Sequence[Sequence[int]]): token ids of the prompts of one batch.
        responses (Sequence[Sequence[int]]): token ids of their responses.
        weight (float): the weight of each token of the responses.
        RETURNS (float): the weighted sum of the tokens' losses.
        """
        import torch

        self.restore()
        self.backbone.set_training(True)
        with torch.enable_grad():
            loss = weight * response_loss(self._backbone, prompts, responses)
        loss.backward()
        return float(loss.detach())

    def generate(
        self, prompts: Ids, max_new_tokens: int, grammars: Optional[Sequence[CopyGrammar]] = None
    ) -> List[List[int]]:
        """Generate responses; see `generate_ids`."""
        self.restore()
        self.backbone.set_training(False)
        return generate_ids(self._backbone, prompts, max_new_tokens, grammars)

    @property
    def _backbone(self) -> Any:
        # The protocol of label models names less than is needed here.
        return self.backbone
