"""What the scripts of all peers share. They run in environments without this package's requirements.

A script is called as `python -m benchmarks.peers.NAME TRAIN.jsonl TEST.jsonl OUT.json --seed 0`. A line of the first
two is a sentence: `{"id": "1", "text": "...", "nominals": [[4, 9], [21, 26]], "label": "Cause-Effect(e1,e2)"}`, with
offsets of characters, end exclusive. OUT.json gets the labels that are predicted for the test sentences, in their
order, seconds of the process's own time, and its most memory in MiB.
"""

import argparse
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

OTHER = "Other"


@dataclass(frozen=True)
class Sentence:
    """A sentence with two nominals.

    nominals (Sequence[Tuple[int, int]]): character offsets, in the order of the text.
    label (str): such as "Cause-Effect(e2,e1)", or "Other".
    """

    id: str
    text: str
    nominals: Sequence[Tuple[int, int]]
    label: str

    @property
    def parts(self) -> List[str]:
        """RETURNS (List[str]): the text before, in, between, in and after the nominals; all of it, in order."""
        (a, b), (c, d) = self.nominals
        return [self.text[:a], self.text[a:b], self.text[b:c], self.text[c:d], self.text[d:]]

    def marked(self, first: Tuple[str, str], second: Tuple[str, str]) -> str:
        """RETURNS (str): the text with marks around the nominals."""
        before, one, between, two, after = self.parts
        return f"{before}{first[0]} {one} {first[1]}{between}{second[0]} {two} {second[1]}{after}"


# Takes the test sentences, and gives a label for each.
Predict = Callable[[Sequence[Sentence]], List[str]]
# Takes the training sentences and the command line, and gives what predicts.
Fit = Callable[[List[Sentence], argparse.Namespace], Predict]


def read(path: Path) -> List[Sentence]:
    """RETURNS (List[Sentence]): the sentences of a file."""
    lines = path.read_text(encoding="utf8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [Sentence(row["id"], row["text"], [tuple(n) for n in row["nominals"]], row["label"]) for row in rows]


def make_parser(about: Optional[str]) -> argparse.ArgumentParser:
    """RETURNS (argparse.ArgumentParser): the options that all scripts have."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def run(args: argparse.Namespace, fit: Fit) -> None:
    """Train on the one file, predict the other, and write what came out.

    args (argparse.Namespace): of `make_parser`, and what the script added to it.
    fit (Callable[[List[Sentence], argparse.Namespace], Predict]): trains.
    """
    test = read(args.test)
    started = time.process_time()
    predict = fit(read(args.train), args)
    trained = time.process_time()
    answers = predict(test)
    found = {
        "answers": answers,
        "train_seconds": trained - started,
        "predict_seconds": time.process_time() - trained,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    args.output.write_text(json.dumps(found), encoding="utf8")
