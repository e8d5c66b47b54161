"""`ragre init config`: a training config for a corpus."""

import json
from enum import Enum
from pathlib import Path
from typing import List, Mapping, Optional

import typer
from wasabi import msg

from ..errors import Errors, Warnings
from ._util import Arg, Opt, load_pipeline, module_of, parse_labels, ragre_cli, read_corpus, user_errors

init_cli = typer.Typer(name="init", help="Begin with own data.", no_args_is_help=True)
ragre_cli.add_typer(init_cli)

# Below this share of the entities, the base pipeline is not the one for these texts.
_FEW = 0.5


class Optimize(str, Enum):
    """What a config is good for."""

    speed = "speed"
    accuracy = "accuracy"


@init_cli.command("config")
def init_config_cli(
    output_path: Path = Arg(..., metavar="OUT.cfg", help="File to write"),
    train: Path = Opt(..., "--train", "-t", metavar="TRAIN.spacy", help="Training documents"),
    dev: Optional[Path] = Opt(
        None, "--dev", "-d", metavar="DEV.spacy", help="Development documents; else give --paths.dev to spacy train"
    ),
    base: str = Opt("en_core_web_sm", "--base", "-b", help="Folder or package of a pipeline that finds entities"),
    optimize: Optimize = Opt(
        Optimize.speed.value,
        "--optimize",
        "-o",
        help="speed: the reader of open labels, minutes on a CPU; accuracy: the language model with LoRA, where there "
        "are so many relations that it is better",
    ),
    labels: List[str] = Opt(
        [],
        "--labels",
        "-l",
        metavar="LABELS",
        help="Words of labels: NAME=WORDS, several with commas between, or a file (a label a line, or .json); those of "
        "other labels are made of their names",
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    force: bool = Opt(False, "--force", "-F", help="Replace OUT.cfg where it is there"),
) -> None:
    """
    Write a training config for annotated documents: filled, with labels, entity types, candidates, batch size and steps
    from the data and for this machine, and comments that say why. Train with it by spacy train.
    """
    with user_errors(init_config_cli):
        init_config(
            output_path,
            train,
            dev=dev,
            base=base,
            optimize=optimize,
            labels=parse_labels(labels),
            spans_key=spans_key,
            force=force,
        )


def init_config(
    output_path: Path,
    train: Path,
    *,
    dev: Optional[Path] = None,
    base: str = "en_core_web_sm",
    optimize: Optimize = Optimize.speed,
    labels: Optional[Mapping[str, object]] = None,
    spans_key: Optional[str] = None,
    force: bool = False,
) -> None:
    """Write a training config.

    output_path (Path): the file to write. Where a config can't hold the names of the labels, they go to a file of JSON
        next to it.
    train (Path): the training documents.
    dev (Optional[Path]): the development documents.
    base (str): folder or package of the pipeline whose components the trained one gets.
    optimize (Optimize): what it shall be good for.
    labels (Optional[Mapping[str, object]]): labels with words or tables; others are found in the documents.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    force (bool): replace the file.
    """
    from ..assist import choose_candidates, make_plan, profile, read_with, sample
    from ..assist.config import describe_reach, fits_config, make_config, make_labels
    from ..assist.reach import ENOUGH, SAMPLE
    from ..components.relations.learning import labels_without_words
    from ..files import atomic_write, check_outputs
    from ..labels import LabelSet

    check_outputs({"training documents": train, "development set": dev}, {"config": output_path})
    if output_path.exists() and not force:
        raise ValueError(Errors.R671.format(path=output_path))
    nlp = load_pipeline(base)
    docs = [doc for doc in read_corpus(train, nlp, spans_key=spans_key) if len(doc)]
    if not docs:
        raise ValueError(Errors.R330.format(path=train))
    if dev is not None and not any(len(doc) for doc in read_corpus(dev, nlp, spans_key=spans_key)):
        raise ValueError(Errors.R329.format(path=dev))
    found = profile(docs, spans_key)
    if not found.labels:
        raise ValueError(Errors.R670.format(count=len(docs), path=train))
    some = sample(docs, SAMPLE)
    entities = read_with(nlp, some, spans_key)
    reach = choose_candidates(some, spans_key, by_cluster=found.by_cluster)
    plan = make_plan(found, optimize.value)
    table = make_labels(found, labels or {})
    labels_path = None if fits_config(table) else output_path.with_suffix(".labels.json")
    text = make_config(
        nlp,
        module_of(base),
        plan,
        found,
        reach,
        labels=table,
        labels_path=None if labels_path is None else labels_path.as_posix(),
        train=train.as_posix(),
        dev=None if dev is None else dev.as_posix(),
        spans_key=spans_key,
    )
    if labels_path is not None:
        with atomic_write(labels_path) as stream:
            stream.write((json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode("utf8"))
    with atomic_write(output_path) as stream:
        stream.write(text.encode("utf8"))
    msg.good(f"Wrote {output_path}" + (f" and {labels_path}" if labels_path is not None else ""))
    what = "the reader of open labels" if plan.answer == "open" else "the language model, with LoRA"
    msg.info(f"{len(table)} labels. {plan.steps} updates of {what} ({plan.epochs:.0f} epochs).")
    if optimize is Optimize.accuracy and plan.answer == "open":
        msg.info("The documents hold too few relations for the language model to be better: see the comments.")
    msg.info(describe_reach(reach)[0])
    if reach.share < ENOUGH:
        msg.warn(Warnings.W671.format(share=f"{100 * reach.share:.1f}", config=output_path))
    if entities.types < _FEW * entities.entities:
        msg.warn(Warnings.W670.format(name=base, **entities._asdict()))
    codes = labels_without_words(LabelSet(table))
    if codes and plan.answer == "open":
        msg.warn(Warnings.W672.format(labels=", ".join(codes), first=codes[0]))
    given = "" if dev is not None else " --paths.dev DEV.spacy"
    msg.text(f"Next: python -m spacy train {output_path} --output training{given}")
