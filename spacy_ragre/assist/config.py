"""A training config for a corpus, filled and with comments that say where its numbers come from."""

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.util import load_model_from_config
from thinc.api import Config

from ..labels import check_config_labels
from .plan import MANY_RELATIONS, Plan
from .profile import Profile, words_of
from .reach import Reach

NAME = "rag_relation_extractor"
_LABELS = f"components.{NAME}.labels"


def make_labels(found: Profile, given: Mapping[str, Any]) -> Dict[str, Dict[str, Any]]:
    """The labels of a corpus, with words and types.

    found (Profile): what the training documents hold.
    given (Mapping[str, Any]): words of labels, or tables as the component takes them. They come first, and what they
        say is kept.
    RETURNS (Dict[str, Dict[str, Any]]): each label with its table: those that are given, then those of the documents,
        the most frequent first.
    """
    result: Dict[str, Dict[str, Any]] = {}
    for label in dict.fromkeys([*given, *found.labels]):
        value = given.get(label) or {}
        own = dict(value) if isinstance(value, Mapping) else {"text": value}
        heads, tails = found.ends(label)
        table: Dict[str, Any] = {"text": words_of(label), "head_types": heads, "tail_types": tails}
        if label in found.symmetric:
            table["symmetric"] = True
        result[label] = {key: item for key, item in {**table, **own}.items() if item not in ([], ())}
    return result


def fits_config(labels: Mapping[str, Any]) -> bool:
    """RETURNS (bool): whether a config gives labels back as they are; it does not for names such as "per:title"."""
    try:
        check_config_labels(labels)
    except ValueError:
        return False
    text = f"[labels]\n{_label_lines(labels)}\n"
    try:
        return bool(Config().from_str(text) == {"labels": labels})
    except ValueError:
        return False


def make_config(
    base: Language,
    source: str,
    plan: Plan,
    found: Profile,
    reach: Reach,
    *,
    labels: Mapping[str, Any],
    labels_path: Optional[str],
    train: str,
    dev: Optional[str],
    spans_key: Optional[str] = None,
) -> str:
    """Write a training config.

    base (Language): the pipeline whose components find entities.
    source (str): its name, as spaCy loads it.
    plan (Plan): how to train.
    found (Profile): what the training documents hold.
    reach (Reach): the candidates, and what they reach.
    labels (Mapping[str, Any]): each label with its table.
    labels_path (Optional[str]): the file that holds the labels, where a config can't.
    train, dev (str): the corpora; `dev` may be None, and is then to be given to the command that trains.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    RETURNS (str): the config, filled, with comments.
    """
    kept = [name for name in base.pipe_names if "doc._.relations" not in base.get_pipe_meta(name).assigns]
    extractor = _extractor(plan, found, reach, spans_key)
    if labels_path is None:
        extractor["labels"] = dict(labels)
    sourced = {name: {"source": source} for name in kept}
    raw = Config(
        {
            "paths": {"train": train, "dev": dev},
            "system": {"seed": 0, "gpu_allocator": None},
            "vars": {"steps": plan.steps, "warmup_steps": max(1, round(plan.steps / 10))},
            "nlp": {"lang": base.lang, "pipeline": [*kept, NAME], "batch_size": plan.batch_size},
            "components": {**sourced, NAME: extractor},
            "corpora": {
                "train": {
                    "@readers": "ragre.Corpus.v1",
                    "path": "${paths.train}",
                    "seed": "${system.seed}",
                    "shuffle": True,
                },
                "dev": {"@readers": "ragre.Corpus.v1", "path": "${paths.dev}"},
            },
            "training": _training(plan, kept),
            "initialize": _initialize(base, source, labels_path),
        }
    )
    # Its references are text so far.
    raw = Config().from_str(raw.to_str(), interpolate=False)
    filled = load_model_from_config(raw, auto_fill=True).config
    filled["components"].update(sourced)
    # The frozen components have scores, too, which don't change.
    weights = filled["training"]["score_weights"]
    weights.update(dict.fromkeys(weights, None), rels_micro_f=1.0)
    filled["components"][NAME]["labels"] = {}
    comments = _comments(plan, found, reach, kept, source, labels_path, dev)
    lines = "" if labels_path is not None else _label_lines(labels)
    return _with_comments(filled.to_str(), comments, {_LABELS: lines})


def _extractor(plan: Plan, found: Profile, reach: Reach, spans_key: Optional[str]) -> Dict[str, Any]:
    result: Dict[str, Any] = {
        "factory": NAME,
        "answer": plan.answer,
        "multi_label": found.multi_label,
        "n_examples": 0,
        "spans_key": spans_key,
        "candidates": dict(reach.settings),
    }
    if plan.answer == "open":
        return {**result, "weights": "open"}
    lora = {"rank": 16, "alpha": 32, "dropout": 0.0, "target_modules": "all-linear"}
    backbone = {"@ragre_backbones": "ragre.CausalLM.v1", "name": "smollm2-135m-instruct", "lora": lora}
    return {
        **result,
        "both_orders": True,
        "model": {"@architectures": "ragre.LabelModel.v1", "backbone": backbone},
        "prompt": {"@ragre_prompts": "ragre.Relation.v1", "instruction": False},
        "retriever": {
            "@ragre_retrievers": "ragre.Retriever.v1",
            "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
        },
    }


def _training(plan: Plan, kept: Sequence[str]) -> Dict[str, Any]:
    batcher: Dict[str, Any] = {"@batchers": "spacy.batch_by_words.v1", "size": plan.size, "tolerance": 0.2}
    if plan.answer == "head":
        batcher = {"@batchers": "spacy.batch_by_padded.v1", "size": plan.size, "buffer": 256, "discard_oversize": False}
    return {
        "seed": "${system.seed}",
        "gpu_allocator": "${system.gpu_allocator}",
        "dropout": 0.1 if plan.answer == "open" else 0.0,
        "accumulate_gradient": plan.parts,
        "patience": 0,
        "max_steps": "${vars.steps}",
        "eval_frequency": plan.eval_frequency,
        "frozen_components": list(kept),
        "batcher": batcher,
        "optimizer": {
            "@optimizers": "Adam.v1",
            "beta2": 0.98,
            "learn_rate": {
                "@schedules": "warmup_linear.v1",
                "warmup_steps": "${vars.warmup_steps}",
                "total_steps": "${vars.steps}",
                "initial_rate": 0.001,
            },
        },
        "logger": {"@loggers": "spacy.ConsoleLogger.v3", "progress_bar": "train"},
    }


def _initialize(base: Language, source: str, labels_path: Optional[str]) -> Dict[str, Any]:
    result: Dict[str, Any] = {
        "before_init": {"@callbacks": "spacy.copy_from_base_model.v1", "tokenizer": source, "vocab": source}
    }
    if len(base.vocab.vectors):
        result["vectors"] = source
    if labels_path is not None:
        labels = {"@readers": "spacy.read_labels.v1", "path": labels_path, "require": True}
        result["components"] = {NAME: {"labels": labels}}
    return result


# Comments


def _comments(
    plan: Plan,
    found: Profile,
    reach: Reach,
    kept: Sequence[str],
    source: str,
    labels_path: Optional[str],
    dev: Optional[str],
) -> Dict[str, List[str]]:
    """RETURNS (Dict[str, List[str]]): lines to put above a section ("training") or a setting ("training.patience")."""
    total = sum(found.counts.relations.values())
    component = f"components.{NAME}"
    several = f"{found.several} of {found.pairs} pairs with a relation hold several."
    made = [
        f"Made for {found.counts.documents} documents with {found.counts.entities} entities and {total} relations.",
        "Train with: python -m spacy train THIS.cfg --output training" + ("" if dev else " --paths.dev DEV.spacy"),
        "Then:       python -m spacy ragre calibrate training/model-best DEV.spacy",
    ]
    answer = [
        "What learns is the reader of open labels, from the weights that come with the package; the language model",
        f"below is not loaded. Under about {MANY_RELATIONS} relations it is the better one, too.",
    ]
    if plan.answer == "head":
        answer = [
            "What learns is the language model, with LoRA. `calibrate` mixes in neighbours by its own hidden state.",
        ]
    labels = [
        "text is what stands between head and tail: mend the words that were made of a label's name, and add a",
        '"definition" where they do not say enough. head_types and tail_types are those of the training documents; a',
        "label without them may hold between any. Other types are never asked about.",
    ]
    if labels_path is not None:
        labels = [f"In {labels_path}, since a config can't hold some of the names: see initialize.components."]
    sourced = [f"From {source}, as they are: entities and sentences of new texts come from them."]
    steps = [
        f"{plan.epochs:.0f} passes over the training documents, a curve through what was measured on SemEval-2010."
    ]
    batch = [f"Tokens. Measured with this size; for {plan.device}, it is computed in {plan.parts} part(s)."]
    return {
        "paths": made,
        "vars.steps": steps,
        "nlp.batch_size": [f"Documents at once in prediction, for {plan.device}."],
        **({f"components.{kept[0]}": sourced} if kept else {}),
        f"{component}.answer": answer,
        f"{component}.multi_label": [several],
        f"{component}.candidates": describe_reach(reach),
        f"{component}.labels": labels,
        "corpora.train": [
            "The entities of the corpora are given to the component: it is asked for the relations only."
        ],
        "training.eval_frequency": ["Few evaluations, where there are few documents to choose the best state by."],
        "training.patience": ["0: the learning rate falls until the last step, and the best of the states is kept."],
        "training.batcher": batch,
    }


def describe_reach(reach: Reach) -> List[str]:
    """RETURNS (List[str]): lines that say what was chosen, and what it reaches."""
    found = reach.relations - len(reach.missed)
    name = str(reach.settings["@ragre_candidates"]).split(".")[1]
    lines = [
        f"{name} reaches {found} of {reach.relations} relations ({100 * reach.share:.1f}%), with {reach.pairs} pairs.",
    ]
    if name in ("NearSentences", "TokenDistance"):
        lines.append("The distances are those that hold for about 99% of the relations.")
    return lines


# Text


def _label_lines(labels: Mapping[str, Any]) -> str:
    return "\n".join(f"{label} = {json.dumps(table, ensure_ascii=False)}" for label, table in labels.items())


def _with_comments(text: str, comments: Mapping[str, Sequence[str]], bodies: Mapping[str, str]) -> str:
    """Put comments into the text of a config.

    text (str): as thinc writes it.
    comments (Mapping[str, Sequence[str]]): lines to put above sections and settings, by their names.
    bodies (Mapping[str, str]): lines to put under the headers of sections.
    RETURNS (str): the text.
    """
    lines: List[str] = []
    section = ""
    for line in text.splitlines():
        where, body = _where(line, section)
        if line.startswith("["):
            section = where
        lines.extend(f"# {comment}" for comment in comments.get(where, ()))
        lines.append(line)
        if body and bodies.get(where):
            lines.append(bodies[where])
    return "\n".join(lines) + "\n"


def _where(line: str, section: str) -> Tuple[str, bool]:
    """RETURNS (Tuple[str, bool]): the name of a line's section or setting, and whether it is a section's header."""
    if line.startswith("[") and line.endswith("]"):
        return line[1:-1], True
    return f"{section}.{line.partition(' = ')[0]}", False
