"""`ragre neighbours`: what retrieval gives."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional, Sequence, Tuple

import spacy
import typer

from ..annotate.documents import LeftOut
from ..errors import Errors
from ..instances import Instance
from ._inputs import INPUT, TEXT, check_inputs, read_inputs
from ._util import Arg, Opt, json_line, one_line, ragre_cli, user_errors
from .index import CONFIG_FILE, RETRIEVER, known_candidates, make_retriever

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..candidates import Candidate
    from ..retrieval import Neighbour, Retriever

_BATCH = 256


@ragre_cli.command("neighbours")
def neighbours_cli(
    store_path: Path = Arg(..., metavar="STORE", help="Store that `index` made"),
    text: Optional[str] = TEXT,
    input_path: Optional[str] = INPUT,
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    k: int = Opt(8, "--k", "-k", help="Number of neighbours, most similar first"),
    keep_same: bool = Opt(False, "--keep-same", help="Also find examples with the query's own text or id"),
) -> None:
    """
    Find the stored examples that are most similar to a text, or to each document of a file.

    Prints one JSON object a line, with the document's id (its position where it has none) and its neighbours. A
    document with several pairs of entities gets a line for each, with the pair; plain text is looked up as a whole.
    Examples with the query's own text or id are left out.
    """
    with user_errors(neighbours_cli):
        for line in neighbours(store_path, text, input_path, k, spans_key=spans_key, keep_same=keep_same):
            typer.echo(json_line(line))


def neighbours(
    store_path: Path,
    text: Optional[str] = None,
    input_path: Optional[str] = None,
    k: int = 8,
    *,
    spans_key: Optional[str] = None,
    keep_same: bool = False,
) -> Iterator[Dict[str, Any]]:
    """Find neighbours for a text or for the documents of a file.

    store_path (Path): the store.
    text (Optional[str]): a text.
    input_path (Optional[str]): a file in place of a text, or "-".
    k (int): number of neighbours.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    keep_same (bool): find examples with the query's own text or id, too.
    YIELDS (Dict[str, Any]): for each pair, `id`, `neighbours` and, where its document has several, `pair`.
    """
    if k < 1:
        raise ValueError(Errors.R611.format(value=k))
    check_inputs(text, input_path)
    retriever = load_retriever(store_path)
    batch: List[Tuple[Dict[str, Any], Sequence[Instance]]] = []
    for position, item in enumerate(read_inputs(spacy.blank("en"), text, input_path, spans_key), 1):
        if not isinstance(item.content, LeftOut):
            batch.extend(_queries(item.content, position, item.plain, spans_key))
        if len(batch) >= _BATCH:
            yield from _search(retriever, batch, k, keep_same)
            batch = []
    yield from _search(retriever, batch, k, keep_same)


def load_retriever(store_path: Path) -> "Retriever":
    """Load a store with the encoder that made it.

    store_path (Path): the folder.
    RETURNS (Retriever): the retriever. A missing, foreign or damaged store raises a ValueError or an OSError.
    """
    from thinc.api import Config

    from ..files import existing

    folder = existing(store_path)
    if not (folder / CONFIG_FILE).is_file():
        raise ValueError(Errors.R603.format(path=store_path, file=CONFIG_FILE))
    path = folder / CONFIG_FILE
    try:
        config = Config().from_disk(path)
    except ValueError as error:
        raise ValueError(Errors.R610.format(source=path, problem=one_line(error))) from error
    retriever = make_retriever(config, str(path))
    return retriever.from_disk(folder / RETRIEVER)


def _queries(
    doc: "Doc", position: int, plain: bool, spans_key: Optional[str]
) -> "List[Tuple[Dict[str, Any], Sequence[Instance]]]":
    """The lines that a document gives, without neighbours, each with its query, or with none."""
    from ..relations import ID_KEY

    name = doc.user_data.get(ID_KEY, str(position))
    if plain:
        # It has no mentions that could be marked.
        return [({"id": name}, [Instance(doc.text, (0, 0), (0, 0))])]
    candidates = list(known_candidates(doc, spans_key))
    if not candidates:
        return [({"id": name}, [])]
    several = len(candidates) > 1
    return [
        ({"id": name, "pair": _pair(doc, item)} if several else {"id": name}, [item.instance]) for item in candidates
    ]


def _pair(doc: "Doc", candidate: "Candidate") -> List[Dict[str, Any]]:
    spans = [doc[start:end] for start, end in (candidate.first, candidate.second)]
    return [{"start": span.start_char, "end": span.end_char, "text": span.text} for span in spans]


def _search(
    retriever: "Retriever", batch: "List[Tuple[Dict[str, Any], Sequence[Instance]]]", k: int, keep_same: bool
) -> Iterator[Dict[str, Any]]:
    instances = [instance for _, queries in batch for instance in queries]
    found = iter(retriever.retrieve(instances, k=k, leak_free=not keep_same))
    for line, queries in batch:
        yield {**line, "neighbours": [_neighbour(item) for _ in queries for item in next(found)]}


def _neighbour(neighbour: "Neighbour") -> Dict[str, Any]:
    from ..labels import NO_RELATION

    instance = neighbour.instance
    labels = None
    if instance.answers is not None:
        # What nobody looked for may be there.
        none = [] if instance.annotated is not None else [NO_RELATION]
        labels = [f"{a.label}({'e2,e1' if a.reversed else 'e1,e2'})" for a in instance.answers] or none
    return {"id": instance.id, "score": round(neighbour.score, 6), "text": instance.text, "labels": labels or []}
