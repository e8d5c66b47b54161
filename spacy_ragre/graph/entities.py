"""Which entity of the graph a mention names: by cluster, then by an id of a knowledge base, else by name and type."""

import re
import unicodedata
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from spacy.tokens import Doc, Span

from ..plain import id_parts
from ..relations import CLUSTERS_KEY, Relation, cluster_entities, entity_spans

_NIL = ("", "NIL")
# Characters that XML, a line of a file or a terminal can't have, and "%", by which they are written.
_UNSAFE = re.compile("[%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


class Entity(NamedTuple):
    """What one document says of an entity.

    id (str): of its node.
    name (str): the mention that names it best.
    kb_id (str): its id in a knowledge base, or "".
    types (Dict[str, int]), mentions (Dict[str, int]): entity types and texts of its mentions, with how often each
        stands there. Pronouns and such, which have no type, are left out where another mention has one.
    """

    id: str
    name: str
    kb_id: str
    types: Dict[str, int]
    mentions: Dict[str, int]

    @property
    def type(self) -> str:
        """RETURNS (str): its most frequent entity type, "" where it has none."""
        return first(self.types)


class Entities:
    """The entities of a document.

    doc (Doc): the document.
    spans_key (Optional[str]): mentions are in `doc.spans[spans_key]` instead of `doc.ents`.
    """

    def __init__(self, doc: Doc, spans_key: Optional[str] = None) -> None:
        spans = entity_spans(doc, spans_key)
        # Clusters that were set, and relations, hold offsets and types alone.
        self._linked = {_place(span): span for span in spans}
        self._clusters: List[Entity] = []
        self._by_place: Dict[Tuple[int, int], Entity] = {}
        for cluster in cluster_entities(doc, spans):
            self._add(cluster)
        # Relations name clusters that were set, or those of doc.ents.
        self._named = len(self._clusters) if spans_key is None or CLUSTERS_KEY in doc.user_data else 0

    @property
    def all(self) -> List[Entity]:
        """RETURNS (List[Entity]): the entities, in the order of the text. One node may have several."""
        return self._clusters

    def ends(self, relation: Relation) -> Tuple[Entity, Entity]:
        """RETURNS (Tuple[Entity, Entity]): the entities of a relation's head and tail."""
        head = self._find(relation.head, relation.head_cluster)
        return head, self._find(relation.tail, relation.tail_cluster)

    def _find(self, span: Span, cluster: Optional[int]) -> Entity:
        # First the cluster, since a mention may be in several.
        if cluster is not None and cluster < self._named:
            return self._clusters[cluster]
        return self._by_place.get(_place(span)) or self._add([span])

    def _add(self, cluster: Sequence[Span]) -> Entity:
        entity = _entity([self._linked.get(_place(span), span) for span in cluster])
        self._clusters.append(entity)
        for span in cluster:
            self._by_place.setdefault(_place(span), entity)
        return entity


def _place(span: Span) -> Tuple[int, int]:
    return (span.start_char, span.end_char)


def _entity(cluster: Sequence[Span]) -> Entity:
    spans = [span for span in cluster if span.label_] or list(cluster)
    mentions = Counter(" ".join(span.text.split()) for span in spans)
    types = Counter(span.label_ for span in spans if span.label_)
    ids = Counter(span.ent_id_ for span in cluster if span.ent_id_)
    name, kb_id = _best_name(mentions), _shared_id([span.kb_id_ for span in cluster if span.kb_id_ not in _NIL])
    if kb_id:
        node = f"kb:{_safe(kb_id)}"
    elif ids:
        node = f"id:{_safe(first(ids))}"
    else:
        node = f"name:{_safe(first(types)).replace(':', '%3A')}:{_safe(normal_name(name))}"
    return Entity(node, name, kb_id, dict(types), dict(mentions))


def first(counts: Dict[str, int]) -> str:
    """RETURNS (str): the most frequent one, of several the first in the order of their characters; "" of none."""
    return min(counts, key=lambda text: (-counts[text], text), default="")


def _shared_id(kb_ids: Sequence[str]) -> str:
    """RETURNS (str): the id that most mentions have, alone or beside others ("D1|D2"); of several such, one that is the
    whole of a mention's comes first; "" of none.
    """
    counts = Counter(part for kb_id in kb_ids for part in {kb_id, *id_parts(kb_id)}.difference(_NIL))
    return min(counts, key=lambda part: (-counts[part], part not in kb_ids, part), default="")


def _best_name(mentions: Dict[str, int]) -> str:
    # "Curie" may be any Curie in another document, and "WHO" is told by its full name.
    full = {text: count for text, count in mentions.items() if " " in text}
    return first(full or mentions)


def normal_name(name: str) -> str:
    """RETURNS (str): a name as it is compared: without regard to case, width and invisible characters, and without an
    article before or a possessive behind it.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = "".join(char for char in text if char.isspace() or unicodedata.category(char) not in ("Cc", "Cf"))
    text = re.sub(r"['’]s$", "", " ".join(text.split())).removeprefix("the ")
    return text or name


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf8", "surrogatepass")), text)
