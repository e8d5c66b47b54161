"""`ragre debug data`: what is in training data, and what may be wrong with it."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, cast

import typer
from wasabi.printer import Printer

from ..errors import Errors
from ._util import Arg, Opt, ragre_cli, read_corpus, user_errors, visible

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

    from ..assist import Profile, Reach
    from ..assist.checks import Answers, Suspect
    from ..candidates import Candidate, CandidateGenerator
    from ..instances import Instance

debug_cli = typer.Typer(name="debug", help="Look for what is wrong.", no_args_is_help=True)
ragre_cli.add_typer(debug_cli)

# Labels with fewer relations than this are hard to learn.
_FEW = 20
# Of what is found, so many are shown.
_SHOWN = 5
_SHOWN_SUSPECTS = 10
# A combination of types that is rarer than this among a label's relations may be a slip.
_RARE = 0.02
_WIDTH = 160


class Data(NamedTuple):
    """What is looked at.

    train, dev (List[Doc]): the documents.
    generator (Optional[CandidateGenerator]): what training asks about; None where no config says it.
    labels (Optional[List[str]]): those of the config; None where they are taken from the documents.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    """

    train: "List[Doc]"
    dev: "List[Doc]"
    generator: "Optional[CandidateGenerator]"
    labels: Optional[List[str]]
    spans_key: Optional[str]


@debug_cli.command("data", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def debug_data_cli(
    ctx: typer.Context,
    config_path: Optional[Path] = Arg(None, metavar="[CONFIG]", help="Training config"),
    train: Optional[Path] = Opt(None, "--train", "-t", metavar="FILE", help="Training documents, in place of a config"),
    dev: Optional[Path] = Opt(None, "--dev", "-d", metavar="FILE", help="Development documents, beside --train"),
    spans_key: Optional[str] = Opt(
        None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY], beside --train; a config says it itself"
    ),
) -> None:
    """
    Show what is in training data, and what may be wrong with it: labels with few examples, relations out of reach,
    types, texts that are there twice, and pairs that were annotated unlike others of the same words.

    Settings of the config are overridden as for `spacy train`: --paths.train corpus/train.spacy.
    """
    from spacy.cli._util import parse_config_overrides

    with user_errors(debug_data_cli):
        overrides = parse_config_overrides(ctx.args)
        problems = debug_data(config_path, train=train, dev=dev, spans_key=spans_key, overrides=overrides)
    if problems:
        raise typer.Exit(1)


def debug_data(
    config_path: Optional[Path] = None,
    *,
    train: Optional[Path] = None,
    dev: Optional[Path] = None,
    spans_key: Optional[str] = None,
    overrides: Optional[Mapping[str, Any]] = None,
) -> int:
    """Show what is in training data.

    config_path (Optional[Path]): the training config, whose corpora, labels and candidates are looked at.
    train, dev (Optional[Path]): the documents, where there is no config.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`, where there is no config.
    overrides (Optional[Mapping[str, Any]]): settings of the config, by their names with dots.
    RETURNS (int): how many problems keep a training from starting.
    """
    from ..assist import choose_candidates, measure_reach, profile, sample
    from ..assist.checks import find_suspects, gold_pairs, repeated, repeats
    from ..assist.reach import SAMPLE
    from ..candidates import make_passage

    if (config_path is None) == (train is None):
        raise ValueError(Errors.R673.format(what="both" if train is not None else "neither"))
    if config_path is not None:
        data = _by_config(config_path, overrides or {})
    else:
        docs = [[doc for doc in read_corpus(p, spans_key=spans_key) if len(doc)] if p else [] for p in (train, dev)]
        data = Data(docs[0], docs[1], None, None, spans_key)
    if not data.train:
        raise ValueError(Errors.R330.format(path=train or config_path))
    out = Printer()
    found, other = profile(data.train, data.spans_key), profile(data.dev, data.spans_key)
    out.divider("Documents")
    for name, counts in (("Training", found.counts), ("Development", other.counts)):
        out.text(f"{name}: {counts.documents} documents, of which {counts.without_entities} have no entities.")
        for line in counts.lines()[:2]:
            out.text(f"  {line}")
    if not data.dev:
        out.warn("There are no development documents. `convert --dev` puts a share of the documents aside.")
    problems = _show_labels(out, found, other, data.labels)
    _show_types(out, found)
    out.divider("Pairs")
    if data.generator is not None:
        reach = measure_reach(data.train, data.generator, data.spans_key)
        settings = "The candidates"
    else:
        some = sample(data.train, SAMPLE)
        reach = choose_candidates(some, data.spans_key, by_cluster=found.by_cluster)
        settings = ", ".join(f"{key} = {value}" for key, value in reach.settings.items())
    out.text(f"{settings}: {100 * reach.share:.1f}% of {reach.relations} relations, by {reach.pairs} pairs.")
    _show_missed(out, reach)
    if found.several:
        out.text(f"{found.several} of {found.pairs} pairs with a relation hold several: multi_label = true keeps them.")
    out.divider("Texts that are there twice")
    again = repeats(data.train)
    (out.warn if again else out.good)(f"{again} training documents have the text of another one.")
    both = repeated(data.dev, data.train)
    if data.dev:
        (out.warn if both else out.good)(f"{len(both)} development documents are training documents, too.")
        for doc in both[:_SHOWN]:
            out.text(f"  {_short(doc.text)}")
    out.divider("Annotations that are unlike others of the same words")
    pairs = gold_pairs(data.train, data.generator or make_passage(), data.spans_key)
    _show_suspects(out, find_suspects(pairs), len(pairs))
    out.divider("Summary")
    shown = out.counts
    out.text(f"{shown['good']} checks passed, {shown['warn']} warnings, {shown['fail']} errors.")
    return problems


def _by_config(config_path: Path, overrides: Mapping[str, Any]) -> Data:
    """RETURNS (Data): the corpora of a config, and what its component asks about. No weights are loaded."""
    from spacy import util
    from spacy.cli._util import show_validation_error
    from spacy.util import resolve_dot_names

    from ..assist import profile
    from ..components.relations.extractor import RelationExtractor
    from ..corpora.files import existing_path

    with show_validation_error(config_path, hint_fill=False):
        config = util.load_config(existing_path(config_path), overrides=dict(overrides), interpolate=False)
        nlp = util.load_model_from_config(config, auto_fill=True)
        filled = nlp.config.interpolate()
        names = [filled["training"][f"{part}_corpus"] for part in ("train", "dev")]
        # A config may be looked at before there are development documents.
        if _drop_without_path(filled, names[1]):
            names.pop()
        corpora = resolve_dot_names(filled, names)
    found = [[example.reference for example in corpus(nlp)] for corpus in corpora]
    train, dev = found[0], found[1] if len(found) > 1 else []
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, RelationExtractor)]
    if not names:
        raise ValueError(Errors.R674.format(path=config_path, components=", ".join(nlp.pipe_names) or "none"))
    component = cast(RelationExtractor, nlp.get_pipe(names[-1]))
    labels = list(component.labels) or None
    if labels is None:
        for label in profile([*train, *dev], component.spans_key).labels:
            component.add_label(label)

    def ask(doc: "Doc", spans: "Sequence[Span]") -> "List[Candidate]":
        # With the pipeline itself, which tells the component what types of entities are found.
        return cast(RelationExtractor, nlp.get_pipe(names[-1])).asked(doc)

    return Data(train, dev, ask, labels, component.spans_key)


def _drop_without_path(config: Dict[str, Any], name: str) -> bool:
    """Take a reader of documents, such as "corpora.dev", out of a config where its path is not set.

    RETURNS (bool): whether it was taken out.
    """
    *sections, last = name.split(".")
    for section in sections:
        config = config.get(section, {})
    reader = config.get(last, {})
    without = "path" in reader and reader["path"] is None
    if without:
        del config[last]
    return without


def _show_labels(out: Printer, found: "Profile", other: "Profile", known: Optional[Sequence[str]]) -> int:
    """RETURNS (int): how many errors were shown."""
    out.divider("Labels")
    labels = list(dict.fromkeys([*found.labels, *other.labels, *(known or ())]))
    rows = [(label, found.counts.relations[label], other.counts.relations[label]) for label in labels]
    if not rows:
        out.fail("No document holds a relation.")
        return 1
    out.table([(visible(label), *counts) for label, *counts in rows], header=("label", "train", "dev"), divider=True)
    few = [label for label, count, _ in rows if 0 < count < _FEW]
    if few:
        out.warn(f"Fewer than {_FEW} training relations: {', '.join(few)}")
    none = [label for label, count, _ in rows if not count]
    if none:
        out.warn(f"No training relations: {', '.join(none)}")
    if not few and not none:
        out.good(f"All {len(rows)} labels have {_FEW} training relations or more.")
    if found.symmetric:
        out.text(f"Annotated in both directions, as symmetric labels: {', '.join(sorted(found.symmetric))}")
    unknown = [label for label in labels if known is not None and label not in known]
    if unknown:
        out.fail(f"Not among the labels of the config, so that training stops: {', '.join(unknown)}")
    return int(bool(unknown))


def _show_types(out: Printer, found: "Profile") -> None:
    out.divider("Types")
    entities = [f"{label or '(no type)'} {count}" for label, count in found.entities.most_common()]
    out.text(f"Entities: {', '.join(entities)}")
    rows = []
    rare: List[str] = []
    for label in found.labels:
        own = found.types[label]
        total = sum(own.values())
        words = [f"{head or '-'} > {tail or '-'} {count}" for (head, tail), count in own.most_common()]
        rows.append((visible(label), ", ".join(words[:_SHOWN]) + (", ..." if len(words) > _SHOWN else "")))
        rare.extend(f"{label}: {head} > {tail}" for (head, tail), count in own.items() if count <= _RARE * total)
    out.table(rows, header=("label", "types of head and tail"), divider=True, widths=(30, 110))
    if rare:
        out.warn(f"Rare types, which may be slips: {'; '.join(rare[:_SHOWN])}{' ...' if len(rare) > _SHOWN else ''}")


def _show_missed(out: Printer, reach: "Reach") -> None:
    if not reach.missed:
        out.good("No relation is out of reach.")
        return
    labels = Counter(relation.label for _, relation in reach.missed)
    out.warn(f"Out of reach: {', '.join(f'{label} {count}' for label, count in labels.most_common())}")
    for _, relation in reach.missed[:_SHOWN]:
        head, tail = (f"{_short(span.text, 40)} ({span.label_ or '-'})" for span in (relation.head, relation.tail))
        far = max(relation.head.start, relation.tail.start) - min(relation.head.end, relation.tail.end)
        out.text(f"  {head} {relation.label} {tail}, {max(0, far)} tokens between them")


def _show_suspects(out: Printer, suspects: "Sequence[Suspect]", pairs: int) -> None:
    if not suspects:
        out.good(f"None of {pairs} pairs.")
        return
    out.warn(f"{len(suspects)} of {pairs} pairs, the most unlike first; look at them before you mend any.")
    for item in suspects[:_SHOWN_SUSPECTS]:
        own, other = (_name(answers) for answers in (item.instance.answers or (), item.others))
        place = f"{item.instance.id}: " if item.instance.id else ""
        out.text(f"  {place}{own}, where {item.others_count} others have {other}")
        out.text(f"    {_marked(item.instance)}")
        out.text(f"    such as: {_marked(item.example)}")


def _name(answers: "Answers") -> str:
    from ..labels import NO_RELATION

    names = [f"{answer.label} (turned)" if answer.reversed else answer.label for answer in answers]
    return ", ".join(names) or NO_RELATION


def _marked(instance: "Instance") -> str:
    """RETURNS (str): the words around the mentions, which stand in brackets."""
    text, (start, end), (first, last) = instance.text, instance.first, instance.second
    if first < end:
        return _short(text)
    words = f"{text[:start]}[{text[start:end]}]{text[end:first]}[{text[first:last]}]{text[last:]}"
    room = max(0, (_WIDTH - (last + 4 - start)) // 2)
    cut = words[max(0, start - room) : last + 4 + room]
    return _short(("..." if start > room else "") + cut, _WIDTH + 10)


def _short(text: str, most: int = _WIDTH) -> str:
    words = visible(" ".join(text.split()))
    return words if len(words) <= most else f"{words[: most - 3]}..."
