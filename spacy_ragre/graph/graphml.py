"""Graphs as GraphML and as node-link JSON, by networkx."""

import json
import re
from typing import IO, TYPE_CHECKING, Dict, Mapping, Union

from .packages import need

if TYPE_CHECKING:
    import networkx

# What XML 1.0 can't hold, and a carriage return, which it reads as a line feed.
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")


def write_graphml(graph: "networkx.MultiDiGraph", file: IO[bytes]) -> None:
    """Write GraphML. Tables of counts and provenance are JSON; characters that XML can't hold are written as "\\u0001".

    graph (networkx.MultiDiGraph): the graph. Its edges are called e0, e1 and so on: XML needs ids that are unique.
    file (IO[bytes]): the open file.
    """
    nx = need("networkx")
    flat = nx.MultiDiGraph(**_flat(graph.graph))
    flat.add_nodes_from((id_, _flat(data)) for id_, data in graph.nodes(data=True))
    for i, (head, tail, data) in enumerate(graph.edges(data=True)):
        flat.add_edge(head, tail, key=f"e{i}", **_flat(data))
    nx.write_graphml_xml(flat, file)


def write_node_link(graph: "networkx.MultiDiGraph", file: IO[bytes]) -> None:
    """Write JSON that `networkx.node_link_graph(data, edges="edges")` reads back as the same graph.

    graph (networkx.MultiDiGraph): the graph.
    file (IO[bytes]): the open file.
    """
    data = need("networkx").node_link_data(graph, edges="edges")
    file.write(json.dumps(data, ensure_ascii=False).encode("utf8"))


def _flat(data: Mapping[str, object]) -> Dict[str, Union[str, int, float]]:
    return {name: _plain(value) for name, value in data.items()}


def _plain(value: object) -> Union[str, int, float]:
    if isinstance(value, (int, float)):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _NOT_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
