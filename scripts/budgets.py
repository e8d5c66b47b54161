"""How much of the corpus a run of the project uses."""

from dataclasses import dataclass
from typing import Any, Dict


@dataclass(frozen=True)
class Budget:
    """What a run may cost.

    overrides (Dict[str, Any]): settings of `configs/rag_semeval.cfg`, in its section `vars`.
    calibrate (int): development sentences to calibrate on; 0 for all.
    test (int): test sentences to evaluate on; 0 for all.
    """

    overrides: Dict[str, Any]
    calibrate: int = 0
    test: int = 0


def limited(sentences: int, steps: int, dev: int) -> Dict[str, Any]:
    """Overrides for training on a subset.

    sentences (int): training sentences.
    steps (int): updates. spaCy evaluates at the first and then at every `eval_frequency`-th one, so that the
        frequency is set to meet the last.
    dev (int): development sentences.
    RETURNS (Dict[str, Any]): the overrides.
    """
    return {
        "train_limit": sentences,
        "dev_limit": dev,
        "epochs": 0,
        "max_steps": steps,
        "total_steps": steps,
        "warmup_steps": max(1, steps // 10),
        "eval_frequency": steps,
    }


BUDGETS: Dict[str, Budget] = {
    # To see that all commands work together: a few minutes on two cores.
    "smoke": Budget(limited(sentences=64, steps=2, dev=16), calibrate=16, test=32),
    # Some 1,600 sentences once: under 30 minutes on two cores, with evaluation.
    "small": Budget(limited(sentences=1600, steps=50, dev=100), calibrate=200, test=500),
    # What the config says, and the whole test set.
    "full": Budget({}),
}
