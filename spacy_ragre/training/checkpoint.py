"""Checkpoints of `spacy train`: a run that was killed goes on to the weights that it would have had.

spaCy's loop keeps its place in local variables, and begins at step 0. A run that goes on passes through the steps that
were done without doing them: batches are drawn, schedules move on, and scores are those that were kept, but nothing is
learned. At the last of them weights, optimizer and losses are put back. What is drawn at random after a step, for
shuffling and dropout, follows from the seed and the step's number alone, so that it is the same again.
"""

import json
import random
import shutil
import sys
import zlib
from pathlib import Path
from typing import IO, Any, Callable, Dict, Iterable, NamedTuple, Optional, Tuple

import srsly
from spacy.language import Language
from spacy.training import Example
from spacy.training.loggers import console_logger_v3
from spacy.training.loop import DIR_MODEL_BEST
from spacy.util import logger
from thinc.api import Optimizer, fix_random_seed

from ..errors import Errors
from ..files import existing, file_hash, remove_folder, replace_folder
from ..registry import registry
from .optimizers import optimizer_state, restore_optimizer
from .parallel import from_first, rank

#: What a logger of spaCy makes of a pipeline: it is told of every step, and of the end.
Log = Callable[[Optional[Dict[str, Any]]], None]
End = Callable[[], None]
Logger = Callable[[Language, IO[str], IO[str]], Tuple[Log, End]]

PROGRESS, OPTIMIZER, COMPONENTS, MANIFEST = "progress.msgpack", "optimizer.msgpack", "components", "sha256.json"
_OWNED = (PROGRESS, OPTIMIZER, COMPONENTS, MANIFEST, DIR_MODEL_BEST)
# Settings of [training] that decide what a step does. How long it goes on may change.
_SETTINGS = (
    "seed",
    "batcher",
    "optimizer",
    "dropout",
    "accumulate_gradient",
    "eval_frequency",
    "frozen_components",
    "annotating_components",
)


@registry.loggers("ragre.Checkpoint.v1")
def create_checkpoint_logger(path: str, every: int = 100, logger: Optional[Logger] = None) -> Logger:
    """Keep checkpoints while `spacy train` trains, and go on from the one that is there. After a run that ends by
    itself, the checkpoint is removed.

    path (str): the folder of the checkpoint.
    every (int): steps between two checkpoints.
    logger (Optional[Callable]): the logger that shows the progress; `spacy.ConsoleLogger.v3` if null.
    """
    if isinstance(every, bool) or every < 1:
        raise ValueError(Errors.R774.format(value=every))
    shown: Logger = logger or console_logger_v3()

    def setup(
        nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr
    ) -> Tuple[Log, Callable[[], None]]:
        run = _Run(nlp, Path(path), every)
        log_step, finalize = shown(nlp, stdout, stderr)
        if run.kept is not None:
            steps = run.kept.step + 1
            stdout.write(f"Goes on after step {steps} from {path}. The rows up to there are those of the run before.\n")

        def log(info: Optional[Dict[str, Any]]) -> None:
            run.after_step(info)
            log_step(info)

        def finish() -> None:
            finalize()
            run.close(completed=sys.exc_info()[0] is None)

        return log, finish

    return setup


class Kept(NamedTuple):
    """What a checkpoint holds, besides the best pipeline so far.

    step (int): the last step that was done, from 0.
    evaluations (Dict[int, Dict[str, Any]]): `scores` and `losses` of each evaluation, by its step.
    losses (Dict[str, float]): those of the steps since the last evaluation.
    read (int): checksum of the texts that were learned from.
    settings (Dict[str, str]): the settings that decide what a step does, as JSON.
    optimizer (Dict[str, Dict[str, Any]]): see `optimizer_state`.
    components (Dict[str, bytes]): the components that are trained.
    """

    step: int
    evaluations: Dict[int, Dict[str, Any]]
    losses: Dict[str, float]
    read: int
    settings: Dict[str, str]
    optimizer: Dict[str, Dict[str, Any]]
    components: Dict[str, bytes]


class _Run:
    """One run of training. It stands before three methods of the pipeline, which spaCy's loop calls: those of the
    object, not of the class, until it is closed.

    nlp (Language): the pipeline.
    folder (Path): where the checkpoint is.
    every (int): steps between two checkpoints.
    """

    def __init__(self, nlp: Language, folder: Path, every: int) -> None:
        self.nlp = nlp
        self.folder = folder
        self.every = every
        config = nlp.config.interpolate()
        seed = config["training"]["seed"]
        if seed is None:
            raise ValueError(Errors.R770.format(what="A checkpoint"))
        self.seed = int(seed)
        self.settings = _settings(config)
        frozen = config["training"]["frozen_components"]
        self.trained: Dict[str, Any] = {
            name: pipe for name, pipe in nlp.pipeline if name not in frozen and getattr(pipe, "is_trainable", False)
        }
        self.step = -1
        self.evaluations: Dict[int, Dict[str, Any]] = {}
        # The loop's own, of the steps since the last evaluation.
        self.losses: Dict[str, float] = {}
        self.read = 0
        self.optimizer: Optional[Optimizer] = None
        self.output: Optional[Path] = None
        self.kept = from_first(lambda: read_checkpoint(folder))
        if self.kept is not None:
            others = [name for name, value in self.settings.items() if self.kept.settings.get(name) != value]
            if others:
                raise ValueError(Errors.R771.format(folder=folder, sections=", ".join(others)))
            self.evaluations = self.kept.evaluations
        # Others may stand there, as where several processes train.
        self.before = dict(vars(nlp))
        vars(nlp).update(update=self._update, evaluate=self._evaluate, to_disk=self._to_disk)
        self._catch_optimizer()
        self._draw_anew()

    # In place of methods of the pipeline and of a component

    def _update(self, examples: Iterable[Example], **settings: Any) -> Dict[str, float]:
        self.losses = settings["losses"]
        examples = list(examples)
        for example in examples:
            self.read = zlib.crc32(example.reference.text.encode("utf8"), self.read)
        return self.losses if self.kept is not None else type(self.nlp).update(self.nlp, examples, **settings)

    def _evaluate(self, examples: Iterable[Example], **settings: Any) -> Dict[str, Any]:
        if self.kept is None:
            evaluate = self.before.get("evaluate") or type(self.nlp).evaluate.__get__(self.nlp)
            scores: Dict[str, Any] = evaluate(examples, **settings)
            return scores
        known = self.evaluations[self.step + 1]
        self.losses.clear()
        self.losses.update(known["losses"])
        return dict(known["scores"])

    def _to_disk(self, path: Path, **settings: Any) -> None:
        best = self.folder / DIR_MODEL_BEST
        if self.kept is not None and best.is_dir():
            # The best pipeline so far is the one that the loop finds best when it has passed through.
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(best, path)
        else:
            type(self.nlp).to_disk(self.nlp, path, **settings)

    def _catch_optimizer(self) -> None:
        """Get hold of the loop's optimizer when it is first given to a component."""
        pipe = next((pipe for pipe in self.trained.values() if hasattr(pipe, "__dict__")), None)
        if pipe is None:
            return

        def finish_update(sgd: Optimizer) -> None:
            self.optimizer = sgd
            del vars(pipe)["finish_update"]
            pipe.finish_update(sgd)

        vars(pipe)["finish_update"] = finish_update

    def close(self, completed: bool) -> None:
        """Give the pipeline its methods back.

        completed (bool): whether training came to its end, so that the checkpoint is needed no more.
        """
        for name in ("update", "evaluate", "to_disk"):
            del vars(self.nlp)[name]
            if name in self.before:
                vars(self.nlp)[name] = self.before[name]
        if completed and rank() == 0:
            remove_folder(self.folder)

    # Steps

    def after_step(self, info: Optional[Dict[str, Any]]) -> None:
        """Note a step, and keep a checkpoint where it is time; or pass through it.

        info (Optional[Dict[str, Any]]): what spaCy tells of a step that was followed by an evaluation.
        """
        self.step += 1
        if info is not None and info.get("output_path"):
            self.output = Path(info["output_path"]).parent
        if self.kept is not None:
            if self.step == self.kept.step:
                self._go_on(self.kept, info is not None)
        else:
            if info is not None:
                self.evaluations[self.step] = {"scores": info["other_scores"], "losses": dict(info["losses"])}
            if (self.step + 1) % self.every == 0:
                self._keep({} if info is not None else dict(self.losses))
        self._draw_anew()

    def _draw_anew(self) -> None:
        fix_random_seed(random.Random(f"{self.seed} {self.step}").getrandbits(31))

    def _go_on(self, kept: Kept, evaluated: bool) -> None:
        if self.read != kept.read:
            raise ValueError(Errors.R772.format(folder=self.folder, steps=kept.step + 1))
        for name, data in kept.components.items():
            self.trained[name].from_bytes(data, exclude=["vocab"])
        if self.optimizer is not None:
            restore_optimizer(self.optimizer, kept.optimizer, self.trained)
        if not evaluated:
            self.losses.clear()
            self.losses.update(kept.losses)
        self.kept = None
        logger.info("Training goes on after step %d from %s", kept.step + 1, self.folder)

    def _keep(self, losses: Dict[str, float]) -> None:
        # In all processes, since components may bring themselves up to date for it.
        components = {name: pipe.to_bytes(exclude=["vocab"]) for name, pipe in self.trained.items()}
        if rank() != 0 or self.optimizer is None:
            return
        optimizer = optimizer_state(self.optimizer, self.trained)
        kept = Kept(self.step, self.evaluations, losses, self.read, self.settings, optimizer, components)
        write_checkpoint(self.folder, kept, self.output)


def _settings(config: Dict[str, Any]) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): the settings of a pipeline that decide what a step does, by name, as JSON."""
    settings = {f"[training] {name}": config["training"][name] for name in _SETTINGS}
    settings["[nlp] pipeline"] = config["nlp"]["pipeline"]
    settings.update((f"[components.{name}]", component) for name, component in config["components"].items())
    return {name: json.dumps(value, sort_keys=True) for name, value in settings.items()}


# Files


def write_checkpoint(folder: Path, kept: Kept, output: Optional[Path]) -> None:
    """Write a checkpoint in place of the one before, whole or not at all.

    folder (Path): its folder.
    kept (Kept): what it holds.
    output (Optional[Path]): where the best pipeline so far is.
    """
    with replace_folder(folder, _OWNED) as new:
        progress = {name: value for name, value in kept._asdict().items() if name not in ("optimizer", "components")}
        (new / PROGRESS).write_bytes(srsly.msgpack_dumps(progress))
        (new / OPTIMIZER).write_bytes(srsly.msgpack_dumps(kept.optimizer))
        (new / COMPONENTS).mkdir()
        for name, data in kept.components.items():
            (new / COMPONENTS / name).write_bytes(data)
        if output is not None and (output / DIR_MODEL_BEST).is_dir():
            shutil.copytree(output / DIR_MODEL_BEST, new / DIR_MODEL_BEST)
        hashes = {
            path.relative_to(new).as_posix(): file_hash(path) for path in sorted(new.rglob("*")) if path.is_file()
        }
        (new / MANIFEST).write_text(json.dumps(hashes, indent=2), encoding="utf8")


def read_checkpoint(folder: Path) -> Optional[Kept]:
    """folder (Path): where a checkpoint may be.
    RETURNS (Optional[Kept]): what it holds; None where there is none. A ValueError is raised where it is damaged.
    """
    folder = existing(folder)
    if not folder.is_dir() or not any(folder.iterdir()):
        return None
    try:
        hashes = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
        for name, known in hashes.items():
            if file_hash(folder / name) != known:
                raise ValueError(f"{name} is not as it was written")
        progress = srsly.msgpack_loads((folder / PROGRESS).read_bytes())
        progress["evaluations"] = {int(step): known for step, known in progress["evaluations"].items()}
        components = {path.name: path.read_bytes() for path in sorted((folder / COMPONENTS).iterdir())}
        optimizer = srsly.msgpack_loads((folder / OPTIMIZER).read_bytes())
        return Kept(**progress, optimizer=optimizer, components=components)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(Errors.R773.format(folder=folder, problem=" ".join(str(error).split()))) from error
