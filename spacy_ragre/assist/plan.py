"""How a config trains: by which weights, for how many steps, in batches of which size.

The numbers are those that were measured on SemEval-2010 Task 8 (docs/results/open_tuning.md, docs/results/etrag.md),
and curves through them.
"""

import math
import os
from dataclasses import dataclass
from typing import Literal, Optional, Tuple

from .profile import Profile

Optimize = Literal["speed", "accuracy"]
Answer = Literal["open", "head"]

# From about so many relations on, the language model is better than the reader of open labels. With 660 relations in
# 800 sentences it is not yet, with 6,500 in 8,000 it is.
MANY_RELATIONS = 1200
# Of fewer training documents, few are left for development.
_MANY_DOCUMENTS = 1000
# GiB of memory below which a batch is computed in parts.
_ROOM = {"open": 3.0, "head": 8.0}


@dataclass(frozen=True)
class Plan:
    """How to train.

    answer (Literal["open", "head"]): what learns: the reader of open labels, or the language model with LoRA.
    size (int): tokens of a batch.
    steps (int): updates.
    epochs (float): passes over the corpus that this gives.
    eval_frequency (int): updates between two evaluations.
    parts (int): how many parts a batch is computed in.
    batch_size (int): documents of a batch in prediction.
    device (str): what it was made for, in words.
    """

    answer: Answer
    size: int
    steps: int
    epochs: float
    eval_frequency: int
    parts: int
    batch_size: int
    device: str


def make_plan(found: Profile, optimize: Optimize) -> Plan:
    """Plan a training.

    found (Profile): what the training documents hold.
    optimize (Literal["speed", "accuracy"]): "speed" for the reader of open labels; "accuracy" for what was best in
        corpora of that size.
    RETURNS (Plan): the plan for this machine.
    """
    many = sum(found.counts.relations.values()) >= MANY_RELATIONS
    answer: Answer = "head" if optimize == "accuracy" and many else "open"
    # With padding, a batch for the language model holds fewer words than its size.
    size, words = (400, 400) if answer == "open" else (800, 640)
    batches = max(1.0, found.words / words)
    # Measured: 60, 150 and 240 steps for 4, 20 and 40 batches an epoch, 4 epochs for 360; and of the language model
    # 100, 200, 300 and 660 steps for 2.5, 12, 25 and 222.
    steps = max(60 * (batches / 4) ** 0.6, 4 * batches) if answer == "open" else 100 * (batches / 2.5) ** 0.43
    # To choose among many states on the few development documents of a small corpus is to choose by chance: of 180
    # sentences, the best of six states on 20 others had 4.5 points less than the last one.
    evaluations = 6 if found.counts.documents >= _MANY_DOCUMENTS else 2
    every = max(5, math.ceil(steps / evaluations))
    # The last update is one that is followed by an evaluation.
    steps = every * evaluations
    memory, gpu = machine_memory()
    parts = 1
    while memory is not None and memory * parts < _ROOM[answer] and parts < 8:
        parts *= 2
    room = "memory unknown" if memory is None else f"{memory:.0f} GiB of memory"
    device = f"{gpu}, {room}" if gpu else f"{os.cpu_count()} CPU cores, {room}"
    return Plan(answer, size, steps, steps / batches, every, parts, 256 if gpu else 64, device)


def machine_memory() -> Tuple[Optional[float], str]:
    """RETURNS (Tuple[Optional[float], str]): memory in GiB, of the GPU where there is one, and the GPU's name. None
    where the system does not say.
    """
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        return properties.total_memory / 2**30, properties.name
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, ""
    except (AttributeError, ValueError, OSError):  # not on Windows
        return None, ""
