"""The page of an evaluation: what it shows of a result, and how it looks on narrow screens."""

from pathlib import Path
from typing import Any, Dict, List

import pytest

from spacy_ragre.visual.report import MATRIX, Group, Place, report_page
from spacy_ragre.visual.texts import marked


def result(labels: List[str], **more: Any) -> Dict[str, Any]:
    """A result in which each label was right once and taken for the next one twice."""
    scores = {"rels_micro_p": 0.5, "rels_micro_r": 0.5, "rels_micro_f": 0.5}
    prf = {"p": 0.5, "r": 0.5, "f": 0.5}
    return {
        "pipeline": "models/own",
        "corpus": "dev.spacy",
        "entities": "gold",
        "documents": 2,
        "scores": {**scores, "rels_per_type": dict.fromkeys(labels, prf)},
        "intervals": {"rels_micro_f": [0.25, 0.75], "rels_per_type": {}},
        "resampling": {"level": 0.95, "resamples": 2000, "seed": 0},
        "counts": {label: {"gold": 3, "predicted": 3, "right": 1} for label in labels},
        "errors": {"wrong label": 2},
        "confusions": [
            {"gold": gold, "predicted": answer, "times": 2, "mistakes": []}
            for gold, answer in zip(labels, [*labels[1:], f"{labels[-1]}, reversed"])
        ],
        "curve": {"average_precision": 0.5, "points": [{"threshold": 0.5, "precision": 0.5, "recall": 0.5}]},
        "reliability": {
            "ece": 0.1,
            "ece_of_answers": None,
            "bins": [{"low": 0.5, "high": 0.6, "count": 12, "score": 0.55, "right": 0.45}],
        },
        **more,
    }


def group(count: int = 1) -> Group:
    place: Place = {
        "doc": "d1",
        "gold": "runs",
        "answers": ["near"],
        "score": 0.8123,
        "text": "Ann runs " + "Acme" * 60 + " .",
        "head": (0, 3),
        "tail": (9, 249),
        "support": {"examples": [{"text": "Bob runs Oy.", "labels": [], "score": 0.5}], "sentences": ["One."]},
    }
    return {"count": count, "places": [place]}


def test_what_the_page_shows() -> None:
    page = report_page(result(["near", "runs"]), {"wrong label": group(7)})
    for part in (
        "Evaluation of own",
        '50.0</b><span class="range">[25.0, 75.0]',
        "6 annotated relations",
        "wrong label: 7",
    ):
        assert part in page
    assert "1 of 7 are shown" in page and "0.81" in page and "Bob runs Oy. <i>no relation</i>" in page
    assert 'title="near answered by runs: 2"' in page and 'title="runs answered by same label, reversed: 2"' in page
    assert "12 relations of score 0.55: 45% hold" in page


def test_many_labels_share_a_row() -> None:
    page = report_page(result([f"label{i:03}" for i in range(MATRIX + 5)]), {})
    assert (
        f"The {MATRIX} most frequent of {MATRIX + 5} labels" in page and "other labels answered by other labels" in page
    )


def test_a_pipeline_without_relations_has_its_scores() -> None:
    bare = {key: result(["a"])[key] for key in ("pipeline", "corpus", "entities", "documents")}
    page = report_page({**bare, "scores": {"ents_f": 0.9, "ents_per_type": {"ORG": {"p": 1.0}}}, "confusions": []}, {})
    assert "ents_f" in page and "By label: ents" in page and "Confusion matrix" not in page


def test_marks_may_overlap_and_offsets_stay() -> None:
    text = "A\nB &\x1b"
    apart = marked(text, (0, 1, "head"), (2, 3, "tail"))
    assert apart == '<mark class="head">A</mark> <mark class="tail">B</mark> &amp;\N{REPLACEMENT CHARACTER}'
    nested = marked(text, (0, 3, "head"), (2, 3, "tail"))
    assert nested.startswith('<mark class="head">A </mark><mark class="head tail">B</mark> ')


@pytest.mark.browser
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_the_screen_and_asks_for_nothing(browser: Any, tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(report_page(result([f"a_long_label_{i}" for i in range(30)]), {"missed": group()}), encoding="utf8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked: List[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == [path.as_uri()]
    page.close()
