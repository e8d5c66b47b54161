"""What the components share: streams of documents with error handling, and saved models."""

from pathlib import Path
from typing import Any, Iterable, Iterator

from spacy import util
from spacy.tokens import Doc
from thinc.api import Model


def annotate_stream(component: Any, stream: Iterable[Doc], batch_size: int) -> Iterator[Doc]:
    """Process a stream of documents in batches. Where a batch fails, its documents are tried one by one, so that only
    those that fail themselves go to the error handler.

    component (TrainablePipe): the component, with `predict` and `set_annotations`.
    stream (Iterable[Doc]): the documents.
    batch_size (int): documents of a batch.
    YIELDS (Doc): the documents, in order.
    """
    handler = component.get_error_handler()
    for docs in util.minibatch(stream, size=batch_size):
        try:
            component.set_annotations(docs, component.predict(docs))
        except Exception:  # one by one below, where the handler gets what fails
            for doc in docs:
                try:
                    component.set_annotations([doc], component.predict([doc]))
                except Exception as error:
                    handler(component.name, component, [doc], error)
                else:
                    yield doc
        else:
            yield from docs


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
