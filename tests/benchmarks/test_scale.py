"""What 100 million documents take."""

import math
from pathlib import Path
from types import ModuleType
from typing import Callable

import pytest


def test_numbers_follow_from_the_results(load_script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    script = load_script("reckon_scale")
    results = script.read_results()
    ways = {(way.name, way.gpu): way for way in script.ways(results)}
    reader = ways["paragraphs: the reader of open labels", False]
    rate = results["zero_shot_speed"]["parts"]["8_labels"]["pairs_per_second"]
    assert reader.pairs is not None and reader.seconds * rate == pytest.approx(reader.pairs)
    small, large = (
        ways[f"whole documents: {name}, all pairs", True] for name in ("SmolLM2-135M", "7 billion parameters")
    )
    assert small.tokens == large.tokens and small.operations is not None and large.operations is not None
    # The reckoned rate is that of the published peak, and no result of a GPU is among those that were measured.
    assert large.operations / large.seconds == pytest.approx(script.GPU_PEAK * script.GPU_SHARE)
    assert {way.rate for way in ways.values() if way.gpu} == {"reckoned"}
    filtered = ways["whole documents: 7 billion parameters, pairs that the filter keeps", True]
    assert 0.1 < filtered.seconds / large.seconds < 0.2
    assert math.isclose(script.kept_share(results["pair_filter"]["rows"]), filtered.seconds / large.seconds)


def test_a_stale_table_is_noticed(
    load_script: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = load_script("reckon_scale")
    assert script.main(["--check"]) == 0
    page = tmp_path / "scale.md"
    page.write_text(f"text\n{script.BEGIN}\nold\n{script.END}\nmore\n", encoding="utf8")
    monkeypatch.setattr(script, "PAGE", page)
    assert script.main(["--check"]) == 1 and script.main([]) == 0 and script.main(["--check"]) == 0
    assert "H100" in page.read_text(encoding="utf8") and page.read_text(encoding="utf8").endswith("more\n")
