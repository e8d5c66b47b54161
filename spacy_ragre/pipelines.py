"""What is done with spaCy's pipelines by the command line and by the service."""

from typing import Callable, List

from spacy.language import Language
from spacy.tokens import Doc

#: Is told a component's name, the component, the documents that it failed on, and why.
ErrorHandler = Callable[[str, object, List[Doc], Exception], None]


def set_error_handler(nlp: Language, handler: ErrorHandler) -> None:
    """Let a pipeline go on after documents that fail. `Language.set_error_handler` itself fails where there is a parser
    or an entity recogniser: these take no handler, and raise what goes wrong in them.

    nlp (Language): the pipeline.
    handler (ErrorHandler): is told of failures.
    """
    nlp.default_error_handler = handler
    for _, pipe in nlp.components:
        if hasattr(pipe, "set_error_handler"):
            try:
                pipe.set_error_handler(handler)
            except AttributeError:  # an extension type without room for it
                continue
