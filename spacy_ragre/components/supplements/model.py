"""One language model with one adapter for several tasks: label heads for those with a closed set of answers, and
generated responses for the others, as a Thinc model.

The heads of all tasks are the rows of one matrix, and a task reads its own rows.
"""

from typing import TYPE_CHECKING, List, NamedTuple, Optional, Sequence, Tuple, cast

import numpy as np
from thinc.api import Model

from ...llm.causal import CausalLM
from ...llm.copy_grammar import CopyGrammar
from ...llm.generation import end_id, generate_ids
from ...llm.label_model import Encodes, LabelShim, Output, Prompts, forward
from ...registry import registry

if TYPE_CHECKING:
    from torch import Tensor

Ids = Sequence[Tuple[int, ...]]


class Trained(NamedTuple):
    """A question with its answer: a label of a head, or a response.

    prompt (Tuple[int, ...]): token ids.
    weight (float): the weight of the label, or of each token of the response.
    rows (slice): the rows of the head that answer it.
    target (int): which one of these is right.
    response (Optional[Tuple[int, ...]]): token ids, without an end token; None where the answer is a label.
    """

    prompt: Tuple[int, ...]
    weight: float
    rows: slice = slice(0)
    target: int = 0
    response: Optional[Tuple[int, ...]] = None


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

    def train(self, questions: Sequence[Trained], smoothing: float = 0.0) -> float:
        """Forward and backward pass over questions of any kind. Gradients add up until `finish_update`.

        questions (Sequence[Trained]): the questions with their answers.
        smoothing (float): share of the target that is spread over all labels of a question.
        RETURNS (float): the weighted sum of the losses.
        """
        import torch

        self.restore()
        backbone = self._backbone
        backbone.set_training(True)
        end = end_id(backbone)
        total = 0.0
        prompts = [question.prompt for question in questions]
        responses = [question.response or () for question in questions]
        with torch.enable_grad():
            for numbers, states in backbone.response_states(prompts, responses):
                heads: List[int] = []
                tokens: List[int] = []
                targets: List[int] = []
                weights: List[float] = []
                labelled: List[Trained] = []
                at = 0
                for question in (questions[i] for i in numbers):
                    closed = (*(question.response or ()), end)
                    if question.response is None:
                        heads.append(at)
                        labelled.append(question)
                    else:
                        tokens.extend(range(at, at + len(closed)))
                        targets.extend(closed)
                        weights.extend([question.weight] * len(closed))
                    at += len(closed)
                loss = self._label_loss(states[heads].float(), labelled, smoothing)
                if tokens:
                    logits = backbone.logits(states[tokens])
                    losses = torch.nn.functional.cross_entropy(
                        logits, torch.tensor(targets, device=logits.device), reduction="none"
                    )
                    loss = loss + losses @ torch.tensor(weights, device=logits.device)
                loss.backward()
                total += float(loss.detach())
        return total

    def label_logits(self, prompts: Ids) -> np.ndarray:
        """What the heads of all tasks say of prompts, computed as in training: shared tokens once.

        prompts (Sequence[Tuple[int, ...]]): token ids of the prompts.
        RETURNS (numpy.ndarray): logits of all tasks' labels, *Shape* (prompts, labels).
        """
        import torch

        self.evaluate()
        with torch.no_grad():
            passes = list(self._backbone.response_states(prompts, [()] * len(prompts)))
            order = [i for numbers, _ in passes for i in numbers]
            logits = self._logits(torch.cat([states.float() for _, states in passes]))
            found: np.ndarray = logits[torch.tensor(order).argsort()].cpu().numpy()
            return found

    def _label_loss(self, states: "Tensor", questions: Sequence[Trained], smoothing: float) -> "Tensor":
        """RETURNS (torch.Tensor): the weighted sum of the cross-entropies, a scalar."""
        import torch

        logits: Tensor = self._logits(states)
        loss = logits.new_zeros(())
        for row, question in zip(logits, questions):
            target = torch.tensor(question.target, device=row.device)
            own = torch.nn.functional.cross_entropy(row[question.rows], target, label_smoothing=smoothing)
            loss = loss + question.weight * own
        return loss

    def generate(
        self, prompts: Ids, max_new_tokens: int, grammars: Optional[Sequence[CopyGrammar]] = None
    ) -> List[List[int]]:
        """Generate responses; see `generate_ids`."""
        self.evaluate()
        return generate_ids(self._backbone, prompts, max_new_tokens, grammars)

    @property
    def _backbone(self) -> CausalLM:
        # The protocol of label models names less than is needed here.
        return cast(CausalLM, self.backbone)
