"""Numbered warnings of an extractor: what leaves it without relations or examples, and is no error. Each comes once."""

import warnings
from typing import Optional, Sequence, Set, Tuple

from spacy.tokens import Doc

from ...candidates import CandidateGenerator, needs_proposals
from ...entity_types import TypeRules
from ...errors import Errors, Warnings
from ...labels import LabelSet
from ...relations import ID_KEY, PAIRS_KEY, Relation, entity_spans, has_relations

# Characters of a document that a message shows.
_SHOWN = 40


class Advice:
    """Tells a component's user what is odd.

    name (str): the component's name.
    spans_key (Optional[str]): where its mentions are; None for `doc.ents`.
    candidates (Optional[CandidateGenerator]): which pairs it asks about, where that was set.
    """

    def __init__(self, name: str, spans_key: Optional[str], candidates: Optional[CandidateGenerator]) -> None:
        self.name = name
        self.spans_key = spans_key
        self.needs_proposals = candidates is not None and needs_proposals(candidates)
        self._given: Set[str] = set()

    def check_documents(self, docs: Sequence[Doc]) -> None:
        """Warn where no component before this one has written what it reads.

        docs (Sequence[Doc]): a batch to predict.
        """
        docs = [doc for doc in docs if len(doc)]
        if not docs:
            return
        if self.spans_key is not None:
            if all(self.spans_key not in doc.spans for doc in docs):
                known = ", ".join(sorted({repr(key) for doc in docs for key in doc.spans})) or "none"
                self._give("W513", Warnings.W513.format(name=self.name, key=self.spans_key, known=known))
        else:
            blind = next((doc for doc in docs if not doc.has_annotation("ENT_IOB")), None)
            if blind is not None:
                self._give("W512", Warnings.W512.format(name=self.name, text=blind.text[:_SHOWN]))
        if self.needs_proposals and all(PAIRS_KEY not in doc.user_data for doc in docs):
            self._give("W514", Warnings.W514.format(name=self.name))

    def check_types(self, labels: LabelSet, types: TypeRules, near: bool) -> None:
        """Warn where labels ask for entity types that nothing before this component finds, for a head or tail that may
        have none of the types that are found.

        labels (LabelSet): the labels.
        types (TypeRules): what is found.
        near (bool): whether other types may stand for those.
        """
        ends = [end for spec in labels.specs.values() for end in (spec.head_types, spec.tail_types)]
        if near:
            ends = [end for end in ends if types.unknown(end) == tuple(end)]
        else:
            ends = [end for end in ends if (types.given or frozenset()).isdisjoint(end)]
        missing = tuple(dict.fromkeys(type_ for end in ends for type_ in end))
        if missing:
            consequence = "They get none." if not near else "Names and phrases of other types stand for them."
            known = ", ".join(sorted(types.given or ())) or "none"
            shown = ", ".join(missing)
            message = Warnings.W641.format(name=self.name, types=shown, known=known, consequence=consequence)
            self._give(f"W641 {shown}", message)

    def unknown_pipeline(self) -> None:
        """Warn where it is not known which types the entities have that other types may stand for."""
        self._give("W644", Warnings.W644.format(name=self.name))

    def check_reader(self, lang: str, is_english: bool, codes: Sequence[str]) -> None:
        """Warn where the reader of open labels, before training, can't read the texts or the labels.

        lang (str): the pipeline's language; "xx" for several, which may be any.
        is_english (bool): whether its weights know English alone.
        codes (Sequence[str]): labels that have no words, and no examples.
        """
        if is_english and lang not in ("en", "xx", ""):
            self._give("W665", Warnings.W665.format(name=self.name, lang=lang))
        if codes:
            shown = ", ".join(map(repr, codes[:5]))
            self._give(f"W666 {shown}", Warnings.W666.format(name=self.name, labels=shown, first=codes[0]))

    def check_examples(self, one_sided: Optional[bool], count: int) -> None:
        """Warn where all examples in the store are of one kind.

        one_sided (Optional[bool]): True where all hold a relation, False where none does, None for both kinds.
        count (int): number of examples.
        """
        if one_sided is None:
            return
        what, missing = "hold a relation", "without relation"
        if not one_sided:
            what, missing = "hold no relation", "with one"
        self._give("W511", Warnings.W511.format(name=self.name, count=count, what=what, missing=missing))

    def check_retriever(self, k: int, default: int, n_examples: int) -> None:
        """Warn of a retriever's own k, which components do not use.

        k (int): the setting.
        default (int): what it is where nobody set it.
        n_examples (int): what is used instead.
        """
        if k != default:
            self._give("W515", Warnings.W515.format(name=self.name, k=k, n_examples=n_examples))

    def lost_relations(self, lost: Sequence[Tuple[Doc, Relation]]) -> None:
        """Warn of gold relations that can't be learned, each time.

        lost (Sequence[Tuple[Doc, Relation]]): the relations, each with its document.
        """
        if not lost:
            return
        doc, first = lost[0]
        mentions = {(span.start, span.end) for span in entity_spans(doc, self.spans_key)}
        apart = [end for end in (first.head, first.tail) if (end.start, end.end) not in mentions]
        message = Warnings.W510.format(
            name=self.name,
            count=len(lost),
            id=doc.user_data.get(ID_KEY) or doc.text[:_SHOWN],
            head=first.head.text,
            label=first.label,
            tail=first.tail.text,
            problem=f"{apart[0].text!r} is no entity" if apart else "the candidates do not reach it",
        )
        warnings.warn(message, stacklevel=4)

    def _give(self, code: str, message: str) -> None:
        if code not in self._given:
            self._given.add(code)
            warnings.warn(message, stacklevel=5)


def explain_no_pairs(name: str, docs: Sequence[Doc], spans_key: Optional[str], candidates: CandidateGenerator) -> str:
    """Tells types which exclude all pairs from documents without pairs.

    name (str): the component's name.
    docs (Sequence[Doc]): annotated documents of which no pair is left.
    spans_key (Optional[str]): where their mentions are; None for `doc.ents`.
    candidates (CandidateGenerator): which pairs are asked about, before types are looked at.
    RETURNS (str): the message.
    """
    annotated = [doc for doc in docs if has_relations(doc)]
    pairs = [pair.instance for doc in annotated for pair in candidates(doc, entity_spans(doc, spans_key))]
    if not pairs:
        return Errors.R506.format(name=name, annotated=len(annotated), total=len(docs))
    types = sorted({f"{pair.first_type or '-'} and {pair.second_type or '-'}" for pair in pairs})
    return Errors.R551.format(name=name, count=len(pairs), types=", ".join(types))
