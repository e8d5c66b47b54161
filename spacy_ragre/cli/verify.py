"""`ragre verify`: a trained pipeline's figures, measured again."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, NamedTuple, Optional

from wasabi import msg

from ..errors import Errors
from ..files import file_hash
from ..relations import get_relations
from ..training.devices import choose_gpu
from ._card import Card, Check
from ._util import GPU_ID, Arg, Opt, load_pipeline, ragre_cli, read_corpus, user_errors
from .evaluate import prepare

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.training import Example

ASSETS = "RAGRE_ASSETS"


class Measured(NamedTuple):
    """What a check gave.

    scores (Dict[str, Any]): all scores, from 0 to 1.
    examples (List[Example]): the documents, annotated by the pipeline and by hand.
    seconds (float): how long the pipeline took.
    """

    scores: Dict[str, Any]
    examples: "List[Example]"
    seconds: float


@ragre_cli.command("verify")
def verify_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a trained pipeline with a card"),
    assets: Optional[Path] = Opt(
        None, "--assets", "-a", metavar="DIR", help=f"Folder of the data; by default the variable {ASSETS}, or assets"
    ),
    every: bool = Opt(False, "--all", help="Measure all figures of the card, and not its headline alone"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Score a trained pipeline on the test data of its card, and compare with the figure there.

    Ends with exit code 1 where they differ by more than the card's tolerance.
    """
    with user_errors(verify_cli):
        verify(pipeline, assets, every=every, gpu_id=gpu_id)


def verify(
    pipeline: str, assets: Optional[Path] = None, *, every: bool = False, gpu_id: Optional[int] = None
) -> Dict[str, float]:
    """Measure the figures of a pipeline's card again.

    pipeline (str): the pipeline's folder or package.
    assets (Optional[Path]): the folder of the data; where None, that of the variable RAGRE_ASSETS, or "assets".
    every (bool): all figures, and not the headline alone.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    RETURNS (Dict[str, float]): the scores, from 0 to 1, by the names of the checks. A ValueError is raised where one of
        them differs from the card's, or where data are missing.
    """
    choose_gpu(gpu_id)
    folder = assets if assets is not None else Path(os.environ.get(ASSETS) or "assets")
    card = Card.read(Path(load_pipeline(pipeline).path))
    found: Dict[str, float] = {}
    problems = []
    for check in card.checks if every else card.checks[:1]:
        measured = measure(pipeline, check, folder)
        value = float(measured.scores.get(check.score) or 0.0)
        found[check.name] = value
        told = f"{check.name}: {100 * value:.2f}, and the card says {100 * check.value:.2f}"
        told = f"{told} ({len(measured.examples)} documents in {measured.seconds:.0f} s)"
        if abs(value - check.value) > check.tolerance:
            problems.append(Errors.R655.format(name=pipeline, told=told, tolerance=100 * check.tolerance))
        else:
            msg.good(told)
    if problems:
        raise ValueError("\n".join(problems))
    return found


def measure(pipeline: str, check: Check, assets: Path) -> Measured:
    """Score a pipeline on a check's data.

    pipeline (str): the pipeline's folder or package.
    check (Check): the check. Data that are missing, or are not those of the check, raise a ValueError.
    assets (Path): the folder of the data.
    RETURNS (Measured): the scores and what they are of.
    """
    from spacy.scorer import Scorer
    from spacy.training import Example

    from ..corpora.reader import copy_input
    from ..scoring.docred import score_docred

    path = assets / check.data
    if not path.is_file():
        # The steps of the project are called by the data's folder, but for the first of them.
        data = Path(check.data).parts[0]
        step = "assets" if data.startswith("semeval") else f"assets-{data}"
        raise ValueError(Errors.R656.format(file=path, variable=ASSETS, step=step))
    if file_hash(path) != check.sha256:
        raise ValueError(Errors.R657.format(file=path, found=file_hash(path)[:12], expected=check.sha256[:12]))
    nlp = load_pipeline(pipeline)
    gold = check.entities == "gold"
    prepare(nlp, pipeline, gold)
    docs = [doc for doc in _read(path, nlp, check) if len(doc)]
    examples = [Example(copy_input(doc, gold_ents=gold), doc) for doc in docs]
    start = time.perf_counter()
    for example, doc in zip(examples, nlp.pipe([eg.predicted for eg in examples])):
        example.predicted = doc
    seconds = time.perf_counter() - start
    scores: Dict[str, Any] = Scorer(nlp).score(examples)
    return Measured({**score_docred(examples), **scores}, examples, seconds)


def _read(path: Path, nlp: "Language", check: Check) -> "Iterator[Doc]":
    from itertools import islice

    from ..corpora import read_docred

    docs = read_docred(path, nlp) if path.suffix == ".json" else read_corpus(path, nlp, split_tokens=True)
    for doc in islice(docs, check.documents or None):
        if check.labels:
            relations = [rel.to_dict() for rel in get_relations(doc)]
            doc._.relations = [
                {**rel, "label": check.labels[rel["label"]]} for rel in relations if rel["label"] in check.labels
            ]
            doc._.annotated_labels = sorted(set(check.labels.values()))
        yield doc
