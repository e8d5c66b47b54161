"""`ragre train`: spaCy's training, as long as the corpus asks for."""

import io
import logging
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional

import typer
from wasabi import msg

from ..errors import Errors
from ..training.devices import choose_gpu
from ..training.parallel import from_first, process_group, processes, rank
from ._util import GPU_ID, Arg, Opt, ragre_cli, user_errors

if TYPE_CHECKING:
    from spacy.language import Language

# Passes over a small corpus after which little is learned, and how often the state is scored on the way.
EPOCHS = 20
_EVALUATIONS = 10
_WARMUP = 0.1
PROGRESS = {"@loggers": "spacy.ConsoleLogger.v3", "progress_bar": "train"}
# The settings and variables of a config that say how long it trains.
_STEPS = ("max_steps", "total_steps", "warmup_steps", "eval_frequency")


@ragre_cli.command("train", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_cli(
    ctx: typer.Context,
    config_path: Path = Arg(..., metavar="CONFIG", help="Training config"),
    output_path: Path = Opt(..., "--output", "-o", metavar="FOLDER", help="Folder for model-best and model-last"),
    epochs: Optional[int] = Opt(
        None,
        "--epochs",
        "-e",
        min=1,
        help=f"Passes over the training documents; by default what the config says, and at most {EPOCHS}",
    ),
    patience: int = Opt(
        5, "--patience", min=0, help="Stop when so many evaluations gave no better score; 0 to go on to the end"
    ),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Train a pipeline by a config, as `spacy train` does, but for as many steps as the corpus asks for.

    Settings of the config are overridden as for `spacy train`: --paths.train corpus/train.spacy. Steps that are given
    so (--vars.max_steps) are kept.

    Several processes share the work of each batch, each on a GPU of its own where there are any:
    accelerate launch --num_processes 4 -m spacy ragre train CONFIG ...
    """
    from spacy.cli._util import parse_config_overrides

    with user_errors(train_cli), process_group():
        train(
            config_path,
            output_path,
            overrides=parse_config_overrides(ctx.args),
            epochs=epochs,
            patience=patience,
            gpu_id=gpu_id,
        )


def train(
    config_path: Path,
    output_path: Path,
    *,
    overrides: Optional[Mapping[str, Any]] = None,
    epochs: Optional[int] = None,
    patience: int = 5,
    gpu_id: Optional[int] = None,
) -> None:
    """Train a pipeline, with a progress bar that says how long it will take.

    config_path (Path): the training config.
    output_path (Path): the folder for `model-best` and `model-last`.
    overrides (Optional[Mapping[str, Any]]): settings of the config, by their names with dots.
    epochs (Optional[int]): passes over the training documents; the config's steps, and at most `EPOCHS`, where None.
    patience (int): evaluations without a better score after which training stops; 0 for none.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`. Of several processes, each uses the GPU
        of its own number where None.
    """
    from spacy import util
    from spacy.cli._util import show_validation_error
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import train as train_loop

    from ..corpora.files import existing_path

    overrides = dict(overrides or {})
    choose_gpu(_own_gpu(gpu_id))
    with show_validation_error(config_path, hint_fill=False):
        config = util.load_config(existing_path(config_path), overrides=overrides, interpolate=False)
        given = any(name.split(".")[-1] in ("max_steps", "max_epochs", "epochs") for name in overrides)
        if epochs is not None and given:
            why = "the number of steps is given already"
            raise ValueError(Errors.R323.format(option="--epochs", needed="no other number of steps", why=why))
        length = plan(config, epochs, keep=given)
        for section in (config.get("vars", {}), config["training"], config["training"]["optimizer"].get("learn_rate")):
            # A learning rate that does not change is a number.
            for name in set(length.variables) & set(section if isinstance(section, dict) else ()):
                section[name] = length.variables[name]
        config["training"]["patience"] = patience * length.every
        before = config["training"].get("logger", {})
        keeps = before.get("@loggers") == "ragre.Checkpoint.v1"
        config["training"]["logger"] = {**before, "logger": PROGRESS} if keeps else PROGRESS
        if rank() == 0:
            msg.info(length.describe(patience))
        if processes() > 1:
            msg.info(f"Process {rank() + 1} of {processes()} takes its share of each batch.")
        output_path.mkdir(parents=True, exist_ok=True)
        # Components say in spaCy's log what they train.
        util.logger.setLevel(logging.INFO)
        nlp = init_nlp(config)
    if processes() > 1:
        _begin_together(nlp)
    first = rank() == 0
    # The others write nothing, but for errors.
    stdout, stderr = (sys.stdout, sys.stderr) if first else (io.StringIO(), io.StringIO())
    train_loop(nlp, output_path if first else None, stdout=stdout, stderr=stderr)


def _own_gpu(gpu_id: Optional[int]) -> Optional[int]:
    """RETURNS (Optional[int]): the GPU of this process, where several train together."""
    import torch

    if processes() == 1 or not torch.cuda.is_available():
        return gpu_id
    if gpu_id is not None and gpu_id >= 0:
        why = f"each of the {processes()} processes has a GPU of its own"
        raise ValueError(Errors.R323.format(option="--gpu-id", needed="a single process", why=why))
    return int(os.environ.get("LOCAL_RANK", rank())) if gpu_id is None else gpu_id


def _begin_together(nlp: "Language") -> None:
    """Let all processes begin with what the first one initialised, and judge by its scores, so that all stop together.

    nlp (Language): the pipeline, initialised.
    """
    if nlp.config.interpolate()["training"]["seed"] is None:
        raise ValueError(Errors.R770.format(what="Training on several processes"))
    data = from_first(nlp.to_bytes)
    if rank() > 0:
        nlp.from_bytes(data)

    def evaluate(*args: Any, **settings: Any) -> Dict[str, Any]:
        # In all of them, since components may bring themselves up to date for it.
        scores: Dict[str, Any] = type(nlp).evaluate(nlp, *args, **settings)
        return from_first(lambda: scores)

    vars(nlp)["evaluate"] = evaluate


class Length(NamedTuple):
    """How long a pipeline trains.

    documents (int): training documents.
    batches (int): updates of one pass over them.
    steps (int): updates in all; 0 where the config sets no limit.
    every (int): updates between two evaluations.
    variables (Dict[str, int]): the config's settings and variables that have to change.
    """

    documents: int
    batches: int
    steps: int
    every: int
    variables: Dict[str, int]

    def describe(self, patience: int) -> str:
        """RETURNS (str): the same in words."""
        epochs = self.steps / self.batches
        text = (
            f"{self.documents} training documents are {self.batches} updates an epoch. Trains for {self.steps} updates "
            f"({epochs:.0f} epochs), and scores the development documents after each {self.every}"
        )
        return f"{text}; stops after {patience * self.every} without a better score." if patience else f"{text}."


def plan(config: Any, epochs: Optional[int] = None, *, keep: bool = False) -> Length:
    """Work out how long to train from the number of batches that the corpus gives.

    config (Config): the training config, not interpolated. Its steps are variables.
    epochs (Optional[int]): passes over the corpus. Where None, what the config says holds, up to `EPOCHS`.
    keep (bool): keep the config's steps as they are.
    RETURNS (Length): the length. The last update is one that is followed by an evaluation, since the best of the
        evaluated states is kept.
    """
    import spacy
    from spacy.language import DEFAULT_CONFIG
    from spacy.util import registry, resolve_dot_names

    filled = DEFAULT_CONFIG.merge(config).interpolate()
    training = filled["training"]
    (corpus,) = resolve_dot_names(filled, [training["train_corpus"]])
    batcher = registry.resolve({"batcher": training["batcher"]})["batcher"]
    examples = list(corpus(spacy.blank(filled["nlp"]["lang"])))
    if not examples:
        raise ValueError(Errors.R330.format(path=filled.get("paths", {}).get("train")))
    batches = max(1, sum(1 for _ in batcher(examples)))
    limit, every = training["max_steps"], training["eval_frequency"]
    wanted = batches * (epochs or EPOCHS)
    if keep or (epochs is None and 0 < limit <= wanted):
        return Length(len(examples), batches, limit or batches * training["max_epochs"], every, {})
    every = max(batches, math.ceil(wanted / _EVALUATIONS))
    steps = every * math.ceil(wanted / every)
    changed = dict(zip(_STEPS, (steps, steps, max(1, round(steps * _WARMUP)), every)))
    return Length(len(examples), batches, steps, every, changed)
