"""A page for a corpus: its relations as one graph and as a table, with the sentences that say so, in one HTML file.

The page holds all it needs, and its own policy forbids the browser to load anything or to run a script that is not one
of the page's two. The graph is drawn by force-graph (MIT, `static/force-graph.LICENSE.txt`).
"""

import hashlib
import json
from base64 import b64encode
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, TypedDict, Union

from spacy.tokens import Doc

from ..files import atomic_write
from ..graph.entities import Entities, Entity
from ..graph.places import passage
from ..relations import ID_KEY, Relation
from .colours import tone
from .document import Source, doc_of, each_source, selected
from .options import Options, read_options
from .style import fill
from .texts import markup, shown

_STATIC = Path(__file__).parent / "static"
# How many relations are drawn at once; more are in the table alone.
DRAWN = 3000

Place = Tuple[int, int]


class Found(TypedDict):
    """One place in the corpus that says a relation.

    doc (str): the document's id. text (int): index of the text around it. score (float): from 0 to 1.
    head (Place), tail (Place): character offsets in that text. support (int): index of what supported it, or -1.
    """

    doc: str
    text: int
    score: float
    head: Place
    tail: Place
    support: int


class EdgeData(TypedDict):
    """A relation between two entities of the corpus.

    head (int), tail (int): indexes of nodes. label (int): index of the label. score (float): the best of its places.
    both (bool): it holds in both directions. found (List[Found]): the places that say so, best first.
    """

    head: int
    tail: int
    label: int
    score: float
    both: bool
    found: List[Found]


class CorpusData(TypedDict):
    """What the page holds, as JSON.

    docs (int): how many documents there are. drawn (int): how many relations are drawn at once.
    nodes: entities, each with name, type, and id in a knowledge base. types, labels: names and colours.
    edges: the relations, best first. texts: what stands around mentions. support: what supported answers: retrieved
    examples, each with id, text, labels and score, and sentences.
    """

    docs: int
    drawn: int
    nodes: List[Tuple[str, str, str]]
    types: Dict[str, Tuple[str, str]]
    labels: List[Tuple[str, str, str]]
    edges: List[EdgeData]
    texts: List[str]
    support: List[Dict[str, Any]]


def corpus_page(
    docs: Union[Source, Iterable[Source]],
    path: Union[str, Path, None] = None,
    *,
    title: str = "Relations",
    options: Optional[Mapping[str, Any]] = None,
) -> str:
    """Make a page of a corpus: a graph of its entities and relations, a table, search, filters by label and score, and
    for each relation the sentences that say so with the evidence that was kept. It is one file, which needs no network.

    Entities of different documents are one as in `spacy_ragre.graph.build`.

    docs (Union[Doc, Span, Iterable[Union[Doc, Span]]]): the documents; they are read one at a time.
    path (Union[str, Path, None]): a file to write, which appears under its name only when it is whole.
    title (str): the page's title.
    options (Optional[Mapping[str, Any]]): `labels`, `min_score`, `symmetric`, `colors` and `spans_key`, as in `render`.
    RETURNS (str): the page. A ValueError is raised for an unknown option and for what is no document.
    """
    corpus = Corpus(read_options(options or {}, without=("width",)))
    for source in each_source(docs):
        corpus.add(source)
    html = fill_page(corpus.data(), title)
    if path is not None:
        with atomic_write(path) as stream:
            stream.write(html.encode("utf8"))
    return html


class Corpus:
    """Collects the relations of documents. options (Options): which of them, and in which colours."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._docs = 0
        self._nodes: Dict[str, int] = {}
        self._names: List[Tuple[str, str, str]] = []
        self._labels: Dict[str, int] = {}
        self._edges: Dict[Tuple[int, int, int], EdgeData] = {}
        self._texts: Dict[str, int] = {}
        self._support: Dict[str, int] = {}

    def add(self, source: Source) -> None:
        """source (Union[Doc, Span]): a document, or a part of one."""
        self._docs += 1
        selection = self._options.selection
        relations = selected(source, selection)
        if not relations:
            return
        doc = doc_of(source)
        name = shown(str(doc.user_data.get(ID_KEY) or f"document {self._docs}"))
        entities = Entities(doc, selection.spans_key)
        for relation in relations:
            head, tail = map(self._node, entities.ends(relation))
            both = relation.label in selection.symmetric
            if both and tail < head:
                head, tail = tail, head
            label = self._labels.setdefault(relation.label, len(self._labels))
            edge = self._edges.setdefault(
                (head, tail, label),
                {"head": head, "tail": tail, "label": label, "score": 0.0, "both": both, "found": []},
            )
            score = round(relation.score, 4)
            edge["score"] = max(edge["score"], score)
            text, first, second = passage(relation)
            edge["found"].append(
                {
                    "doc": name,
                    "text": self._texts.setdefault(text, len(self._texts)),
                    "score": score,
                    "head": first,
                    "tail": second,
                    "support": self._find_support(doc, relation),
                }
            )

    def _node(self, entity: Entity) -> int:
        place = self._nodes.setdefault(entity.id, len(self._nodes))
        if place == len(self._names):
            self._names.append((shown(entity.name), shown(entity.type), entity.kb_id))
        return place

    def _find_support(self, doc: Doc, relation: Relation) -> int:
        """RETURNS (int): index of what supported a relation; -1 for nothing that a page could show."""
        kept = support_of(doc, relation.evidence)
        return self._support.setdefault(json.dumps(kept), len(self._support)) if kept else -1

    def data(self) -> CorpusData:
        """RETURNS (CorpusData): what was collected, as plain data."""
        for edge in self._edges.values():
            edge["found"].sort(key=lambda place: -place["score"])
        types = {type_: self._tone(type_) for _, type_, _ in self._names}
        return {
            "docs": self._docs,
            "drawn": DRAWN,
            "nodes": self._names,
            "types": types,
            "labels": [(shown(label), *self._tone(label)) for label in self._labels],
            "edges": sorted(self._edges.values(), key=lambda edge: -edge["score"]),
            "texts": list(self._texts),
            "support": [json.loads(support) for support in self._support],
        }

    def _tone(self, name: str) -> Tuple[str, str]:
        own = self._options.colors.get(name)
        light, dark = (own, own) if own is not None else tone(name)
        return light, dark


def support_of(doc: Doc, evidence: Mapping[str, Any]) -> Dict[str, Any]:
    """What a page can show of what supported a relation.

    doc (Doc): the document. evidence (Mapping[str, Any]): the relation's.
    RETURNS (Dict[str, Any]): `examples` and the texts of `sentences`, where there are some.
    """
    kept: Dict[str, Any] = {}
    examples = evidence.get("examples")
    if isinstance(examples, list):
        kept["examples"] = [example for example in examples if isinstance(example, dict)]
    numbers = evidence.get("sentences")
    if isinstance(numbers, list) and doc.has_annotation("SENT_START"):
        sentences = list(doc.sents)
        inside = [number for number in numbers if isinstance(number, int) and 0 <= number < len(sentences)]
        kept["sentences"] = [sentences[number].text.strip() for number in inside]
    return {key: value for key, value in kept.items() if value}


def fill_page(data: CorpusData, title: str) -> str:
    """data (CorpusData): what the page holds. title (str): its title. RETURNS (str): the page."""
    scripts = {name: (_STATIC / file).read_text(encoding="utf8") for name, file in _SCRIPTS.items()}
    hashes = [b64encode(hashlib.sha256(text.encode("utf8")).digest()).decode("ascii") for text in scripts.values()]
    parts = {
        **scripts,
        "title": markup(title),
        "style": (_STATIC / "corpus.css").read_text(encoding="utf8"),
        "hashes": " ".join(f"'sha256-{value}'" for value in hashes),
        "data": embedded(data),
    }
    return fill(_STATIC / "corpus.html", parts)


_SCRIPTS = {"library": "force-graph.min.js", "script": "corpus.js"}


def embedded(data: object) -> str:
    """RETURNS (str): JSON that can stand in a script element: no text in it can end the element or begin another."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
