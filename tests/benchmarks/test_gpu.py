"""The table of GPU performance: the script runs through on a CPU, and says what it could not measure."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu


def test_all_is_measured_in_one_call(
    tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "gpu.json"
    monkeypatch.setattr(gpu, "measure_reader", lambda count: {"paragraphs": count, "pairs_per_second": 1.0})
    gpu.main(["--device", "cpu", "--quick", "--tokenizer", str(tiny_llama), "--output", str(output)])
    parts = json.loads(output.read_text(encoding="utf8"))["parts"]
    assert list(parts) == [*(f"tiny_{bits}_{part}" for bits in ("16_bits", "nf4") for part in gpu.PARTS), "open_reader"]
    packed, trained = parts["tiny_nf4_packed"], parts["tiny_nf4_training"]
    assert packed["packed_pairs_per_second"] > 0 and packed["largest_logit_difference"] < 1e-3
    assert trained["packed_tokens_per_second"] > 0 and trained["quantization"] == "nf4"
    assert "open_reader {'paragraphs': 1" in capsys.readouterr().out


def test_what_was_not_measured_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    output = tmp_path / "gpu.json"
    gpu.main(["--output", str(output)])
    parts = json.loads(output.read_text(encoding="utf8"))["parts"]
    assert len(parts) == 3 * 2 * 2 + 1
    assert {part["measured"] for part in parts.values()} == {"no: torch finds no GPU"}
    # The clock stops where a measurement as long as the longest would not end in time.
    clock = gpu.Clock(minutes=1)
    assert clock.has_time()
    clock.longest = 40.0
    assert not clock.has_time()
    assert gpu.parameters("Mistral-7B") == pytest.approx(7e9, rel=0.03)
