"""`ragre shrink`: a trained pipeline with fewer bits a number, to be shipped."""

from pathlib import Path

from wasabi import msg

from ..errors import Errors
from ..training.tensors import Precision, check_precision
from ._util import Arg, Opt, load_pipeline, ragre_cli, user_errors


@ragre_cli.command("shrink")
def shrink_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a trained pipeline"),
    output_path: Path = Arg(..., metavar="FOLDER", help="Where to save the small one"),
    precision: str = Opt("half", "--precision", "-p", help="Of what was trained: half (16 bits) or int8 (8 bits)"),
) -> None:
    """
    Save a trained pipeline with fewer bits a number: a half or a quarter of the size.

    The keys of examples are saved in half precision. Score the small pipeline before you use it.
    """
    with user_errors(shrink_cli):
        shrink(pipeline, output_path, check_precision(precision))


def shrink(pipeline: str, output_path: Path, precision: Precision = "half") -> None:
    """Save a pipeline with fewer bits a number. Components of other packages stay as they are.

    pipeline (str): its folder or package.
    output_path (Path): the folder to save it in.
    precision (str): "half" or "int8".
    """
    from ..components.base import Component

    nlp = load_pipeline(pipeline)
    components = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, Component)]
    if not components:
        raise ValueError(Errors.R653.format(name=pipeline, pipes=", ".join(nlp.pipe_names) or "none"))
    for component in components:
        component.shrink(precision)
    output_path.parent.mkdir(parents=True, exist_ok=True)
    nlp.to_disk(output_path)
    size = sum(file.stat().st_size for file in output_path.rglob("*") if file.is_file())
    msg.good(f"Saved {pipeline} in {output_path}: {size / 1e6:.1f} MB")
