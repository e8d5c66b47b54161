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
    """

    documents: int = 0
    entities: int = 0
    relations: Counter[str] = field(default_factory=Counter)
    without_entities: int = 0
    without_relations: int = 0
    not_annotated: int = 0

    def counting(self, docs: Iterable[Doc], spans_key: Optional[str] = None) -> Iterator[Doc]:
        """docs (Iterable[Doc]): the documents.
        spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
        YIELDS (Doc): the same documents, which are counted.
        """
        for doc in docs:
            entities = len(entity_spans(doc, spans_key))
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
        found = [
            f"Entities: {self.entities} (documents without: {self.without_entities})",
            f"Relations: {total} (documents without: {self.without_relations}{unknown})",
        ]
        if total:
            found.append("By label: " + "; ".join(f"{label} {count}" for label, count in self.relations.most_common()))
        return found
