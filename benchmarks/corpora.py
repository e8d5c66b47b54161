"""Open corpora of relations, each trained for a fixed number of updates and scored on its test part.

    python -m benchmarks.corpora fire --seeds 0
    python -m benchmarks.corpora fire --seeds 0 --start encoder

Training starts from the weights that come with the package ("open"). Those have read texts of the corpora in `SEEN`,
the test part among them, so that these scores say what a user gets who trains on with these labels, and not how well
unseen texts are read. `--start encoder` starts from all-MiniLM-L6-v2 and layers that nothing was trained for: its
scores are on texts that were never seen. All settings were chosen before anything was measured, and the last state is
scored: micro precision, recall and F1 of relations between the given entities. What is there already is left out.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import spacy
import torch
from spacy import util
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_ragre.components.relations.open_labels import save_weights
from spacy_ragre.components.relations.open_scorer import READER
from spacy_ragre.files import file_hash

from .etrag import examples, numbers
from .open_relations.train import make_reader
from .results import add_row, scores_of

CONFIG = Path("configs/corpora.cfg")
TITLE = "Open corpora, fine-tuned"
STEPS = 300
STARTS = {
    "open": "from the open weights",
    "encoder": "from the plain encoder",
}


class Corpus(NamedTuple):
    """What is known of a corpus.

    title (str): what it is.
    max_distance (int): tokens between two mentions at most: few of the training relations have more, from 0 to 10%.
    multi_label (bool): whether a pair may hold several relations.
    seen (bool): whether the open weights have read its texts, the test part among them.
    batch (int): spaCy tokens of a batch; less where many pairs are near each other, whose number is what takes time.
    """

    title: str
    max_distance: int
    multi_label: bool = False
    seen: bool = True
    batch: int = 400


CORPORA: Dict[str, Corpus] = {
    "core": Corpus("CORE: companies; the pair is given", 60),
    "fire": Corpus("FIRE: financial news", 30),
    "somesci": Corpus("SoMeSci: software in science", 20),
    "wlp": Corpus("wet-lab protocols", 20),
    "materials_syntheses": Corpus("syntheses of materials", 15, batch=100),
    "chemprot": Corpus("ChemProt: chemicals and proteins; the pair is given, and holds a relation", 200, seen=False),
    "phee": Corpus("PHEE: arguments of drug events, their words given", 60, True, seen=False),
}


def overrides(name: str, folder: Path, weights: str, seed: int, steps: int) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): settings of the config for a corpus.

    name (str): the corpus.
    folder (Path): where `scripts/convert_corpus.py` wrote it.
    weights (str): where training starts: "open", or a folder.
    seed (int): the seed.
    steps (int): the updates.
    """
    corpus = CORPORA[name]
    return {
        "paths.train": str(folder / "train.spacy"),
        "paths.dev": str(folder / "dev.spacy"),
        "paths.labels": str(folder / "labels.json"),
        "system.seed": seed,
        "vars.weights": weights,
        "vars.multi_label": corpus.multi_label,
        "vars.max_distance": corpus.max_distance,
        "vars.batch_size": corpus.batch,
        "vars.max_steps": steps,
        "vars.total_steps": steps,
        "vars.warmup_steps": max(1, steps // 10),
        "vars.eval_frequency": steps,
    }


def plain_weights(folder: Path, seed: int) -> str:
    """Write weights that nothing was trained for: those of all-MiniLM-L6-v2, and layers drawn with a seed.

    RETURNS (str): the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    file = folder / f"{READER}.safetensors"
    save_weights(make_reader("", "", 0, 0.0).model, file)
    decision = {"types": 0.5, "none": 0.5}
    known = {"sha256": file_hash(file), "decision": decision, "decision_across": decision}
    file.with_suffix(".json").write_text(json.dumps(known) + "\n", encoding="utf8")
    return str(folder)


def run(name: str, folder: Path, training: Path, output: Path, start: str, seed: int, steps: int) -> None:
    """Train on a corpus, score the last state on its test part, and write the scores."""
    corpus = CORPORA[name]
    row = {"name": STARTS[start], "description": corpus.title, "split": f"{name}, test"}
    if start == "open":
        row["name"] += ", which read these texts before" if corpus.seen else ""
    if scores_of(output, row["name"], row["split"], seed):
        return
    target = training / f"{name}-{start}-{seed}"
    target.mkdir(parents=True, exist_ok=True)
    weights = "open" if start == "open" else plain_weights(target / "start", seed)
    settings = overrides(name, folder, weights, seed, steps)
    began = time.process_time()
    nlp = init_nlp(util.load_config(CONFIG, overrides=settings, interpolate=False), use_gpu=-1)
    train(nlp, target, use_gpu=-1)
    minutes = (time.process_time() - began) / 60
    nlp = spacy.load(target / "model-last")
    test = examples(folder / "test.spacy", nlp)
    found = nlp.evaluate(test)
    scores = {f"relations_{key}": found[f"rels_micro_{key}"] or 0.0 for key in "prf"}
    scores["macro_f"] = found["rels_macro_f"] or 0.0
    add_row(output, TITLE, row, seed, scores, {"train_minutes": minutes})
    print(name, start, seed, {key: round(value, 4) for key, value in scores.items()}, f"{minutes:.1f} min", flush=True)


def main(argv: Optional[Sequence[str]] = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", choices=sorted(CORPORA), metavar="CORPUS", help=", ".join(CORPORA))
    parser.add_argument("--corpus", type=Path, default=Path("corpus"), help="folder with a folder for each corpus")
    parser.add_argument("--training", type=Path, default=Path("training/corpora"), help="folder for the pipelines")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/corpora.json"))
    parser.add_argument("--start", choices=sorted(STARTS), default="open", help="the weights that training starts from")
    parser.add_argument("--seeds", type=numbers, default=[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args(argv)
    for name in args.corpora:
        for seed in args.seeds:
            run(name, args.corpus / name, args.training, args.output, args.start, seed, args.steps)


if __name__ == "__main__":
    main()
