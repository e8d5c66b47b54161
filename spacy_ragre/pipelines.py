"""What is done with spaCy's pipelines by the command line, the service and the packages of pipelines."""

from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Mapping

from spacy.language import Language
from spacy.pipeline import Lemmatizer
from spacy.tokens import Doc

#: Is told a component's name, the component, the documents that it failed on, and why.
ErrorHandler = Callable[[str, object, List[Doc], Exception], None]
# Forms that a lemmatizer may remember; some hundred bytes each.
_FORMS = 1 << 12


@contextmanager
def forget_words(nlp: Language) -> Iterator[None]:
    """Free, at the end of the context, the words that documents brought: those of the vocabulary, by a memory zone, and
    those that spaCy's lemmatizers remember, which know of none. Documents of it are then used no more.

    nlp (Language): the pipeline. It can't be in a memory zone already.
    """
    with nlp.memory_zone():
        yield
    for _, pipe in nlp.components:
        if isinstance(pipe, Lemmatizer) and len(pipe.cache) > _FORMS:
            pipe.cache.clear()


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


def whole_labels(overrides: Mapping[str, Any]) -> Dict[str, Any]:
    """Let the labels that are given to a package's `load` come in place of those in its config. spaCy adds a table to
    the one in a config, and takes no table with tables that are new there; a list is taken as it is.

    overrides (Mapping[str, Any]): the arguments of `load`.
    RETURNS (Dict[str, Any]): the same, with tables of components' labels as lists.
    """
    return {**overrides, "config": _as_lists(overrides["config"])} if overrides.get("config") else dict(overrides)


def _as_lists(config: Mapping[str, Any], path: str = "") -> Dict[str, Any]:
    result: Dict[str, Any] = {}
    for key, value in config.items():
        parts = f"{path}{key}".split(".")
        if isinstance(value, Mapping) and len(parts) == 3 and parts[0] == "components" and parts[2] == "labels":
            tables = ({"text": item} if isinstance(item, str) else item for item in value.values())
            result[key] = [{"label": label, **table} for label, table in zip(value, tables)]
        elif isinstance(value, Mapping) and len(parts) < 3:
            result[key] = _as_lists(value, f"{path}{key}.")
        else:
            result[key] = value
    return result
