"""TACRED and its revisions TACREV and Re-TACRED: one pair of a sentence, subject and object, in their official JSON.

Zhang et al. 2017, https://aclanthology.org/D17-1004; Alt et al. 2020, https://aclanthology.org/2020.acl-main.142;
Stoica et al. 2021, https://arxiv.org/abs/2104.08398. The file is one JSON list. A record has `id`, `token`,
`subj_start`, `subj_end`, `obj_start`, `obj_end` (token indexes, ends inclusive), `subj_type`, `obj_type` and
`relation`, which is "no_relation" for none.

The revisions are patches, since TACRED itself needs a licence. TACREV's is a list of records with `id` and `relation`:
those of the file get the new relation, all others stay. Re-TACRED's is an object with an id's relation: records that it
does not name were taken out.
"""

import json
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..errors import Errors
from ..labels import NO_RELATION
from .counts import CorpusCounts
from .files import OnError, Problems, decode, existing_path, write_json
from .parse import WORDS, Checker, is_int, is_name, is_text, is_words
from .records import Format, Record, Sample, from_records, json_records, unless_wrong
from .tokens import get_nlp
from .writing import tell_spaces, to_pairs, to_words, unique_names

WANTED = "id, token, subj_start, subj_end, subj_type, obj_start, obj_end, obj_type and relation"

# How many ids a message shows.
_SHOWN = 5
_OFFSETS = {"subj_start", "subj_end", "obj_start", "obj_end"}
_TAKEN_OUT = "records that the patch takes out"

#: For LabelSet: the words between subject and object for each relation of TACRED and of Re-TACRED.
TACRED_WORDS: Dict[str, str] = {
    "org:alternate_names": "is also called",
    "org:city_of_branch": "has a branch in the city",
    "org:city_of_headquarters": "has its headquarters in the city",
    "org:country_of_branch": "has a branch in the country",
    "org:country_of_headquarters": "has its headquarters in the country",
    "org:dissolved": "was dissolved in",
    "org:founded": "was founded in",
    "org:founded_by": "was founded by",
    "org:member_of": "is a member of",
    "org:members": "has the member",
    "org:number_of_employees/members": "has so many employees or members:",
    "org:parents": "is owned by",
    "org:political/religious_affiliation": "is affiliated with",
    "org:shareholders": "has the shareholder",
    "org:stateorprovince_of_branch": "has a branch in the state or province",
    "org:stateorprovince_of_headquarters": "has its headquarters in the state or province",
    "org:subsidiaries": "owns",
    "org:top_members/employees": "is led by",
    "org:website": "has the website",
    "per:age": "has the age",
    "per:alternate_names": "is also known as",
    "per:cause_of_death": "died of",
    "per:charges": "was charged with",
    "per:children": "is a parent of",
    "per:cities_of_residence": "lives in the city",
    "per:city_of_birth": "was born in the city",
    "per:city_of_death": "died in the city",
    "per:countries_of_residence": "lives in the country",
    "per:country_of_birth": "was born in the country",
    "per:country_of_death": "died in the country",
    "per:date_of_birth": "was born on",
    "per:date_of_death": "died on",
    "per:employee_of": "works for",
    "per:identity": "is the same person as",
    "per:origin": "has the nationality or origin",
    "per:other_family": "is a relative of",
    "per:parents": "is a child of",
    "per:religion": "has the religion",
    "per:schools_attended": "attended the school",
    "per:siblings": "is a sibling of",
    "per:spouse": "is married to",
    "per:stateorprovince_of_birth": "was born in the state or province",
    "per:stateorprovince_of_death": "died in the state or province",
    "per:stateorprovinces_of_residence": "lives in the state or province",
    "per:title": "has the title",
}


class TacredPatch(NamedTuple):
    """The relations that a revision gives to records.

    path (Path): where it was read.
    labels (Dict[str, str]): relations by id.
    only (bool): True where records that it does not name are left out, as in Re-TACRED.
    """

    path: Path
    labels: Dict[str, str]
    only: bool


def read_tacred(
    path: Union[str, Path],
    nlp: Union[Language, Vocab, None] = None,
    *,
    patch: Union[str, Path, None] = None,
    spans_key: Optional[str] = None,
    on_error: Optional[OnError] = None,
    counts: Optional[CorpusCounts] = None,
) -> Iterator[Doc]:
    """Read a file of TACRED, with the tokens that it gives, a space after each.

    Subject and object are the two clusters of `doc._.entity_clusters`, in this order, and `doc._.candidate_pairs` asks
    about them, so that the candidates `ragre.Proposed.v1` and the official score know which is which where there is no
    relation. Both are in `doc.ents`, too; where they overlap in any record, in `doc.spans["entities"]`, and the longer
    one in `doc.ents`. The record's id is in `doc.user_data[ID_KEY]`.

    Problems of the file are gathered and raised before the first document comes.

    path (Union[str, Path]): the file.
    nlp (Union[Language, Vocab, None]): its Vocab is used.
    patch (Union[str, Path, None]): the patch of TACREV or Re-TACRED for this file.
    spans_key (Optional[str]): keep subject and object in `doc.spans[spans_key]` instead of `doc.ents`.
    on_error (Optional[OnError]): is given the place of a record that can't be read ("line 3"), the record as JSON and
        what is wrong with it; those after it are read all the same, also where the patch has ids that are not in the
        file. Errors are raised where None.
    counts (Optional[CorpusCounts]): where the records that Re-TACRED takes out are counted.
    YIELDS (Doc): the documents.
    """
    known = None if patch is None else read_tacred_patch(patch)
    read = from_records(partial(_read_records, patch=known))
    for doc in read(existing_path(path), get_nlp(nlp), spans_key=spans_key, on_error=on_error, counts=counts):
        doc._.candidate_pairs = [(0, 1)]
        yield doc


def read_tacred_patch(path: Union[str, Path]) -> TacredPatch:
    """Read the patch of TACREV ("dev_patch.json") or of Re-TACRED ("dev_id2label.json"); its content tells which.

    path (Union[str, Path]): the file. A ValueError is raised where it is neither, or has ids twice.
    RETURNS (TacredPatch): the patch.
    """
    path = existing_path(path)
    # The pairs of an object, since a dict would hide an id that stands there twice.
    try:
        data = json.loads(decode(path.read_bytes(), path), object_pairs_hook=tuple)
    except (json.JSONDecodeError, RecursionError) as err:
        raise ValueError(Errors.R371.format(path=path, problem=err)) from err
    only = isinstance(data, tuple)
    items: List[Tuple[Any, Any]] = list(data) if isinstance(data, tuple) else []
    for i, item in enumerate(data if isinstance(data, list) else ()):
        fields = dict(item) if isinstance(item, tuple) else {}
        if not {"id", "relation"} <= fields.keys():
            raise ValueError(Errors.R371.format(path=path, problem=f"item {i} has no id and relation"))
        items.append((fields["id"], fields["relation"]))
    wrong = [item for item in items if not all(isinstance(text, str) and text for text in item)]
    if wrong or not items:
        problem = f"{wrong[0][0]!r} has the relation {wrong[0][1]!r}" if wrong else "it names no record"
        raise ValueError(Errors.R371.format(path=path, problem=problem))
    again = [id_ for id_, count in Counter(id_ for id_, _ in items).items() if count > 1]
    if again:
        problem = f"{len(again)} of its ids stand there more than once, such as {', '.join(again[:_SHOWN])}"
        raise ValueError(Errors.R371.format(path=path, problem=problem))
    return TacredPatch(path, dict(items), only)


def _read_records(path: Path, problems: Problems, patch: Optional[TacredPatch]) -> Iterator[Record]:
    seen = set()
    for place, raw, data in json_records(path, problems, _may_be_mine, WANTED):
        seen.add(str(data["id"]))
        yield from unless_wrong(place, raw, problems, partial(_record, place, raw, data, patch))
    missing = [] if patch is None else [id_ for id_ in patch.labels if id_ not in seen]
    if patch is not None and missing:
        told = Errors.R372.format(
            patch=patch.path, count=len(missing), total=len(patch.labels), shown=", ".join(missing[:_SHOWN])
        )
        problems.add("the patch", told, record=patch.path.name)


def _record(
    place: str, raw: str, data: Dict[str, Any], patch: Optional[TacredPatch], messages: List[str]
) -> Optional[Record]:
    """A record of the file, or None where it is not whole; `messages` then says why."""
    check = Checker(messages)
    id_ = check.get(data, "id", "the record", is_name, "a string that is not empty")
    words = check.get(data, "token", "the record", is_words, WORDS)
    label = check.get(data, "relation", "the record", is_name, f"a string that is not empty ({NO_RELATION!r} for none)")
    mentions = [_mention(data, role, words, check) for role in ("subj", "obj")]
    if not messages and mentions[0][:2] == mentions[1][:2]:
        messages.append(Errors.R373.format(id=id_, start=mentions[0][0], end=mentions[0][1] - 1))
    if messages:
        return None
    if patch is not None and patch.only and id_ not in patch.labels:
        return Record(place, raw, dropped=Counter({_TAKEN_OUT: 1}))
    label = label if patch is None else patch.labels.get(id_, label)
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    ents = [{"start": starts[start], "end": starts[end] - 1, "label": type_} for start, end, type_ in mentions]
    relations = [] if label == NO_RELATION else [{"head": 0, "tail": 1, "label": label}]
    content = {"id": id_, "text": " ".join(words), "ents": ents, "relations": relations}
    return Record(place, raw, content, words=words, clusters=[[0], [1]])


def _mention(data: Dict[str, Any], role: str, words: Optional[List[str]], check: Checker) -> Tuple[int, int, str]:
    """RETURNS (Tuple[int, int, str]): token offsets, end exclusive, and type; of no use where something was noted."""
    start, end = (
        check.get(data, f"{role}_{side}", "the record", is_int, "a whole number") for side in ("start", "end")
    )
    type_ = check.get(data, f"{role}_type", "the record", is_text, "a string")
    if start is None or end is None or words is None or type_ is None:
        return (0, 0, "")
    if not 0 <= start <= end < len(words):
        check.messages.append(Errors.R374.format(role=role, start=start, end=end, count=len(words)))
    return (start, end + 1, type_)


def _may_be_mine(data: Dict[str, Any]) -> bool:
    return bool({"id", "token"} <= data.keys() and _OFFSETS & data.keys())


def _matches(sample: Sample) -> bool:
    return sample.has_object(_may_be_mine)


def write_tacred(
    docs: Iterable[Doc],
    path: Union[str, Path],
    *,
    spans_key: Optional[str] = None,
    dropped: Counter[str],
    **settings: Any,
) -> int:
    """Write a record for each pair that holds a relation, and for the only pair of a document. The file appears under
    its name only when it is whole.

    docs (Iterable[Doc]): the documents.
    path (Union[str, Path]): the file to write.
    spans_key (Optional[str]): take the entities from `doc.spans[spans_key]` instead of `doc.ents`.
    dropped (Counter[str]): what the format can't hold is counted here.
    RETURNS (int): how many documents were written.
    """
    records: List[Dict[str, Any]] = []
    count = 0
    for name, doc, data in unique_names(docs, spans_key, dropped, ("clusters",)):
        words, places = to_words(doc, data, dropped)
        clusters = data.pop("clusters", [])
        # Subject and object, as `read_tacred` leaves them.
        given = (clusters[0][0], clusters[1][0]) if list(map(len, clusters)) == [1, 1] else None
        dropped["entity clusters"] += 0 if given else len(clusters)
        pairs = to_pairs(data, dropped, given)
        tell_spaces(" ".join(words) if pairs else doc.text, doc.text, dropped)
        count += bool(pairs)
        for number, (head, tail, label) in enumerate(pairs, 1):
            id_ = name if len(pairs) == 1 else f"{name}-{number}"
            record: Dict[str, Any] = {"id": id_, "relation": label or NO_RELATION, "token": words}
            for role, i in (("subj", head), ("obj", tail)):
                start, end = places[i]
                record[f"{role}_start"], record[f"{role}_end"] = start, end - 1
                record[f"{role}_type"] = data["ents"][i]["label"]
            records.append(record)
    write_json(path, records)
    return count


TACRED = Format(
    "tacred",
    "TACRED, JSON",
    _matches,
    lambda path, nlp, patch, spans_key, on_error, counts, **settings: read_tacred(
        path, nlp, patch=patch, spans_key=spans_key, on_error=on_error, counts=counts
    ),
    write_tacred,
)
