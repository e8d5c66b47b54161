"""Examples under open labels: what is drawn, what is measured, and that it is what the component answers."""

import json

import numpy as np
import pytest

from benchmarks import few_shot
from benchmarks.open_relations.few_shot import KINDS, draw, fit, measure, read_schemas, scores_of, tell
from benchmarks.zero_shot import Package, score_all_pairs
from spacy_ragre.components.relations.open_examples import ExampleSettings
from spacy_ragre.components.relations.open_scorer import OpenScorer
from spacy_ragre.corpora.openrel import SourceSchema, read_schema

pytestmark = pytest.mark.real

SOURCE = """# title: Dairies
# labels
owns | owns; holds; is the owner of | the head owns the tail | PERSON,ORG | ORG
knows | knows; has met; is known to | the two know each other | PERSON | PERSON | symmetric
# texts
[Conti|PERSON] owns [Latteria|ORG]. || 1 owns 2
[Burro|ORG] belongs to [Bianchi|PERSON]. || 2 owns 1
[Neri|PERSON] has known [Gallo|PERSON] since school. || 1 knows 2
[Costa|PERSON] zibbed [Panna|ORG], and [Riva|PERSON] looked on. || 1 owns 2
[Serra|PERSON] zibbed [Ricotta|ORG] of [Malga|ORG]. || 1 owns 2
[Longo|PERSON] went to [Vitale|PERSON]. || none
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("openrel") / "04_boards.txt"
    path.write_text(SOURCE, encoding="utf8")
    return read_schema(path)


@pytest.fixture(scope="module")
def schemas(source):
    return read_schemas(OpenScorer(), [source])


def test_a_draw_has_enough_of_each_label_and_leaves_some(schemas):
    (schema,) = schemas["types"]
    for seed in range(3):
        told = draw(schema, 1, seed)
        held = {answer.label for n in told for pair in schema.examples[n] for answer in pair.answers}
        assert held == {"owns", "knows"} and len(told) <= 4 and told == draw(schema, 1, seed)
    assert len(draw(schema, 10, 0)) == 4  # of six texts, two are left


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_measured_is_what_the_component_answers(source, schemas, kind):
    (schema,) = schemas[kind]
    system = Package("open")
    settings = ExampleSettings.of(system.predictor.open.known["examples"], kind)
    for told in ([], [3], [0, 2, 4]):
        odds = tell(schema, told, settings) if told else schema.odds
        system.predictor.pending = [pair for n in told for pair in schema.examples[n]]
        texts = {schema.texts[n].text for n in told}
        left = SourceSchema(source.name, labels=source.labels)
        left.texts.extend(text for text in source.texts if text.text not in texts)
        assert score_all_pairs(system, [left], KINDS[kind]) == pytest.approx(scores_of(measure(schema, odds, told)))


def test_a_fit_of_one_schema(schemas):
    known = fit(schemas)
    settings = ExampleSettings.of(known, "types")
    assert settings.variance == known["types"]["held_out"]["04_boards"] > 0
    means = [schema.pairs.vectors.mean(0) for (schema,) in schemas.values()]
    np.testing.assert_allclose(settings.centre, np.mean(means, axis=0), atol=1e-3)


def test_semeval_runs_through(tmp_path):
    sentence = '{}\t"The <e1>fire</e1> was caused by a <e2>spark</e2>."\nCause-Effect(e2,e1)\nComment:\n\n'
    (tmp_path / "semeval2010_task8").mkdir()
    for name in ("TRAIN_FILE.TXT", "TEST_FILE_FULL.TXT"):
        text = "".join(sentence.format(i) for i in (1, 2))
        (tmp_path / "semeval2010_task8" / name).write_text(text, encoding="utf8")
    few_shot.main(["semeval", "--data", str(tmp_path), "--output", str(tmp_path)])
    rows = json.loads((tmp_path / "few_shot_semeval.json").read_text())["rows"]
    assert [len(row["seeds"]) for row in rows] == [1, 5, 5, 5, 5]
