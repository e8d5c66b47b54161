"""What a corpus holds, counted while it is converted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, Iterator, List, Optional

from spacy.tokens import Doc

from ..relations import entity_spans, has_relations, relations_key


@dataclass
class CorpusCounts:
    """Counts of documents that went by.

    documents (int): all documents.
    entities (int): their mentions.
    relations (Counter[str]): their relations, by label.
    without_entities (int): documents that have no entities.
    without_relations (int): documents that have no relations.
    not_annotated (int): those of them of which it is not known whether they hold any.
    format (str): the format, where it was found from the content.
    dropped (Counter[str]): what a format holds and documents can't keep, in words ("notes").
    split_tokens (int): tokens that were cut where an entity begins or ends inside one.
    overlapping (int): documents in which entities overlap.
    spans_key (Optional[str]): where all entities are kept because of them.
    """

    documents: int = 0
    entities: int = 0
    relations: Counter[str] = field(default_factory=Counter)
    without_entities: int = 0
    without_relations: int = 0
    not_annotated: int = 0
    format: str = ""
    dropped: Counter[str] = field(default_factory=Counter)
    split_tokens: int = 0
    overlapping: int = 0
    spans_key: Optional[str] = None

    def counting(self, docs: Iterable[Doc], spans_key: Optional[str] = None) -> Iterator[Doc]:
        """docs (Iterable[Doc]): the documents.
        spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
        YIELDS (Doc): the same documents, which are counted.
        """
        for doc in docs:
            entities = len(entity_spans(doc, spans_key or self.spans_key))
            labels = [item["label"] for item in doc.user_data.get(relations_key(), ())]
            self.documents += 1
            self.entities += entities
            self.relations.update(labels)
            self.without_entities += not entities
            self.without_relations += not labels
            self.not_annotated += not has_relations(doc)
            yield doc

    def lines(self) -> List[str]:
        """RETURNS (List[str]): the counts for a reader, without the number of documents."""
        unknown = f", {self.not_annotated} of them not annotated for relations" if self.not_annotated else ""
        total = sum(self.relations.values())
        found = [f"Format: {self.format}, found from what the corpus holds"] if self.format else []
        found += [
            f"Entities: {self.entities} (documents without: {self.without_entities})",
            f"Relations: {total} (documents without: {self.without_relations}{unknown})",
        ]
        if total:
            found.append("By label: " + "; ".join(f"{label} {count}" for label, count in self.relations.most_common()))
        if self.split_tokens:
            found.append(f"Split tokens: {self.split_tokens}, where an entity begins or ends inside of one")
        if self.overlapping:
            found.append(f"Overlapping entities: in {self.overlapping} documents{self._where()}")
        dropped = self.dropped_items()
        return found + (["Left out: " + "; ".join(dropped)] if dropped else [])

    def dropped_items(self) -> List[str]:
        """RETURNS (List[str]): what could not be kept, with how often, for a reader."""
        return [f"{what} {count}" for what, count in self.dropped.most_common() if count]

    def _where(self) -> str:
        if self.spans_key is None:
            return ""
        return f"; all entities are in doc.spans[{self.spans_key!r}] (spans_key), and doc.ents has the longer ones"
