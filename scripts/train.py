"""Train a pipeline within a budget, then calibrate it: `ragre train` with the budget's settings as overrides."""

import argparse
from pathlib import Path
from typing import Any, Dict

from budgets import BUDGETS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, help="training config")
    parser.add_argument("output", type=Path, help="folder for model-best and model-last")
    parser.add_argument("--budget", choices=sorted(BUDGETS), default="small")
    parser.add_argument("--steps", type=int, default=0, help="number of updates; 0 for the budget's")
    parser.add_argument("--backbone", default="smollm2-135m-instruct")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", type=int, default=-1, help="GPU id, or -1 for CPU")
    args = parser.parse_args()
    budget = BUDGETS[args.budget]

    from spacy_ragre.cli.calibrate import calibrate
    from spacy_ragre.cli.train import train

    train(args.config, args.output, overrides=overrides(args), patience=0)
    calibrate(str(args.output / "model-best"), Path("corpus/dev.spacy"), limit=budget.calibrate, seed=0)


def overrides(args: argparse.Namespace) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the settings of the config that the arguments change."""
    variables = dict(BUDGETS[args.budget].overrides)
    if args.steps:
        variables.update(epochs=0, max_steps=args.steps, total_steps=args.steps, eval_frequency=args.steps)
    variables["backbone"] = args.backbone
    variables["device"] = "cpu" if args.device < 0 else f"cuda:{args.device}"
    return {"system.seed": args.seed, **{f"vars.{name}": value for name, value in variables.items()}}


if __name__ == "__main__":
    main()
