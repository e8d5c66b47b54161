"""`ragre export`: annotated documents to another format, or to a knowledge graph."""

from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from wasabi import msg

from ..errors import Errors
from ._card import CARD, Card
from ._util import Arg, Opt, ragre_cli, tell_dropped, user_errors

GRAPH = "Graphs"
RDF = ("ttl", "nt")


@ragre_cli.command("export")
def export_cli(
    docs_path: Path = Arg(..., metavar="DOCS.spacy", help="Documents to export, a .spacy file or a folder of them"),
    output_path: Path = Arg(..., metavar="OUT", help="File to write; for brat, webanno, uima and csv the folder"),
    format: str = Opt(
        "jsonl",
        "--format",
        "-f",
        help="Format to write: jsonl (interchange), one that convert reads, docred for answers and docred-docs for "
        "documents of DocRED; for a graph graphml, node-link (JSON), ttl or nt (RDF), csv (tables for Neo4j's "
        "import) or cypher",
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="Take the entities from doc.spans[KEY]"),
    relation_names: Optional[Path] = Opt(
        None,
        "--relation-names",
        "-rn",
        help="Relation ids, such as P17, with names (docred, ttl, nt): a JSON file, or a pipeline whose card has them; "
        "rel_info.json next to OUT",
    ),
    min_score: float = Opt(0.0, "--min-score", help="Leave relations below out, from 0 to 1", rich_help_panel=GRAPH),
    min_count: int = Opt(1, "--min-count", help="Leave out what fewer places say", rich_help_panel=GRAPH),
    functional: List[str] = Opt(
        [], "--functional", metavar="LABEL", help="Label of which an entity keeps its best tail", rich_help_panel=GRAPH
    ),
    inverse: List[str] = Opt(
        [], "--inverse", metavar="A=B", help="Write the label A as its inverse, the label B", rich_help_panel=GRAPH
    ),
    symmetric: List[str] = Opt(
        [], "--symmetric", metavar="LABEL", help="Label that says the same in both directions", rich_help_panel=GRAPH
    ),
    isolated: bool = Opt(False, "--isolated", help="Keep entities without a relation", rich_help_panel=GRAPH),
    base: Optional[str] = Opt(
        None, "--base", metavar="IRI", help="What IRIs begin with (ttl, nt), ending in /", rich_help_panel=GRAPH
    ),
) -> None:
    """
    Export documents with their entities, relations, clusters and triples, or the knowledge graph of their relations.

    The output appears under its name only when it is whole.
    """
    with user_errors(export_cli):
        settings = {
            "min_score": min_score,
            "min_count": min_count,
            "functional": functional,
            "inverse": _inverse(inverse),
            "symmetric": symmetric,
            "isolated": isolated,
        }
        names = relation_names
        export(docs_path, output_path, format, spans_key=spans_key, relation_names=names, base=base, **settings)


def export(
    docs_path: Path,
    output_path: Path,
    format: str = "jsonl",
    *,
    spans_key: Optional[str] = None,
    relation_names: Optional[Path] = None,
    base: Optional[str] = None,
    **settings: Any,
) -> None:
    """Export documents and say how many were written; see `spacy_ragre.corpora.export_docs`, and for the formats and
    settings of graphs `spacy_ragre.graph.build` and `spacy_ragre.graph.write`.
    """
    from ..corpora import CorpusCounts, export_docs
    from ..corpora.formats import WRITERS
    from ..graph import FORMATS

    if format not in (*WRITERS, *FORMATS):
        raise ValueError(Errors.R414.format(format=format, known=", ".join((*WRITERS, *FORMATS))))
    if base is not None and format not in RDF:
        raise ValueError(Errors.R619.format(format=format, option="--base", known=", ".join(RDF)))
    named = ("docred", "docred-docs", *RDF)
    if relation_names is not None and format not in named:
        raise ValueError(Errors.R619.format(format=format, option="--relation-names", known=", ".join(named)))
    names = None if relation_names is None else _names(relation_names)
    if format in FORMATS:
        _export_graph(docs_path, output_path, format, spans_key, names, base, settings)
        return
    defaults = {"min_score": 0.0, "min_count": 1}
    for name, value in settings.items():
        if value and value != defaults.get(name):
            option = f"--{name.replace('_', '-')}"
            raise ValueError(Errors.R619.format(format=format, option=option, known=", ".join(FORMATS)))
    counts = CorpusCounts()
    names = relation_names
    count = export_docs(docs_path, output_path, format, spans_key=spans_key, relation_names=names, counts=counts)
    msg.good(f"Wrote {count} documents to {output_path}")
    tell_dropped(counts)


def _names(source: Path) -> Union[Path, Dict[str, str]]:
    """RETURNS (Union[Path, Dict[str, str]]): a file of names, or the names by their ids that the card of a pipeline
    has. A ValueError is raised for a pipeline whose card has none.
    """
    from spacy.util import get_package_path, is_package

    folder = source
    if not source.exists() and is_package(str(source)):
        folder = next((path.parent for path in get_package_path(str(source)).glob(f"*/{CARD}")), source)
    if not folder.is_dir():
        return source
    names = {id_: label for label, id_ in Card.read(folder).about.get("properties", {}).items() if id_}
    if not names:
        raise ValueError(Errors.R664.format(name=source))
    return names


def _export_graph(
    docs_path: Path,
    output_path: Path,
    format: str,
    spans_key: Optional[str],
    relation_names: Union[Path, Dict[str, str], None],
    base: Optional[str],
    settings: Dict[str, Any],
) -> None:
    import spacy

    from ..corpora.convert import not_empty
    from ..corpora.reader import read_docs
    from ..files import check_outputs
    from ..graph import build, write

    check_outputs({"input": docs_path, "relation names": relation_names}, {"output": output_path})
    docs = not_empty(read_docs(docs_path, spacy.blank("xx").vocab), docs_path)
    graph = build(docs, spans_key=spans_key, **settings)
    named = {} if base is None else {"base": base}
    write(graph, output_path, format, relation_names=relation_names, **named)
    counts = f"{graph.number_of_edges()} relations between {graph.number_of_nodes()} entities"
    msg.good(f"Wrote {counts} to {output_path}")
    for name, count in graph.graph["left_out"].items():
        msg.info(f"Left out by --{name.replace('_', '-')}: {count} relations")


def _inverse(values: List[str]) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): labels with their inverses. What is no pair raises a ValueError."""
    pairs = [value.partition("=") for value in values]
    for value, (label, _, kept) in zip(values, pairs):
        if not label.strip() or not kept.strip():
            raise ValueError(Errors.R617.format(setting="inverse", value=value, expected="LABEL=INVERSE"))
    return {label.strip(): kept.strip() for label, _, kept in pairs}
