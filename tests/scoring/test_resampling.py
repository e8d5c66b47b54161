"""How sure scores are: intervals by the bootstrap, and differences by approximate randomisation."""

from typing import List

import numpy as np
import pytest
from spacy.scorer import PRFScore

from spacy_ragre.scoring.relations import DocCounts, sum_scores
from spacy_ragre.scoring.resampling import EXCHANGES, PER_LABEL, TOTALS, _flat, _score, _table, differences, intervals


def doc(pairs: int = 3, **labels: "tuple[int, int, int]") -> DocCounts:
    """Counts of a document: right, wrong and missed of each label."""
    return DocCounts(
        {label: PRFScore(tp=tp, fp=fp, fn=fn) for label, (tp, fp, fn) in labels.items()}, PRFScore(tp=pairs, fp=1, fn=1)
    )


MIXED = [doc(met=(1, 0, 0)), doc(7, met=(0, 1, 1), runs=(1, 0, 0)), doc(1), doc(runs=(1, 2, 0), met=(2, 0, 1))] * 5


def test_scores_of_a_draw_are_those_of_its_documents() -> None:
    drawn = [3, 0, 0, 1]
    labels = ["met", "runs"]
    weights = np.bincount(drawn, minlength=4)
    values = _flat(_score((weights @ _table(MIXED[:4], labels))[None]))[0]
    expected = sum_scores([MIXED[i] for i in drawn])
    assert values[: len(TOTALS)] == pytest.approx([expected[name] for name in TOTALS])
    assert values[len(TOTALS) :] == pytest.approx([expected[PER_LABEL][label]["f"] for label in labels])


def test_an_interval_is_around_its_score_and_the_same_again() -> None:
    found, scores = intervals(MIXED), sum_scores(MIXED)
    assert found == intervals(MIXED)
    for name in TOTALS:
        low, high = found[name]
        assert 0 <= low < scores[name] < high <= 1
    assert set(found[PER_LABEL]) == {"met", "runs"} and found[PER_LABEL]["runs"]["r"] == [1.0, 1.0]


def test_more_documents_say_more() -> None:
    few, many = (np.diff(intervals(MIXED * times)["rels_micro_f"])[0] for times in (1, 16))
    # As one over the root of their number.
    assert many == pytest.approx(few / 4, rel=0.2)


@pytest.mark.parametrize("counts", [[], MIXED[:1]])
def test_one_document_has_no_interval(counts: List[DocCounts]) -> None:
    assert intervals(counts) == {}
    assert all(item.interval is None for name, item in differences(counts, counts).items() if name in TOTALS)


def test_the_same_answers_do_not_differ() -> None:
    found = differences(MIXED, MIXED)
    for item in (*(found[name] for name in TOTALS), *found[PER_LABEL].values()):
        assert (item.difference, item.interval, item.p) == (0.0, (0.0, 0.0), 1.0)


def test_p_is_the_share_of_exchanges_that_differ_as_much() -> None:
    right, wrong = [doc(met=(1, 0, 0))] * 3, [doc(met=(0, 1, 1))] * 3
    # Of 8 ways to exchange three documents, two differ as much: all of them, and none.
    assert differences(right, wrong)["rels_micro_f"].p == pytest.approx(2 / 8, abs=0.02)
    many = differences(right * 10, wrong * 10)["rels_micro_f"]
    assert many.p == pytest.approx(1 / (EXCHANGES + 1)) and many.difference == 1.0 and many.interval == (1.0, 1.0)
    assert differences(wrong * 10, right * 10)["rels_micro_f"].difference == -1.0


def test_p_of_labels_is_corrected_for_their_number() -> None:
    one, two = doc(a=(1, 0, 0), b=(1, 0, 0)), doc(a=(0, 1, 1), b=(1, 0, 0))
    found = differences([one] * 3, [two] * 3)[PER_LABEL]
    alone = differences([doc(a=(1, 0, 0))] * 3, [doc(a=(0, 1, 1))] * 3)[PER_LABEL]
    assert found["a"].p == pytest.approx(2 * alone["a"].p) and found["b"].p == 1.0


def test_a_label_that_only_one_pipeline_answers() -> None:
    found = differences([doc(met=(1, 0, 0)), doc()], [doc(met=(0, 0, 1)), doc(odd=(0, 1, 0))])
    # Nothing can be said of its F1 where nothing of it is annotated or answered.
    assert set(found[PER_LABEL]) == {"met"}
