"""ATLOP (Zhou et al. 2021, arXiv 2010.11304) side by side with the filter and the extractor: the published code,
trained on the same documents with the same encoder and budget, and scored by the same functions.

    git clone https://github.com/wzhouad/ATLOP
    pip install ujson opt_einsum
    python -m benchmarks.atlop --atlop ATLOP --documents assets/redocred/dev_revised.json \\
        --test assets/redocred/test_revised.json

`--held-out` names the documents to choose by, which are not trained on. Model, features, loss and decision rule are
those of the checkout. Its training loop needs packages for mixed precision on a GPU, so that it is written anew here:
AdamW with linear warm-up and decay, as there.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import spacy
import torch
from tqdm import tqdm
from transformers import AutoConfig, AutoModel, AutoTokenizer, get_linear_schedule_with_warmup

from spacy_ragre.calibration.thresholds import fit_decision
from spacy_ragre.corpora.reader import read_docs
from spacy_ragre.relations import ID_KEY
from spacy_ragre.retrieval.loading import locate_encoder

from .pair_filter import TITLE as PAIRS
from .pair_filter import measure, threshold_for
from .results import add_row

RELATIONS = "Re-DocRED, relations of whole documents by another system"
NEW_LAYERS = ("extractor", "bilinear")
# The most relations of a pair, as in the published settings.
MOST = 4

Features = List[Dict[str, Any]]


class Atlop:
    """The published code, imported from a checkout, which expects its table of relations in the working folder."""

    def __init__(self, checkout: Path, relations: Dict[str, int], encoder: str) -> None:
        sys.path.insert(0, str(checkout.resolve()))
        self._folder = tempfile.TemporaryDirectory()
        meta = Path(self._folder.name) / "meta"
        meta.mkdir()
        (meta / "rel2id.json").write_text(json.dumps(relations))
        before = Path.cwd()
        os.chdir(self._folder.name)
        try:
            import prepro
            from model import DocREModel
            from utils import collate_fn
        finally:
            os.chdir(before)
        self._prepro, self._collate = prepro, collate_fn
        source = str(locate_encoder(encoder))
        self._tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, num_labels=len(relations))
        config.cls_token_id, config.sep_token_id = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        config.transformer_type = "bert"
        reader = AutoModel.from_pretrained(source, trust_remote_code=False, config=config, attn_implementation="eager")
        self.model: Any = DocREModel(config, reader, num_labels=MOST)

    def features(self, documents: List[Dict[str, Any]]) -> Features:
        path = Path(self._folder.name) / "documents.json"
        path.write_text(json.dumps(documents))
        found: Features = self._prepro.read_docred(str(path), self._tokenizer)
        return found

    def _inputs(self, features: Features) -> Dict[str, Any]:
        ids, mask, labels, places, pairs = self._collate(features)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels, "entity_pos": places, "hts": pairs}

    def train(self, features: Features, args: argparse.Namespace) -> None:
        named = list(self.model.named_parameters())
        new = [p for name, p in named if any(layer in name for layer in NEW_LAYERS)]
        known = [p for name, p in named if not any(layer in name for layer in NEW_LAYERS)]
        groups = [{"params": known}, {"params": new, "lr": args.head_rate}]
        optimizer = torch.optim.AdamW(groups, lr=args.learn_rate, eps=1e-6, weight_decay=0.01)
        steps = len(features) // args.batch_docs * args.epochs
        schedule = get_linear_schedule_with_warmup(optimizer, int(0.06 * steps), steps)
        order = list(range(len(features)))
        self.model.train()
        with tqdm(total=steps, desc="training") as bar:
            for _ in range(args.epochs):
                random.shuffle(order)
                for start in range(0, len(order) - args.batch_docs + 1, args.batch_docs):
                    batch = [features[i] for i in order[start : start + args.batch_docs]]
                    self.model(**self._inputs(batch))[0].backward()
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    self.model.zero_grad()
                    bar.update()

    def logits(self, features: Features) -> torch.Tensor:
        """RETURNS (torch.Tensor): logits of every ordered pair, the threshold's class first."""
        parts: List[Any] = []
        hook = self.model.bilinear.register_forward_hook(lambda module, inputs, output: parts.append(output))
        self.model.eval()
        with torch.no_grad():
            for start in tqdm(range(0, len(features), 8), desc="prediction"):
                self.model(**{**self._inputs(features[start : start + 8]), "labels": None})
        hook.remove()
        return torch.cat(parts)

    def relations(self, features: Features, logits: Any) -> Dict[str, float]:
        """RETURNS (Dict[str, float]): micro precision, recall and F1 of the relations, which are DocRED's."""
        found = self.model.loss_fnt.get_label(logits, num_labels=MOST)[:, 1:] > 0
        gold = torch.tensor(np.concatenate([f["labels"] for f in features]))[:, 1:] > 0
        right = float((found & gold).sum())
        precision, recall = right / max(1, int(found.sum())), right / int(gold.sum())
        f = 2 * precision * recall / (precision + recall) if right else 0.0
        return {"docred_p": precision, "docred_r": recall, "docred_f": f}


def decisions(features: Features, logits: Any) -> Tuple[np.ndarray, np.ndarray]:
    """RETURNS (Tuple[numpy.ndarray, numpy.ndarray]): for every ordered pair how sure it is that it holds a relation,
    0.5 and more where the published rule says that it does, and whether it does.
    """
    sure = torch.sigmoid(logits[:, 1:].max(dim=1).values - logits[:, 0]).numpy()
    related = np.array([labels[0] == 0 for f in features for labels in f["labels"]])
    return sure, related


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atlop", type=Path, required=True, help="a checkout of the published code")
    parser.add_argument("--documents", type=Path, default=Path("assets/redocred/dev_revised.json"))
    parser.add_argument("--held-out", type=Path, default=Path("corpus/redocred/dev.spacy"))
    parser.add_argument("--test", type=Path, default=Path("assets/redocred/test_revised.json"))
    parser.add_argument("--encoder", default="all-MiniLM-L6-v2")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-docs", type=int, default=4)
    parser.add_argument("--learn-rate", type=float, default=1e-4, help="published, for a larger encoder: 5e-5")
    parser.add_argument("--head-rate", type=float, default=5e-4, help="published: 1e-4")
    parser.add_argument("--limit", type=int, default=0, help="only so many documents of each part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pairs-output", type=Path, default=Path("benchmarks/results/pair_filter.json"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/atlop.json"))
    args = parser.parse_args()

    held = {doc.user_data[ID_KEY] for doc in read_docs(args.held_out, spacy.blank("en").vocab)}
    documents = json.loads(args.documents.read_text(encoding="utf8"))
    parts = {
        "train": [d for d in documents if d["title"] not in held],
        "dev": [d for d in documents if d["title"] in held],
        "test": json.loads(args.test.read_text(encoding="utf8")),
    }
    names = sorted({label["r"] for part in parts.values() for d in part for label in d["labels"]})
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    atlop = Atlop(args.atlop, {"Na": 0, **{name: i for i, name in enumerate(names, 1)}}, args.encoder)
    features = {part: atlop.features(found[: args.limit or None]) for part, found in parts.items()}
    atlop.train(features["train"], args)

    split = f"test ({len(features['test'])})"
    rates = f"{args.epochs} epochs, learning rates {args.learn_rate:g} and {args.head_rate:g}"
    dev_logits = atlop.logits(features["dev"])
    logits = atlop.logits(features["test"])
    dev_sure, dev_related = decisions(features["dev"], dev_logits)
    sure, related = decisions(features["test"], logits)
    rules = {
        "its own rule": 0.5,
        "best F1 on dev": fit_decision(dev_sure, dev_related),
        "recall 0.95 on dev": threshold_for(dev_sure, dev_related, 0.95),
    }
    print("dev:", atlop.relations(features["dev"], dev_logits), flush=True)
    for rule, threshold in rules.items():
        print("dev:", measure(dev_sure, dev_related, threshold), flush=True)
        scores = measure(sure, related, threshold)
        row = {"name": f"ATLOP, {rule}", "description": f"published code; {rates}", "split": split}
        add_row(args.pairs_output, PAIRS, row, args.seed, scores)
        print(row["name"], {key: round(value, 4) for key, value in scores.items()}, flush=True)
    scores = atlop.relations(features["test"], logits)
    row = {"name": "ATLOP", "description": f"published code; {rates}", "split": split}
    add_row(args.output, RELATIONS, row, args.seed, scores)
    print(row["name"], {key: round(value, 4) for key, value in scores.items()}, flush=True)


if __name__ == "__main__":
    main()
