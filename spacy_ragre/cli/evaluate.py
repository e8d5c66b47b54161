"""`ragre evaluate`: how good a pipeline is, and what it confuses."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Set

from wasabi import msg

from ..errors import Errors
from ..training.devices import choose_gpu
from ._util import GPU_ID, Arg, Opt, cell, load_pipeline, pipe_names, ragre_cli, read_corpus, user_errors

if TYPE_CHECKING:
    from rich.console import Console
    from spacy.language import Language

# The scores of a component's labels have this ending in its scorer.
_PER_LABEL = "_per_type"
# How the parts of the names of scores are shown.
_TITLES = {
    "rels": "relations",
    "re": "relations",
    "ents": "entities",
    "ner": "entities",
    "te": "triples",
    "uc": "usage",
}
_MISTAKES = 2


@ragre_cli.command("evaluate")
def evaluate_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline"),
    corpus_path: Path = Arg(..., metavar="DATA", help="Annotated documents: .spacy, interchange .jsonl, SemEval .txt"),
    gold_entities: bool = Opt(
        True, "--gold-entities/--own-entities", help="Give the annotated entities, or let the pipeline find its own"
    ),
    output_path: Optional[Path] = Opt(None, "--output", "-o", metavar="JSON", help="Write all scores to this file"),
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

    Shows micro, macro and per-label scores of all components that have any, from 0 to 100, and what is taken for what,
    with sentences. With --own-entities, relations between entities that the pipeline misses count as missed.
    """
    with user_errors(evaluate_cli):
        evaluate(
            pipeline,
            corpus_path,
            gold_entities=gold_entities,
            output_path=output_path,
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
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    split_tokens (bool): cut tokens of interchange documents where an entity begins or ends inside one.
    confusions (int): how many confusions are shown.
    batch_size (Optional[int]): documents of a batch.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    RETURNS (Dict[str, Any]): what is written: `pipeline`, `corpus`, `entities` ("gold" or "own"), `documents`, `scores`
        (from 0 to 1) and `confusions`.
    """
    from spacy.scorer import Scorer
    from spacy.training import Example

    from ..corpora.reader import copy_input
    from ..files import atomic_write
    from ..scoring import score_relations
    from ..scoring.confusions import find_confusions

    choose_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    prepare(nlp, pipeline, gold_entities)
    docs = read_corpus(corpus_path, nlp, spans_key=spans_key, split_tokens=split_tokens)
    examples = [Example(copy_input(doc, gold_ents=gold_entities), doc) for doc in docs if len(doc)]
    if not examples:
        raise ValueError(Errors.R329.format(path=corpus_path))
    start = time.perf_counter()
    # Not nlp.evaluate, which keeps what the pipeline said to itself.
    for example, doc in zip(examples, nlp.pipe([eg.predicted for eg in examples], batch_size=batch_size)):
        example.predicted = doc
    seconds = time.perf_counter() - start
    scores: Dict[str, Any] = Scorer(nlp).score(examples)
    scores["speed"] = sum(len(example.predicted) for example in examples) / seconds
    found: List[Dict[str, Any]] = []
    if pipe_names(nlp, "doc._.relations"):
        symmetric = symmetric_labels(nlp)
        relations = score_relations(examples, symmetric=symmetric, spans_key=spans_key)
        scores = {**relations, **scores}
        found = [
            {**item._asdict(), "mistakes": [mistake._asdict() for mistake in item.mistakes]}
            for item in find_confusions(examples, symmetric=symmetric, spans_key=spans_key)
        ]
    result = {
        "pipeline": pipeline,
        "corpus": corpus_path.as_posix(),
        "entities": "gold" if gold_entities else "own",
        "documents": len(examples),
        # Those of other components, of which these documents say nothing, are left out.
        "scores": {key: value for key, value in scores.items() if value is not None},
        "confusions": found,
    }
    show(result, confusions)
    if output_path is not None:
        with atomic_write(output_path) as stream:
            stream.write((json.dumps(result, indent=2, ensure_ascii=False) + "\n").encode("utf8"))
        msg.good(f"Wrote the scores to {output_path}")
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


def symmetric_labels(nlp: "Language") -> Set[str]:
    """RETURNS (Set[str]): labels whose head and tail can be exchanged, by the components that have them."""
    tables = [getattr(nlp.get_pipe(name), "label_data", None) for name in pipe_names(nlp, "doc._.relations")]
    return {
        label
        for table in tables
        if isinstance(table, Mapping)
        for label, spec in table.items()
        if isinstance(spec, Mapping) and spec.get("symmetric")
    }


def show(result: Mapping[str, Any], confusions: int) -> None:
    """Show scores, from 0 to 100.

    result (Mapping[str, Any]): what `evaluate` returns.
    confusions (int): how many confusions are shown.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    scores = result["scores"]
    about = f"{result['documents']} documents, {result['entities']} entities"
    totals = Table(title=f"Scores ({about})", title_justify="left")
    totals.add_column("score")
    totals.add_column("value", justify="right")
    for key, value in scores.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            # The speed is in words a second.
            totals.add_row(cell(key), f"{value:.0f}" if key == "speed" else f"{100 * value:.1f}")
    console.print(totals)
    for key, table in scores.items():
        if key.endswith(_PER_LABEL) and isinstance(table, Mapping) and table:
            _show_labels(console, key[: -len(_PER_LABEL)], table)
    for number, item in enumerate(result["confusions"][:confusions]):
        if not number:
            console.print("What is taken for what, the most frequent first:")
        console.print(cell(f"{item['times']} times {item['gold']} was answered by {item['predicted']}"))
        for mistake in item["mistakes"][:_MISTAKES]:
            place = f"{mistake['id']}: " if mistake["id"] else ""
            console.print("   ", cell(f"{place}{mistake['head']} -> {mistake['tail']} in: {mistake['text']}"))


def _show_labels(console: "Console", name: str, scores: Mapping[str, Mapping[str, float]]) -> None:
    from rich.table import Table

    table = Table(title=f"By label: {_TITLES.get(name, name)}", title_justify="left")
    table.add_column("label")
    for part in ("precision", "recall", "F1"):
        table.add_column(part, justify="right")
    for label, own in scores.items():
        table.add_row(cell(label), *(f"{100 * own.get(part, 0.0):.1f}" for part in "prf"))
    console.print(table)
