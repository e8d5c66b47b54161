"""`ragre calibrate`: fit a trained pipeline's probabilities on development documents."""

from pathlib import Path
from typing import Optional

from wasabi import msg

from ..errors import Errors
from ._util import Arg, Opt, load_pipeline, ragre_cli, use_gpu, user_errors


@ragre_cli.command("calibrate")
def calibrate_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a trained pipeline"),
    corpus_path: Path = Arg(..., metavar="DEV.spacy", help="Annotated documents that it was not trained on"),
    output_path: Optional[Path] = Opt(
        None, "--output", "-o", metavar="FOLDER", help="Where to save it; its own folder by default"
    ),
    limit: int = Opt(0, "--limit", "-n", min=0, help="Use a subset of this size; 0 for all"),
    seed: int = Opt(0, "--seed", "-s", help="Seed of the subset"),
    gpu_id: int = Opt(-1, "--gpu-id", "-g", help="GPU ID, or -1 for CPU"),
) -> None:
    """
    Fit what a trained pipeline chooses on development documents: thresholds, probabilities, the weight of neighbours.

    Run it once after `spacy train`, on development documents.
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
    gpu_id: int = -1,
) -> None:
    """Calibrate the components of a pipeline that have a method `calibrate`, in the order of the pipeline, and save the
    pipeline. Each of them sees what those before it annotate once they are calibrated, such as candidate pairs.

    pipeline (str): the pipeline's folder or package.
    corpus_path (Path): a .spacy file or a folder of them.
    output_path (Optional[Path]): the folder to save it in; its own by default.
    limit (int): size of the subset to use; 0 for all.
    seed (int): of the subset.
    gpu_id (int): the GPU to use, or -1.
    """
    from ..corpora import Corpus
    from ..retrieval.folders import replace_folder

    if output_path is None and not Path(pipeline).is_dir():
        raise ValueError(Errors.R614.format(name=pipeline))
    use_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    pipes = [(name, pipe) for name, pipe in nlp.pipeline if hasattr(pipe, "calibrate")]
    if not pipes:
        raise ValueError(Errors.R612.format(name=pipeline, components=", ".join(nlp.pipe_names) or "none"))
    examples = list(Corpus(corpus_path, limit=limit, seed=seed)(nlp))
    for name, pipe in pipes:
        scores = pipe.calibrate(examples)
        msg.good(f"{name}: {', '.join(f'{value:.3f} {key}' for key, value in scores.items())}")
        if (name, pipe) != pipes[-1]:
            for example in examples:
                pipe(example.predicted)
    target = Path(pipeline) if output_path is None else output_path
    # All in a pipeline's folder may be replaced, and nothing in other folders.
    is_pipeline = (target / "meta.json").is_file()
    owned = {item.name for item in target.iterdir()} if is_pipeline else {"meta.json", "config.cfg"}
    with replace_folder(target, owned) as folder:
        nlp.to_disk(folder)
