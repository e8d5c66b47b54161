"""Documents on their way through a pipeline, each with its place, and those that could not be read or processed."""

import json
from typing import TYPE_CHECKING, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union

from ..pipelines import set_error_handler

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# In `doc.user_data` while a document is in the pipeline: its number in this run, from 0.
_NUMBER = "ragre.number"


class LeftOut(NamedTuple):
    """A document that could not be read or processed.

    place (str): where it stands: "line 3" or "document 3".
    reasons (List[str]): why it was left out.
    id (str): its id, or "" where it has none.
    text (str): its text or, where it could not be read, what stands there; "" where that is no text.
    """

    place: str
    reasons: List[str]
    id: str = ""
    text: str = ""

    def to_dict(self) -> Dict[str, object]:
        """RETURNS (Dict[str, object]): what is written to a file of documents that were left out."""
        data: Dict[str, object] = {"place": self.place, "reasons": self.reasons}
        return {**data, **({"id": self.id} if self.id else {}), **({"text": self.text} if self.text else {})}


class Item(NamedTuple):
    """One document of the input, or why there is none.

    place (str): where it stands: "line 3" or "document 3".
    content (Union[Doc, LeftOut]): the document, without relations.
    plain (bool): True where nothing but its text is known.
    """

    place: str
    content: "Union[Doc, LeftOut]"
    plain: bool = False


def to_line(data: Mapping[str, object]) -> bytes:
    """RETURNS (bytes): a line of JSON in UTF-8. Halves of surrogate pairs are written as JSON's escapes, which is how
    Python shows them.
    """
    return (json.dumps(data, ensure_ascii=False) + "\n").encode("utf8", "backslashreplace")


class Run:
    """The documents of an input on their way through a pipeline.

    nlp (Language): the pipeline.
    items (Iterator[Item]): the input.
    spans_key (Optional[str]): where the entities are.
    batch_size (Optional[int]): documents of a batch.
    skip (bool): go on after a document that fails; else its error is raised.
    """

    def __init__(
        self,
        nlp: "Language",
        items: Iterator[Item],
        spans_key: Optional[str],
        batch_size: Optional[int],
        skip: bool,
    ) -> None:
        self.nlp = nlp
        self.items = items
        self.spans_key = spans_key
        self.batch_size = batch_size
        self.skip = skip
        self.count = 0
        self._waiting: Dict[int, Item] = {}

    def results(self) -> Iterator[Item]:
        """YIELDS (Item): for each document of the input, in order, what the pipeline made of it, or why nothing."""
        if self.skip:
            set_error_handler(self.nlp, self._note)
        done = 0
        for doc in self.nlp.pipe(self._docs(), batch_size=self.batch_size):
            number = doc.user_data.pop(_NUMBER)
            # The order is kept, so that those before it that did not come out have failed.
            for lost in range(done, number):
                yield self._lost(lost)
            yield self._waiting.pop(number)._replace(content=doc)
            done = number + 1
        for lost in range(done, self.count):
            yield self._lost(lost)

    def dicts(self) -> "Iterator[Dict[str, object] | LeftOut]":
        """YIELDS (Union[Dict[str, object], LeftOut]): the same in the interchange format."""
        for item in self.results():
            yield self.to_dict(item)

    def to_dict(self, item: Item) -> "Dict[str, object] | LeftOut":
        """item (Item): what `results` gave for a document.
        RETURNS (Union[Dict[str, object], LeftOut]): the same in the interchange format.
        """
        from ..corpora import doc_to_dict

        if isinstance(item.content, LeftOut):
            return item.content
        try:
            return doc_to_dict(item.content, spans_key=self.spans_key)
        except ValueError as error:
            if not self.skip:
                raise
            return left_out(item.place, item.content, error)

    def _docs(self) -> "Iterator[Doc]":
        for item in self.items:
            number, self.count = self.count, self.count + 1
            self._waiting[number] = item
            if not isinstance(item.content, LeftOut):
                item.content.user_data[_NUMBER] = number
                yield item.content

    def _lost(self, number: int) -> Item:
        item = self._waiting.pop(number)
        if isinstance(item.content, LeftOut):
            return item
        # A component dropped it, without an error.
        return item._replace(content=LeftOut(item.place, ["a component gave no document back"], "", item.content.text))

    def _note(self, name: str, component: object, docs: "List[Doc]", error: Exception) -> None:
        for doc in docs:
            item = self._waiting[doc.user_data[_NUMBER]]
            content = left_out(item.place, doc, error, f"{name}: ")
            self._waiting[doc.user_data[_NUMBER]] = item._replace(content=content)


def left_out(place: str, doc: "Doc", error: Exception, where: str = "") -> LeftOut:
    """place (str): where the document stands.
    doc (Doc): a document that failed.
    error (Exception): why.
    where (str): what it failed in, such as "parser: ".
    RETURNS (LeftOut): what is told of it.
    """
    from ..relations import ID_KEY

    reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return LeftOut(place, [where + reason.strip()], str(doc.user_data.get(ID_KEY, "")), doc.text)
