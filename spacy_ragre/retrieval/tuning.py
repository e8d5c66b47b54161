"""Contrastive tuning of a text encoder, so that examples with the query's answer are found.

Plain sentence similarity finds sentences about the same things. Tuned on marked mentions with the answers as
supervision, the encoder finds sentences that say the same of them.
"""

import copy
import random
from importlib import import_module
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple, cast

from ..errors import Errors
from ..instances import Answer, Instance
from ..labels import LabelSet
from .encoders import TextEncoder

_WARMUP = 0.1
_WEIGHT_DECAY = 0.01
_MAX_NORM = 1.0

Classes = FrozenSet[Optional[Answer]]
Pair = Tuple[Instance, Instance]


def tune_encoder(
    encoder: TextEncoder,
    instances: Sequence[Instance],
    labels: Optional[LabelSet] = None,
    *,
    epochs: int = 1,
    batch_size: int = 32,
    learning_rate: float = 2e-5,
    seed: int = 0,
    max_steps: int = 0,
    temperature: float = 0.05,
    callback: Optional[Callable[[int, int, float], Any]] = None,
) -> TextEncoder:
    """Tune an encoder on labelled instances, with both mentions marked.

    Multiple negatives ranking (Henderson et al. 2017, arXiv 1705.00652) as sentence-transformers implements it, over
    pairs that share an answer. Each batch is made of groups in which every answer appears once, so that all other
    pairs of a group are true negatives and rare answers count as much as frequent ones.

    encoder (TextEncoder): the encoder; it stays as it is.
    instances (Sequence[Instance]): labelled instances. "No relation" is an answer like the others.
    labels (Optional[LabelSet]): tells which labels are symmetric, so that both their directions are one answer.
    epochs (int): times that as many pairs are drawn as there are instances.
    batch_size (int): pairs in one step.
    learning_rate (float): the highest rate; it rises over the first tenth of the steps and then falls to 0.
    seed (int): the same seed gives the same weights on the same machine.
    max_steps (int): at most so many steps; 0 for no limit.
    temperature (float): divides the similarities.
    callback (Optional[Callable]): called after each step with its number, the number of steps and the loss.
    RETURNS (TextEncoder): an encoder with the tuned weights and `text="marked"`.
    """
    loss_class = _import_loss()
    least_one = (("epochs", epochs), ("batch_size", batch_size), ("learning_rate", learning_rate))
    for setting, value in (*least_one, ("temperature", temperature)):
        if not value > 0:
            raise ValueError(
                Errors.R202.format(setting=setting, value=value, what="the tuning", expected="use a number above 0")
            )
    groups = _group(instances, labels)
    import torch

    tuned = encoder.with_model(copy.deepcopy(encoder.model), text="marked")
    steps = epochs * -(-len(instances) // batch_size)
    steps = min(steps, max_steps) if max_steps > 0 else steps
    devices = [tuned.model.device] if tuned.model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        sampler = _batches(groups, batch_size, random.Random(seed))
        tuned.model.train()
        _train(tuned, loss_class, sampler, steps, learning_rate, temperature, callback)
    tuned.model.eval()
    return tuned


def _train(
    encoder: TextEncoder,
    loss_class: Any,
    sampler: Iterator[List[List[Pair]]],
    steps: int,
    learning_rate: float,
    temperature: float,
    callback: Optional[Callable[[int, int, float], Any]],
) -> None:
    import torch

    embed = _embedder(encoder)
    loss_function = loss_class(embed, scale=1 / temperature)
    optimizer = torch.optim.AdamW(encoder.model.parameters(), lr=learning_rate, weight_decay=_WEIGHT_DECAY)
    warmup = max(1, int(_WARMUP * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, max(0.0, (steps - step) / max(1, steps - warmup)))
    )
    for step in range(steps):
        batch = next(sampler)
        total = sum(map(len, batch))
        step_loss = 0.0
        optimizer.zero_grad()
        for group in batch:
            sides = [{"input_ids": encoder.tokenise([encoder.read(pair[side]) for pair in group])} for side in (0, 1)]
            loss = loss_function(sides, None) * len(group) / total
            loss.backward()
            step_loss += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(encoder.model.parameters(), _MAX_NORM)
        optimizer.step()
        schedule.step()
        if callback is not None:
            callback(step + 1, steps, step_loss)


def _embedder(encoder: TextEncoder) -> Any:
    """A model as sentence-transformers' losses call it, which reads and pools as the encoder does when it is used."""
    import torch

    class Embedder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = encoder.model

        def forward(self, features: Dict[str, Any]) -> Dict[str, Any]:
            return {"sentence_embedding": encoder.forward(features["input_ids"])}

    return Embedder()


def _import_loss() -> Any:
    # The first is where newer versions have it, the second where they warn of it and older ones have it.
    for name in ("sentence_transformers.sentence_transformer.losses", "sentence_transformers.losses"):
        try:
            return import_module(name).MultipleNegativesRankingLoss
        except ImportError as error:
            problem = error
    raise ImportError(Errors.R220) from problem


class _Groups:
    """Labelled instances by their answers.

    classes (List[Classes]): the answers of each instance.
    members (Dict[Optional[Answer], List[int]]): the instances that have an answer; None for "no relation".
    """

    def __init__(self, instances: Sequence[Instance], classes: List[Classes]) -> None:
        self.instances = instances
        self.classes = classes
        self.members: Dict[Optional[Answer], List[int]] = {}
        for i, own in enumerate(classes):
            # Sorted, because sets have another order in each process.
            for answer in sorted(own, key=lambda answer: answer or Answer("")):
                self.members.setdefault(answer, []).append(i)
        # A pair of one text has nothing to learn from.
        self.members = {
            answer: rows for answer, rows in self.members.items() if len({instances[i].text for i in rows}) > 1
        }

    def draw(self, answer: Optional[Answer], rng: random.Random) -> Tuple[int, int]:
        """RETURNS (Tuple[int, int]): two instances with this answer and different texts."""
        rows = self.members[answer]
        anchor = rng.choice(rows)
        positive = rng.choice(rows)
        while self.instances[positive].text == self.instances[anchor].text:
            positive = rng.choice(rows)
        return anchor, positive


def _group(instances: Sequence[Instance], labels: Optional[LabelSet]) -> _Groups:
    unknown = [i for i, instance in enumerate(instances) if instance.answers is None]
    if unknown:
        raise ValueError(Errors.R221.format(count=len(unknown), total=len(instances), index=unknown[0]))
    classes: List[Classes] = []
    for instance in instances:
        answers = cast(Tuple[Answer, ...], instance.answers)
        if labels is not None:
            classes.append(frozenset(labels.classes[labels.index(answer)] for answer in answers) or frozenset([None]))
        else:
            classes.append(frozenset(answers) or frozenset([None]))
    groups = _Groups(instances, classes)
    if len(groups.members) < 2:
        raise ValueError(Errors.R222.format(count=len(groups.members)))
    return groups


def _batches(groups: _Groups, batch_size: int, rng: random.Random) -> Iterator[List[List[Pair]]]:
    """Batches without end, each a list of groups whose pairs have no answer in common."""
    while True:
        batch: List[List[Pair]] = []
        left = batch_size
        while left > 0:
            # A pair alone has no negatives.
            group = _disjoint(groups, max(2, left), rng)
            batch.append(group)
            left -= len(group)
        yield batch


def _disjoint(groups: _Groups, limit: int, rng: random.Random) -> List[Pair]:
    order = list(groups.members)
    rng.shuffle(order)
    used: Set[Optional[Answer]] = set()
    result: List[Pair] = []
    for answer in order:
        anchor, positive = groups.draw(answer, rng)
        own = groups.classes[anchor] | groups.classes[positive]
        if own & used:
            continue
        used |= own
        result.append((groups.instances[anchor], groups.instances[positive]))
        if len(result) == limit:
            break
    return result
