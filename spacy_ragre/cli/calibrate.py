"""`ragre calibrate`: fit a trained pipeline's probabilities on development documents."""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Mapping, Optional, Sequence

from wasabi import msg

from ..errors import Errors
from ..files import atomic_write, replace_folder
from ..training.devices import choose_gpu
from ._util import GPU_ID, Arg, Opt, load_pipeline, ragre_cli, user_errors

if TYPE_CHECKING:
    from spacy.language import Language

# What components call the results of their calibration, in words.
CROSS_VALIDATED = "cross_validated"
WORDS = {
    "before": "micro-F1 before",
    "after": "micro-F1 after (fitted on these documents)",
    CROSS_VALIDATED: "micro-F1 after (cross-validated)",
    "threshold": "threshold",
    "recall": "recall of pairs with a relation",
    "precision": "precision of the pairs that are kept",
    "dropped": "of the pairs without a relation are dropped",
}
# How the note in a pipeline's meta begins, so that it is replaced by the next calibration.
NOTE = "Calibrated and scored"


@ragre_cli.command("calibrate")
def calibrate_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a trained pipeline"),
    corpus_path: Path = Arg(..., metavar="DEV.spacy", help="Annotated documents that it was not trained on"),
    output_path: Optional[Path] = Opt(
        None, "--output", "-o", metavar="FOLDER", help="Where to save it; its own folder by default"
    ),
    limit: int = Opt(0, "--limit", "-n", min=0, help="Use a subset of this size; 0 for all"),
    seed: int = Opt(0, "--seed", "-s", help="Seed of the subset"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Fit what a trained pipeline chooses on development documents: thresholds, probabilities, the weight of neighbours.

    Run it once after `spacy train`, on development documents. Of a pipeline's own folder, only the calibrated
    components and the scores in meta.json are written again.
    """
    with user_errors(calibrate_cli):
        calibrate(pipeline, corpus_path, output_path, limit=limit, seed=seed, gpu_id=gpu_id)


def calibrate(
    pipeline: str,
    corpus_path: Path,
    output_path: Optional[Path] = None,
    *,
    limit: int = 0,
    seed: int = 0,
    gpu_id: Optional[int] = None,
) -> None:
    """Calibrate the components of a pipeline that have a method `calibrate`, in the order of the pipeline, and save
    them. Each of them sees what those before it annotate once they are calibrated, such as candidate pairs.

    The scores of the calibrated components go into the pipeline's `meta.json`, and so into the README of its package.

    pipeline (str): the pipeline's folder or package.
    corpus_path (Path): a .spacy file or a folder of them.
    output_path (Optional[Path]): the folder to save it in; its own by default.
    limit (int): size of the subset to use; 0 for all.
    seed (int): of the subset.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    """
    from ..corpora import Corpus

    if output_path is None and not Path(pipeline).is_dir():
        raise ValueError(Errors.R614.format(name=pipeline))
    choose_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    pipes = [(name, pipe) for name, pipe in nlp.pipeline if hasattr(pipe, "calibrate")]
    if not pipes:
        raise ValueError(Errors.R612.format(name=pipeline, components=", ".join(nlp.pipe_names) or "none"))
    examples = list(Corpus(corpus_path, limit=limit, seed=seed)(nlp))
    about = Calibrated(len(examples), corpus_path.name)
    for name, pipe in pipes:
        # Of what a component gives back, only numbers are scores.
        found = {key: value for key, value in pipe.calibrate(examples).items() if isinstance(value, (int, float))}
        for doc in [example.predicted for example in examples]:
            pipe(doc)
        scored = pipe.score(examples) if hasattr(pipe, "score") else {}
        about.add(name, found, {key: value for key, value in scored.items() if value is not None})
        msg.good(f"{name}: {describe(found)}")
    msg.info(about.note())
    if output_path is None or output_path.resolve() == Path(pipeline).resolve():
        save_in_place(nlp, [name for name, _ in pipes], about, Path(pipeline))
        return
    about.put(nlp.meta)
    with replace_folder(output_path, {"meta.json", "config.cfg", "tokenizer", "vocab", *nlp.component_names}) as folder:
        nlp.to_disk(folder)


def describe(scores: Mapping[str, float]) -> str:
    """RETURNS (str): what a component's `calibrate` gave, in words."""
    return ", ".join(f"{value:.3f} {WORDS.get(key, key.replace('_', ' '))}" for key, value in scores.items())


class Calibrated:
    """What was fitted on what, and the scores that it gives.

    documents (int): number of documents.
    corpus (str): name of their file.
    """

    def __init__(self, documents: int, corpus: str) -> None:
        self.documents = documents
        self.corpus = corpus
        self.found: Dict[str, Dict[str, float]] = {}
        self.scores: Dict[str, Any] = {}

    def add(self, name: str, found: Dict[str, float], scores: Dict[str, Any]) -> None:
        """name (str): a component.
        found (Dict[str, float]): what its `calibrate` gave.
        scores (Dict[str, Any]): what its scorer gives afterwards.
        """
        self.found[name] = found
        self.scores.update(scores)
        if CROSS_VALIDATED in found:
            self.scores[f"{name}_{CROSS_VALIDATED}"] = found[CROSS_VALIDATED]

    def note(self) -> str:
        """RETURNS (str): a sentence that says how to read the scores."""
        note = (
            f"{NOTE} on {self.documents} documents ({self.corpus}): settings were fitted on these same documents, so "
            "that other documents are likely to give somewhat lower scores."
        )
        crossed = [
            f"{found[CROSS_VALIDATED]:.3f} ({name})" for name, found in self.found.items() if CROSS_VALIDATED in found
        ]
        return f"{note} Cross-validated, micro-F1 is {', '.join(crossed)}." if crossed else note

    def put(self, meta: Dict[str, Any]) -> None:
        """meta (Dict[str, Any]): a pipeline's meta, which gets the scores, and the note in place of an earlier one."""
        meta["performance"] = {**(meta.get("performance") or {}), **self.scores}
        others = [line for line in str(meta.get("notes") or "").splitlines() if not line.startswith(NOTE)]
        meta["notes"] = "\n".join([*others, self.note()])


def save_in_place(nlp: "Language", names: Sequence[str], about: Calibrated, folder: Path) -> None:
    """Save components into the folder of their pipeline, and their scores into its meta. Everything else there stays as
    it is. Each component's folder is written next to the old one, and takes its place when all are whole.

    nlp (Language): the pipeline.
    names (Sequence[str]): the components.
    about (Calibrated): the scores.
    folder (Path): the pipeline's folder.
    """
    import srsly

    with ExitStack() as stack:
        for name in names:
            old = folder / name
            files = [path.relative_to(old) for path in old.rglob("*") if path.is_file()] if old.is_dir() else []
            new = stack.enter_context(replace_folder(old, {file.parts[0] for file in files}))
            nlp.get_pipe(name).to_disk(new, exclude=["vocab"])  # type: ignore[attr-defined]
            for file in files:
                # Not the component's own.
                if not (new / file).exists():
                    (new / file).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(old / file, new / file)
    meta = srsly.read_json(folder / "meta.json")
    about.put(meta)
    with atomic_write(folder / "meta.json") as stream:
        stream.write(srsly.json_dumps(meta, indent=2).encode("utf8"))
