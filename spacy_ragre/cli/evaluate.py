"""`ragre evaluate`: how good a pipeline is, and what it confuses."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Optional

from wasabi import msg

from ..errors import Errors
from ..relations import has_relations
from ..training.devices import choose_gpu
from ._answers import answer, compare, judge
from ._report import make_page
from ._scores import show
from ._util import GPU_ID, Arg, Opt, load_pipeline, pipe_names, ragre_cli, read_corpus, user_errors

if TYPE_CHECKING:
    from spacy.language import Language


@ragre_cli.command("evaluate")
def evaluate_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline"),
    corpus_path: Path = Arg(..., metavar="DATA", help="Annotated documents: .spacy, interchange .jsonl, SemEval .txt"),
    gold_entities: bool = Opt(
        True, "--gold-entities/--own-entities", help="Give the annotated entities, or let the pipeline find its own"
    ),
    output_path: Optional[Path] = Opt(None, "--output", "-o", metavar="JSON", help="Write all scores to this file"),
    html_path: Optional[Path] = Opt(None, "--html", metavar="HTML", help="Write a report to this file, as a page"),
    compared: Optional[str] = Opt(
        None, "--compare", metavar="OTHER", help="Another pipeline to compare with, on the same documents"
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    split_tokens: bool = Opt(
        False, "--split-tokens", help="Cut tokens where an entity begins or ends inside one (jsonl)"
    ),
    confusions: int = Opt(10, "--confusions", "-c", min=0, help="Number of confusions to show, the worst first"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Score a pipeline on annotated documents.

    Shows micro, macro and per-label scores of all components that have any, from 0 to 100, with 95% confidence
    intervals (bootstrap over documents), and what is taken for what, with sentences. With --own-entities, relations
    between entities that the pipeline misses count as missed. With --compare, differences to another pipeline are
    tested by approximate randomisation.
    """
    with user_errors(evaluate_cli):
        evaluate(
            pipeline,
            corpus_path,
            gold_entities=gold_entities,
            output_path=output_path,
            html_path=html_path,
            compared=compared,
            spans_key=spans_key,
            split_tokens=split_tokens,
            confusions=confusions,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )


def evaluate(
    pipeline: str,
    corpus_path: Path,
    *,
    gold_entities: bool = True,
    output_path: Optional[Path] = None,
    html_path: Optional[Path] = None,
    compared: Optional[str] = None,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    confusions: int = 10,
    batch_size: Optional[int] = None,
    gpu_id: Optional[int] = None,
) -> Dict[str, Any]:
    """Score a pipeline, show the scores and, where asked for, write them.

    pipeline (str): the pipeline's folder or package.
    corpus_path (Path): annotated documents.
    gold_entities (bool): give the annotated entities and entity clusters to the pipeline, whose own components for
        entities are then left out. False to have it find its own.
    output_path (Optional[Path]): the JSON file to write.
    html_path (Optional[Path]): the page to write, with all scores, curves and errors.
    compared (Optional[str]): another pipeline, which is scored on the same documents.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    split_tokens (bool): cut tokens of interchange documents where an entity begins or ends inside one.
    confusions (int): how many confusions are shown.
    batch_size (Optional[int]): documents of a batch.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    RETURNS (Dict[str, Any]): what is written: `pipeline`, `corpus`, `entities` ("gold" or "own"), what `judge` gives
        (scores are from 0 to 1) and, of a comparison, what `compare` gives as `compared`.
    """
    from ..files import atomic_write, check_outputs

    check_outputs({"corpus": corpus_path}, {"scores": output_path, "report": html_path})
    choose_gpu(gpu_id)
    names = [pipeline] if compared is None else [pipeline, compared]
    nlps = [load_pipeline(name) for name in names]
    for nlp, name in zip(nlps, names):
        prepare(nlp, name, gold_entities)
        if compared is not None and not pipe_names(nlp, "doc._.relations"):
            raise ValueError(Errors.R606.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
    read = [list(read_corpus(corpus_path, nlp, spans_key=spans_key, split_tokens=split_tokens)) for nlp in nlps]
    # Of a text of spaces, the tokenizer of one pipeline may make words, and that of the other none.
    kept = [docs for docs in zip(*read) if all(len(doc) for doc in docs)]
    if not kept:
        raise ValueError(Errors.R329.format(path=corpus_path))
    if compared is not None and not any(has_relations(docs[0]) for docs in kept):
        raise ValueError(Errors.R390.format(path=corpus_path, name=pipeline, other=compared))
    settings: Any = {"gold_entities": gold_entities, "spans_key": spans_key, "batch_size": batch_size}
    answers = [answer(nlp, name, docs, **settings) for nlp, name, docs in zip(nlps, names, zip(*kept))]
    others = answers[1] if compared is not None else None
    about = {"pipeline": pipeline, "corpus": corpus_path.as_posix(), "entities": "gold" if gold_entities else "own"}
    result = {**about, **judge(answers[0])}
    if others is not None:
        result["compared"] = compare(answers[0], others)
    show(result, confusions)
    if output_path is not None:
        with atomic_write(output_path) as stream:
            stream.write((json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode("utf8"))
        msg.good(f"Wrote the scores to {output_path}")
    if html_path is not None:
        page = make_page(result, answers[0], others)
        with atomic_write(html_path) as stream:
            stream.write(page.encode("utf8"))
        msg.good(f"Wrote the report to {html_path}")
    return result


def prepare(nlp: "Language", name: str, gold_entities: bool) -> None:
    """Have a pipeline keep the entities that it is given, or make sure that it finds its own.

    nlp (Language): the pipeline.
    name (str): what it is called, for errors.
    gold_entities (bool): whether entities are given.
    """
    scored = pipe_names(nlp, "doc._.relations") + pipe_names(nlp, "doc._.candidate_pairs")
    finders = [pipe for pipe in pipe_names(nlp, "doc.ents") if pipe not in scored]
    # A component that does several tasks, of which one is to find entities.
    own = [pipe for _, pipe in nlp.pipeline if "ner" in getattr(pipe, "tasks", ())]
    if gold_entities:
        for finder in finders:
            nlp.disable_pipe(finder)
        for pipe in own:
            rest = tuple(task for task in pipe.tasks if task != "ner")  # type: ignore[attr-defined]
            if rest:
                pipe.tasks = rest  # type: ignore[attr-defined]
    elif not finders and not own and not pipe_names(nlp, "doc.spans"):
        raise ValueError(Errors.R328.format(name=name, components=", ".join(nlp.pipe_names) or "none"))
