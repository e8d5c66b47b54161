"""A larger model teaches a small one: it annotates texts several times, and what it is not sure of counts less."""

from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Union

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import load_config

from ..components.relations.extractor import RelationExtractor
from ..components.relations.teaching import Sampling
from ..errors import Errors

__all__ = ["Sampling", "put_teacher", "sample_answers", "teach"]

FACTORY = "rag_relation_extractor"
#: The section of a config file that has a teacher's settings: those of `rag_relation_extractor`.
SECTION = "teacher"


def teach(
    docs: Iterable[Doc],
    teacher: Language,
    sampling: Sampling = Sampling(),
    *,
    batch_size: Optional[int] = None,
) -> Iterator[Doc]:
    """Annotate documents as a teacher sees them.

    docs (Iterable[Doc]): the documents.
    teacher (Language): a pipeline that finds relations.
    sampling (Sampling): how often it answers each pair, and how.
    batch_size (Optional[int]): documents of a batch; the pipeline's own where None.
    YIELDS (Doc): the documents, with the relations that its answers agree on. Scores, and the weights of pairs (see
        `pair_weights`), are the share of the answers that agree. A ValueError is raised for a pipeline that finds none.
    """
    found = extractors(teacher)
    before = [extractor.sampling for extractor in found]
    sample_answers(teacher, sampling, str(teacher.meta["name"]))
    try:
        yield from teacher.pipe(docs, batch_size=batch_size)
    finally:
        for extractor, own in zip(found, before):
            extractor.sampling = own


def sample_answers(nlp: Language, sampling: Sampling, name: str) -> None:
    """Have a pipeline answer each pair several times from now on.

    nlp (Language): the pipeline.
    sampling (Sampling): how often, and how.
    name (str): what it is called, for the ValueError that is raised where it finds no relations.
    """
    sampling.check()
    found = extractors(nlp)
    if not found:
        raise ValueError(Errors.R758.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    for extractor in found:
        extractor.sampling = sampling


def extractors(nlp: Language) -> List[RelationExtractor]:
    """RETURNS (List[RelationExtractor]): the components of a pipeline that find relations, and can teach."""
    return [pipe for _, pipe in nlp.pipeline if isinstance(pipe, RelationExtractor)]


def put_teacher(nlp: Language, teacher: Union[Path, Language]) -> None:
    """Put a teacher at the end of a pipeline, in place of what finds relations there.

    nlp (Language): the pipeline, which finds entities.
    teacher (Union[Path, Language]): a config file with the section [teacher], which holds settings of
        `rag_relation_extractor`; or a pipeline, of which the last extractor is taken. Where a config gives no labels,
        the teacher has those of the pipeline's own extractor; and it has its examples. A ValueError is raised where
        nothing there can teach.
    """
    old = next(iter(reversed(extractors(nlp))), None)
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, RelationExtractor)]
    if isinstance(teacher, Language):
        found = [name for name, pipe in teacher.pipeline if isinstance(pipe, RelationExtractor)]
        if not found:
            names_of = ", ".join(teacher.pipe_names) or "none"
            raise ValueError(Errors.R758.format(name=teacher.meta["name"], components=names_of))
        for name in names:
            nlp.remove_pipe(name)
        nlp.add_pipe(found[-1], name=SECTION, source=teacher)
        return
    settings = read_settings(teacher)
    for name in names:
        nlp.remove_pipe(name)
    new = nlp.add_pipe(FACTORY, name=SECTION, config=settings)
    if isinstance(new, RelationExtractor) and old is not None:
        _take_over(new, old, labels=not settings.get("labels"))


def read_settings(path: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): a teacher's settings. A ValueError is raised for a config that has none."""
    try:
        settings = load_config(path, interpolate=True).get(SECTION)
    except (OSError, ValueError) as error:
        raise ValueError(Errors.R759.format(path=path, problem=" ".join(str(error).split()))) from error
    if not isinstance(settings, dict):
        raise ValueError(Errors.R759.format(path=path, problem=f"there is no section [{SECTION}]"))
    return settings


def _take_over(new: RelationExtractor, old: RelationExtractor, labels: bool) -> None:
    if labels and old.labels:
        new.set_labels(old.predictor.labels)
    known = set(new.labels)
    examples = [
        example
        for example in old.predictor.known_examples
        if all(answer.label in known for answer in example.answers or ())
    ]
    if examples:
        new.predictor.add_examples(new.predictor.unknown(examples))
