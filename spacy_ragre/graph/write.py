"""Graphs to files, which appear under their names only when they are whole."""

from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Union

from ..corpora.docred import Names, find_relation_names
from ..errors import Errors
from ..files import atomic_write
from .build import check_graph
from .graphml import write_graphml, write_node_link
from .neo4j import write_csv, write_cypher
from .rdf import BASE, write_rdf

if TYPE_CHECKING:
    from typing import IO

    import networkx

    Writer = Callable[[networkx.MultiDiGraph, IO[bytes]], None]

_FILES: "Dict[str, Writer]" = {
    "graphml": write_graphml,
    "node-link": write_node_link,
    "cypher": write_cypher,
}
_RDF = {"ttl": "turtle", "nt": "nt"}
FORMATS = ("graphml", "node-link", "ttl", "nt", "csv", "cypher")


def write(
    graph: "networkx.MultiDiGraph",
    path: Union[str, Path],
    format: str,
    *,
    base: str = BASE,
    relation_names: Names = None,
) -> None:
    """Write a graph that `build` or `merge` made. A ValueError is raised for another one.

    graph (networkx.MultiDiGraph): the graph.
    path (Union[str, Path]): the file; for "csv" the folder, which gets `nodes.csv` and `relationships.csv`.
    format (str): one of `FORMATS`.
    base (str): for "ttl" and "nt": the IRI that those of entities and labels begin with, where they have no other.
    relation_names (Union[str, Path, Mapping[str, str], None]): for "ttl" and "nt": Wikidata's properties (P17) or IRIs
        with the labels that they stand for, or a JSON file that has them; `rel_info.json` next to the file if None.
    """
    if format not in FORMATS:
        raise ValueError(Errors.R414.format(format=format, known=", ".join(FORMATS)))
    check_graph(graph)
    path = Path(path)
    if format == "csv":
        write_csv(graph, path)
        return
    names = find_relation_names(relation_names, path.parent) if format in _RDF else None
    with atomic_write(path) as file:
        if format in _RDF:
            write_rdf(graph, file, _RDF[format], base, names)
        else:
            _FILES[format](graph, file)
