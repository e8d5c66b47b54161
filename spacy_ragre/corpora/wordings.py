"""Other wordings of relation labels, as readable source files: the ways in which people write a label.

A file has the labels of one source. `# schema: NAME` stands above those of a schema, and each label has a line:

    acquired | acquisition; company bought | takes over; buys up | buyer of; owner of | Buyer-Target | who was bought

that is its name, nouns for what the tail is to the head, verb phrases from head to tail, short labels, the roles of
head and tail, and a definition. `corpora_src/wordings/README.md` tells more of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ..errors import Errors
from .files import Problems, existing_path, read_lines

# How many phrases a label has in each style that has several.
PHRASES = 2
_SCHEMA = "# schema:"
_PARTS = ("name", "nouns", "verb phrases", "short labels", "roles", "definition")


@dataclass(frozen=True)
class Wordings:
    """Other wordings of a label.

    nouns (Tuple[str, ...]): what the tail is to the head: "founder".
    verbs (Tuple[str, ...]): verb phrases that read between head and tail: "owes its existence to".
    shorts (Tuple[str, ...]): labels as a programmer writes them, from head to tail: "founded by".
    roles (str): the roles of head and tail with one hyphen between them: "Company-Founder".
    definition (str): what decides, in another manner than the label's own definition.
    """

    nouns: Tuple[str, ...]
    verbs: Tuple[str, ...]
    shorts: Tuple[str, ...]
    roles: str
    definition: str


# By schema and name of the label.
SchemaWordings = Dict[str, Dict[str, Wordings]]


def read_wordings(path: Union[str, Path], problems: Optional[Problems] = None) -> SchemaWordings:
    """Read and check a file.

    path (Union[str, Path]): the file.
    problems (Optional[Problems]): gets everything that is wrong; lines that can't be read are left out. Without it a
        ValueError is raised that tells all.
    RETURNS (SchemaWordings): the wordings of its labels.
    """
    path = existing_path(path)
    found = Problems(path) if problems is None else problems
    out: SchemaWordings = {}
    labels: Optional[Dict[str, Wordings]] = None
    for number, line in read_lines(path, found):
        line = line.strip()
        messages: List[str] = []
        if line.startswith(_SCHEMA):
            name = line[len(_SCHEMA) :].strip()
            if name in out:
                messages.append(f"the schema {name!r} stands twice")
            labels = out.setdefault(name, {})
        elif not line or line.startswith("#"):
            continue
        elif labels is None:
            messages.append(f"no '{_SCHEMA} NAME' stands above it")
        else:
            read = _parse(line, messages)
            if read is not None and read[0] in labels:
                messages.append(f"the label {read[0]!r} stands twice")
            elif read is not None:
                labels[read[0]] = read[1]
        for message in messages:
            found.add(number, Errors.R358.format(problem=message))
    if problems is None:
        found.raise_any()
    return out


def check_labels(wordings: SchemaWordings, labels: Mapping[str, Sequence[str]], problems: Problems) -> None:
    """Compare with the labels that the source has.

    wordings (SchemaWordings): what `read_wordings` gave.
    labels (Mapping[str, Sequence[str]]): the names of the source's labels, by schema.
    problems (Problems): gets labels without wordings, and wordings of labels that are not there.
    """
    for schema in sorted({*wordings, *labels}):
        have, want = set(wordings.get(schema, ())), set(labels.get(schema, ()))
        for names, problem in ((want - have, "have no wordings"), (have - want, "are not among its labels")):
            if names:
                shown = ", ".join(sorted(names))
                problems.add(f"schema {schema}", Errors.R359.format(problem=problem, names=shown))


def _parse(line: str, messages: List[str]) -> Optional[Tuple[str, Wordings]]:
    """A label's line. RETURNS: its name and wordings; None where the line can't be read, and `messages` says why."""
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != len(_PARTS):
        messages.append(f"it has {len(parts)} parts between bars, and {len(_PARTS)} are needed")
        return None
    messages += [f"it has no {what}" for what, part in zip(_PARTS, parts) if not part]
    nouns, verbs, shorts = (tuple(phrase.strip() for phrase in part.split(";")) for part in parts[1:4])
    for what, phrases in zip(_PARTS[1:4], (nouns, verbs, shorts)):
        kinds = {phrase.lower() for phrase in phrases if phrase}
        if len(kinds) != PHRASES or len(phrases) != PHRASES:
            messages.append(f"its {what} are {', '.join(phrases)!r}, and {PHRASES} different ones are needed")
    roles = [role.strip() for role in parts[4].split("-")]
    if len(roles) != 2 or not all(roles):
        messages.append(f"its roles are {parts[4]!r}, and two with one hyphen between them are needed")
    return parts[0], Wordings(nouns, verbs, shorts, parts[4], parts[5])
