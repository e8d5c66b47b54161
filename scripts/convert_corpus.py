"""Convert one of the open corpora for the workflow `corpus`: its parts to .spacy files, and its labels with words.

    python scripts/convert_corpus.py fire assets corpus/fire

All but two of them are in the interchange format. ChemProt, in the form of SciBERT's repository, has one marked pair a
sentence, and does not say which of both is the chemical: its labels are symmetric. PHEE has events, whose words hold a
relation with each of their arguments; the parts of a discontinuous argument hold one each. Arguments are of the type
ARG, since a type would say the role. What is not kept is counted: words that say how severe, certain or negated an
event is, and which drugs were combined.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

PARTS = ("train", "dev", "test")
SPANS_KEY = "entities"
OWN_LABELS = Path(__file__).parents[1] / "configs" / "corpora"
_MARKS = re.compile(r"<< (?P<first>.+?) >>|\[\[ (?P<second>.+?) \]\]")
# Roles of PHEE that have a name in two places, or a short one.
_ROLES = {
    ("Treatment", "Disorder"): "Treatment_Disorder",
    ("Subject", "Disorder"): "Subject_Disorder",
    ("Treatment", "Freq"): "Frequency",
}
_NO_ROLES = ("Severity", "Speculated", "Negated", "Combination")

Records = Iterator[Dict[str, Any]]


def main(argv: Optional[List[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus")
    parser.add_argument("assets", type=Path, help="folder with relations/, chemprot/ and phee/")
    parser.add_argument("output", type=Path, help="folder for train.spacy, dev.spacy, test.spacy and labels.json")
    args = parser.parse_args(argv)
    try:
        convert_corpus(args.corpus, args.assets, args.output)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def convert_corpus(name: str, assets: Path, output: Path) -> None:
    """Convert the parts of a corpus and its labels.

    name (str): the corpus.
    assets (Path): the folder of all corpora.
    output (Path): the folder to write to.
    """
    from spacy_ragre.corpora import CorpusCounts, convert
    from spacy_ragre.corpora.files import write_json_lines
    from spacy_ragre.files import atomic_write

    with TemporaryDirectory() as folder:
        for part in PARTS:
            counts = CorpusCounts()
            if name in READERS:
                ending, read = READERS[name]
                source = Path(folder) / f"{part}.jsonl"
                write_json_lines(source, read(assets / name / f"{part}.{ending}", counts.dropped))
            else:
                source = assets / "relations" / f"{name}.{part}.jsonl"
            target = output / f"{part}.spacy"
            count = convert(source, target, "jsonl", spans_key=SPANS_KEY, split_tokens=True, counts=counts)
            print(f"{part}: {count} documents")
            for line in counts.lines():
                print(f"{part}: {line}")
    with atomic_write(output / "labels.json") as file:
        file.write((json.dumps(read_labels(name, assets), indent=2) + "\n").encode("utf8"))


def read_labels(name: str, assets: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the labels of a corpus with words; those whose definition says so are symmetric."""
    folder = OWN_LABELS if name in READERS else assets / "relations"
    labels: Dict[str, Any] = json.loads((folder / f"{name}.labels.json").read_text(encoding="utf8"))
    for spec in labels.values():
        spec["symmetric"] = spec.get("symmetric", "(symmetric)" in spec["definition"])
    return labels


def read_chemprot(path: Path, dropped: Counter[str]) -> Records:
    """YIELDS (Dict[str, Any]): the sentences of ChemProt, without the marks."""
    for number, data in enumerate(_lines(path), 1):
        spans: Dict[str, Tuple[int, int]] = {}
        text, end = "", 0
        for match in _MARKS.finditer(data["text"]):
            role = str(match.lastgroup)
            if role in spans:  # characters of the sentence
                continue
            text += data["text"][end : match.start()]
            spans[role] = (len(text), len(text) + len(match[role]))
            text += match[role]
            end = match.end()
        text += data["text"][end:]
        if len(spans) != 2:
            raise ValueError(f"{path}, line {number}: one << first >> and one [[ second ]] mention are wanted.")
        ents = [{"start": start, "end": stop, "label": "ENTITY"} for start, stop in spans.values()]
        relations = [{"head": 0, "tail": 1, "label": data["label"]}]
        yield {"id": f"{path.stem}-{number}", "text": text, "ents": ents, "relations": relations}


def read_phee(path: Path, dropped: Counter[str]) -> Records:
    """YIELDS (Dict[str, Any]): the sentences of PHEE."""
    for data in _lines(path):
        ents: List[Dict[str, Any]] = []
        relations: List[Dict[str, Any]] = []
        for event in (event for annotation in data["annotations"] for event in annotation["events"]):
            heads = list(_add(ents, event["Trigger"], event["event_type"]))
            for role, argument in _arguments(event, dropped):
                for tail in _add(ents, argument, "ARG"):
                    relations += [{"head": head, "tail": tail, "label": role} for head in heads]
        unique = {(item["head"], item["tail"], item["label"]): item for item in relations}
        places = [(ent["start"], ent["end"]) for ent in ents]
        kept = [item for item in unique.values() if places[item["head"]] != places[item["tail"]]]
        dropped["arguments that are the event's own words"] += len(unique) - len(kept)
        yield {"id": data["id"], "text": data["context"], "ents": ents, "relations": kept}


def _arguments(event: Dict[str, Any], dropped: Counter[str]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """YIELDS (Tuple[str, Dict[str, Any]]): the arguments of an event and their own parts, each with its role."""
    for role, argument in event.items():
        if not isinstance(argument, dict) or role == "Trigger":
            continue
        if role in _NO_ROLES:
            dropped[f"words of {role}"] += 1
            continue
        yield role, argument
        for name, part in argument.items():
            if name in _NO_ROLES:
                dropped[f"words of {name}"] += 1
            elif isinstance(part, dict):
                yield _ROLES.get((role, str(name)), str(name)), part


def _add(ents: List[Dict[str, Any]], argument: Dict[str, Any], label: str) -> Iterator[int]:
    """YIELDS (int): the index of each mention of an argument among the entities, which are added where they are new."""
    for texts, starts in zip(argument["text"], argument["start"]):
        for text, start in zip(texts, starts):
            ent = {"start": start, "end": start + len(text), "label": label}
            if ent not in ents:
                ents.append(ent)
            yield ents.index(ent)


def _lines(path: Path) -> Records:
    return (json.loads(line) for line in path.read_text(encoding="utf8").splitlines() if line.strip())


READERS: Dict[str, Tuple[str, Callable[[Path, Counter[str]], Records]]] = {
    "chemprot": ("txt", read_chemprot),
    "phee": ("json", read_phee),
}

if __name__ == "__main__":
    sys.exit(main())
