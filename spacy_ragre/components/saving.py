"""Saved models of components."""

from pathlib import Path

from thinc.api import Model


def load_model(model: Model, path: Path, message: str) -> None:
    """Load a component's model in place.

    model (Model): the model.
    path (Path): its file.
    message (str): what is raised where the file is missing or damaged, with a place for the `problem`.
    """
    if not path.exists():
        raise OSError(message.format(problem=f"missing ({path})"))
    try:
        model.from_bytes(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(message.format(problem=f"damaged ({path}: {error})")) from error
