"""The zero-shot benchmarks: how corpora are read, what counts as right, and that they run through."""

import json
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
import pytest

from benchmarks import zero_shot
from benchmarks.zero_shot_corpora import make_schema, read_crossre, read_fewrel, read_nominals, read_openrel
from spacy_ragre.corpora.openrel import DEV_SCHEMAS, SourceEntity, SourceSchema, SourceText
from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet

ROOT = Path(__file__).parents[2]
FEWREL_ROW = {"tokens": ["Bob", "wrote", "Dawn", "."], "h": ["dawn", "Q1", [[2]]], "t": ["bob", "Q2", [[0]]]}
WORDS = {"by": ("was written by", "TAIL wrote HEAD."), "about": ("is about", "HEAD tells of TAIL.")}
SEMEVAL = """1\t"The <e1>fire</e1> was caused by a <e2>spark</e2>."
Cause-Effect(e2,e1)
Comment:

2\t"A <e1>ridge</e1> near a <e2>town</e2>."
Other
Comment:

"""


class Fixed(zero_shot.OfPairs):
    """Gives what it is told: scores in turn, and answers by the texts of a pair's mentions."""

    def __init__(self, scores: Sequence[Dict[Answer, float]] = (), answers=None) -> None:
        self._scores, self._answers = list(scores), answers or {}

    def scores(self, pairs: Sequence[Instance], labels: LabelSet) -> np.ndarray:
        out = np.zeros((len(pairs), len(labels.classes)))
        for row in out:
            for answer, value in self._scores.pop(0).items():
                row[labels.index(answer)] = value
        return out

    def answers(self, pairs: Sequence[Instance], labels: LabelSet) -> List[List[Answer]]:
        return [self._answers.get((pair.first_text, pair.second_text), []) for pair in pairs]


def write(path: Path, data) -> Path:
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf8")
    return path


def make_text(words: str, names: Sequence[str], relations=()) -> SourceText:
    ents = tuple(SourceEntity(words.index(name), words.index(name) + len(name), "ORG") for name in names)
    return SourceText(words, ents, tuple(relations))


# Corpora


def test_fewrel_gives_head_and_tail(tmp_path):
    path = write(tmp_path / "val.json", {"by": [FEWREL_ROW]})
    (schema,) = read_fewrel(path, WORDS)
    assert list(schema.labels) == ["by", "about"] and schema.labels["by"].texts == ("was written by",)
    (text,) = schema.texts
    assert text.text == "Bob wrote Dawn ." and text.relations == ((0, "by", 1),)
    assert [text.text[ent.start : ent.end] for ent in text.ents] == ["Dawn", "Bob"]
    (other,) = read_fewrel(path, WORDS, "t")[0].texts
    assert [other.text[ent.start : ent.end] for ent in other.ents] == ["Bob", "Dawn"]


def test_nominals_in_the_order_of_the_text(tmp_path):
    (schema,) = read_nominals(write(tmp_path / "TEST.TXT", SEMEVAL))
    first, second = schema.texts
    assert [first.text[ent.start : ent.end] for ent in first.ents] == ["fire", "spark"]
    assert first.relations == ((1, "Cause-Effect", 0),) and second.relations == ()


def test_crossre_keeps_entity_types(tmp_path):
    write(tmp_path / "crossre.labels.json", {"role": {"text": "has a role in", "definition": "d"}})
    ents = [{"start": 0, "end": 3, "label": "person"}, {"start": 10, "end": 14, "label": "band"}]
    record = {"text": "Bob leads Dawn.", "ents": ents, "relations": [{"head": 0, "tail": 1, "label": "role"}]}
    write(tmp_path / "crossre.test.jsonl", json.dumps(record) + "\n")
    (schema,) = read_crossre(tmp_path)
    assert schema.texts[0].ents[1] == SourceEntity(10, 14, "band") and schema.texts[0].relations == ((0, "role", 1),)


def test_openrel_is_read_by_its_development_schemas():
    assert tuple(schema.name for schema in read_openrel()) == DEV_SCHEMAS


def test_data_that_is_missing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="R401"):
        read_fewrel(tmp_path / "val.json", WORDS)


# Measures


def test_labels_are_ranked_in_the_direction_of_head_and_tail(tmp_path):
    # In the first row the head follows the tail, so that its relation is read backwards.
    rows = [FEWREL_ROW, {**FEWREL_ROW, "h": FEWREL_ROW["t"], "t": FEWREL_ROW["h"]}]
    schemas = read_fewrel(write(tmp_path / "val.json", {"by": rows}), WORDS)
    backwards = {Answer("by", True): 1.0, Answer("about", True): 0.5, Answer("about"): 2.0}
    scores = zero_shot.rank_labels(Fixed([backwards, {Answer("by"): 1.0}]), schemas)
    assert scores["accuracy"] == scores["macro_f"] == 1
    assert scores["accuracy_directed"] == 0.5
    wrong = {Answer("by"): 1.0, Answer("about", True): 0.5}
    assert zero_shot.rank_labels(Fixed([wrong, {Answer("by"): 1.0}]), schemas)["accuracy"] == 0.5


def test_random_groups_of_labels():
    words = {f"l{i}": (f"word {i}", "") for i in range(6)}
    schema = make_schema("many", words)
    schema.texts = [make_text("A and B.", ["A", "B"], [(0, name, 1)]) for name in words]
    # Right among any five labels that leave out l0, which is always thought best.
    answers = [{Answer(name): 1.0, Answer("l0"): 2.0} for name in words]
    scores = zero_shot.rank_labels(Fixed(answers), [schema])
    assert scores["accuracy"] == pytest.approx(1 / 6)
    assert set(scores) == {"accuracy", "macro_f", "accuracy_directed", "macro_f_5"}
    assert scores["macro_f"] < scores["macro_f_5"] <= 1


def test_the_official_score_of_nominals(tmp_path):
    schemas = read_nominals(write(tmp_path / "TEST.TXT", SEMEVAL))
    right = {("fire", "spark"): [Answer("Cause-Effect", True)]}
    assert zero_shot.score_nominals(Fixed(answers=right), schemas)["semeval_macro_f"] == 1
    turned = {("fire", "spark"): [Answer("Cause-Effect")]}
    assert zero_shot.score_nominals(Fixed(answers=turned), schemas)["semeval_macro_f"] == 0


def test_all_pairs_of_entities_are_asked_about_once():
    schema = make_schema("s", {"owns": ("owns", ""), "near": ("is near", "")}, symmetric=["near"])
    # The entities are not numbered in the order of the text.
    text = make_text("A owns B near C.", ["C", "B", "A"], [(2, "owns", 1), (1, "near", 0)])
    answers = {("A", "B"): [Answer("owns")], ("B", "C"): [Answer("near", False)], ("A", "C"): [Answer("owns", True)]}
    scores = zero_shot.score_all_pairs(Fixed(answers=answers), [schema_with(schema, text)])
    assert scores["relations_r"] == 1 and scores["relations_p"] == pytest.approx(2 / 3)
    assert scores["relations_f"] == pytest.approx(0.8)


def schema_with(schema: SourceSchema, text: SourceText) -> SourceSchema:
    schema.texts = [text]
    return schema


# Systems


@pytest.mark.real
def test_the_cosine_prefers_the_statement_that_the_text_makes():
    labels = LabelSet({"founded_by": {"text": "was founded by", "head_types": ["ORG"]}, "lives_in": "lives in"})
    pair = Instance("Acme was founded by Ann Lee.", (0, 4), (20, 27), "ORG", "PERSON")
    system = zero_shot.Cosine()
    scores = system.scores([pair], labels)[0]
    assert labels.classes[scores.argmax()] == Answer("founded_by")
    assert scores[0] == scores[labels.index(Answer("founded_by", True))] == -np.inf
    assert system.answers([pair], labels) == [[Answer("founded_by")]]
    system.threshold = 1.1
    assert system.answers([pair], labels) == [[]]


@pytest.mark.real
def test_the_threshold_of_the_cosine_is_that_of_the_best_f1():
    schema = make_schema("s", {"owns": ("owns", "")})
    schema.texts = [make_text("A owns B.", ["A", "B"], [(0, "owns", 1)]), make_text("C met D at noon.", ["C", "D"])]
    system = zero_shot.Cosine()
    system.threshold = zero_shot.fit_threshold(system, [schema])
    assert zero_shot.score_all_pairs(system, [schema])["relations_f"] == 1


@pytest.mark.real
def test_the_package_answers_as_the_component(tmp_path):
    labels = LabelSet({"founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]}})
    pair = Instance("Acme was founded by Ann Lee.", (0, 4), (20, 27), "ORG", "PERSON")
    system = zero_shot.Package("open")
    assert system.answers([pair], labels) == [[Answer("founded_by")]]
    assert system.scores([pair], labels).shape == (1, 3)
    missing = zero_shot.Package("open", tmp_path)
    with pytest.raises(ValueError, match="R560"):
        missing.scores([pair], labels)


@pytest.mark.real
def test_the_package_is_given_entities_and_finds_relations_as_a_pipeline_does():
    """Entities may overlap; of two pairs across sentences that cannot both hold, the likelier one stays."""
    schema = make_schema("s", {"founded_by": ("was founded by", "")})
    words = "Acme Tools was founded by Ann Lee. Bolt is led by Bob Ray."
    text = make_text(words, ["Acme Tools", "Acme", "Ann Lee", "Bolt", "Bob Ray"], [(0, "founded_by", 2)])
    found = zero_shot.Package("open").find(schema_with(schema, text), True)
    assert len(found) == 1 and (0, "founded_by", 2) in found[0] and (3, "founded_by", 2) not in found[0]
    assert found == zero_shot.Package("open").find(schema, False)


# The command


@pytest.mark.real
def test_the_command_writes_results_that_can_be_shown(tmp_path, load_script):
    (tmp_path / "fewrel").mkdir()
    names = list(zero_shot.FEWREL_WIKI)[:2]
    write(tmp_path / "fewrel" / "val_wiki.json", {name: [FEWREL_ROW] for name in names})
    arguments = ["fewrel", "paragraphs", "--data", str(tmp_path), "--output", str(tmp_path / "results")]
    zero_shot.main([*arguments, "--systems", "open", "published", "--limit", "1"])
    rows = json.loads((tmp_path / "results" / "zero_shot_fewrel.json").read_text())["rows"]
    assert rows[0]["name"] == "open labels" and rows[0]["split"] == "val_wiki (1 of 2, seeded subset)"
    published = [row for row in rows if "(published)" in row["name"]]
    assert published and all(row["seeds"] == row["machines"] == [] for row in published)
    render = load_script("render_results")
    page = render.render_file(json.loads((tmp_path / "results" / "zero_shot_fewrel.json").read_text()))
    assert "macro-F1, 15 labels" in page and "| GLiREL (published) |" in page and "84.5" in page
    paragraphs = json.loads((tmp_path / "results" / "zero_shot_paragraphs.json").read_text())["rows"]
    assert [row["name"] for row in paragraphs] == ["open labels", "open labels, without entity types"]


def test_published_figures_replace_their_own_row(tmp_path):
    path, row = tmp_path / "r.json", {"name": "Other (published)", "description": "d", "split": "s"}
    zero_shot.add_published(path, "Title", row, {"macro_f": 0.5})
    zero_shot.add_published(path, "Title", row, {"macro_f": 0.6})
    assert [known["scores"] for known in json.loads(path.read_text())["rows"]] == [{"macro_f": [0.6]}]
