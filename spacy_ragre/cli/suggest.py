"""`ragre suggest`: texts to annotate next, with relations that are there already."""

from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Optional

from wasabi import msg

from ..annotate.documents import LeftOut
from ..errors import Errors
from ..training.devices import choose_gpu
from ._inputs import read_inputs
from ._util import GPU_ID, Arg, Opt, load_pipeline, parse_labels, ragre_cli, tell_dropped, user_errors
from .extract import add_labels


class Order(str, Enum):
    """What comes first."""

    uncertain = "uncertain"
    confident = "confident"
    diverse = "diverse"


@ragre_cli.command("suggest")
def suggest_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a pipeline that finds relations"),
    input_path: str = Arg(
        ..., metavar="TEXTS", help="File to read: .spacy, .jsonl, a text a line, ...; - for standard input"
    ),
    output_path: Path = Arg(..., metavar="OUT", help="File to write, or folder, for the annotation tool"),
    format: str = Opt("jsonl", "--format", "-f", help="Format of the annotation tool; those of `export`"),
    order: Order = Opt(
        Order.uncertain.value,
        "--order",
        "-o",
        help="uncertain: what the pipeline is least sure of; confident: what only has to be accepted; diverse: one of "
        "each group of like texts in turn",
    ),
    labels: List[str] = Opt(
        [],
        "--labels",
        "-l",
        metavar="LABELS",
        help="Find these relations without training, with any pipeline that finds entities; as for `extract`",
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    batch_size: Optional[int] = Opt(None, "--batch-size", "-bs", min=1, help="Documents of a batch"),
    gpu_id: Optional[int] = GPU_ID,
) -> None:
    """
    Annotate texts in advance, and put them in the order in which they are to be corrected.

    The texts are written for the annotation tool with the entities and relations that the pipeline finds. Correct the
    first of them, convert them, train, and suggest again.
    """
    with user_errors(suggest_cli):
        suggest(
            pipeline,
            input_path,
            output_path,
            format=format,
            order=order,
            labels=parse_labels(labels),
            spans_key=spans_key,
            batch_size=batch_size,
            gpu_id=gpu_id,
        )


def suggest(
    pipeline: str,
    input_path: str,
    output_path: Path,
    *,
    format: str = "jsonl",
    order: Order = Order.uncertain,
    labels: Optional[Dict[str, object]] = None,
    spans_key: Optional[str] = None,
    batch_size: Optional[int] = None,
    gpu_id: Optional[int] = None,
) -> None:
    """Write texts with what a pipeline finds in them, in the order in which they are to be corrected.

    pipeline (str): the pipeline's folder or package.
    input_path (str): the texts, as for `extract`.
    output_path (Path): the file or folder to write.
    format (str): one of those that `export` writes.
    order (Order): what comes first; see `put_in_order`.
    labels (Optional[Dict[str, object]]): find these relations with an untrained extractor at the pipeline's end.
    spans_key (Optional[str]): read and write entities in `doc.spans[spans_key]`.
    batch_size (Optional[int]): documents of a batch.
    gpu_id (Optional[int]): the GPU to use, or -1 for the CPU; see `choose_gpu`.
    """
    from ..assist.suggest import put_in_order, read_docs
    from ..corpora import CorpusCounts
    from ..corpora.formats import WRITERS
    from ..files import check_outputs

    if format not in WRITERS:
        raise ValueError(Errors.R414.format(format=format, known=", ".join(WRITERS)))
    check_outputs({"input": input_path}, {"output": output_path})
    choose_gpu(gpu_id)
    nlp = load_pipeline(pipeline)
    add_labels(nlp, pipeline, labels or {}, spans_key)
    items = read_inputs(nlp, None, input_path, spans_key)
    docs = (item.content for item in items if not isinstance(item.content, LeftOut))
    found = put_in_order(read_docs(nlp, docs, name=pipeline, order=order.value, batch_size=batch_size), order.value)
    if not found:
        raise ValueError(Errors.R334.format(path=input_path))
    counts = CorpusCounts()
    settings: Dict[str, Any] = {"spans_key": spans_key, "relation_names": None, "dropped": counts.dropped}
    count = WRITERS[format]((item.doc for item in found), output_path, **settings)
    relations = sum(len(item.doc._.relations) for item in found)
    msg.good(f"Wrote {count} documents with {relations} relations to {output_path}, {order.value} ones first")
    tell_dropped(counts)
    without = sum(item.doubt < 0 for item in found)
    if without and order is not Order.diverse:
        msg.info(f"{without} of them have no two entities to ask about, and come last.")
