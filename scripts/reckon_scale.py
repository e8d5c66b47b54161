"""What 100 million documents take: pairs, tokens, operations, hours and money, from rates that were measured.

    python scripts/reckon_scale.py          # writes the table of docs/scale.md
    python scripts/reckon_scale.py --check  # writes nothing; the exit code is 1 where it is stale

Rates of a CPU are those of `benchmarks/results`, of the machine with two cores that they name. Rates of a GPU are not
measured here: they are reckoned from the operations, the published peak of the GPU, and a share of it that is assumed.
"""

import argparse
import json
import math
import re
import statistics
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "scale.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- scale:begin -->", "<!-- scale:end -->"

DOCUMENTS = 100_000_000
#: Parameters of a larger language model: each token takes two operations of each.
LARGE = 7.0e9
#: Dense products of 16-bit numbers a second: NVIDIA's data sheet of the H100 SXM.
GPU_PEAK = 989e12
#: The share of the peak that prefill reaches. 0.4 is cautious: Pope et al. 2022 (arXiv 2211.05102) report up to 0.76.
GPU_SHARE = 0.4
#: Dollars an hour, of list prices in 2026: an H100 costs 2 to 5; a machine with two virtual cores about 0.1.
GPU_PRICE = 3.0
CPU_PRICE = 0.1


#: Words of a paragraph, and those that a recogniser of entities on a CPU reads a second: spaCy's published figure for
#: en_core_web_lg (https://spacy.io/usage/facts-figures).
WORDS = 80
RECOGNISER = 10_014


class Way(NamedTuple):
    """One way to read documents.

    name (str): what reads.
    seconds (float): of one machine with two cores or one GPU, a document.
    rate (str): "measured", "published" or "reckoned".
    pairs (Optional[float]): pairs of a document that are asked about, where it asks about pairs.
    tokens (Optional[float]): tokens of a document and its pairs, where a language model reads.
    operations (Optional[float]): floating-point operations a document, where a language model reads.
    gpu (bool): whether it is a GPU.
    """

    name: str
    seconds: float
    rate: str = "measured"
    pairs: Optional[float] = None
    tokens: Optional[float] = None
    operations: Optional[float] = None
    gpu: bool = False


def read_results(folder: Path = RESULTS) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): the results that are used, by the names of their files."""
    files = ("zero_shot_speed", "packed_scoring", "throughput", "cpu_paths", "pair_filter", "pair_filter_speed")
    return {name: json.loads((folder / f"{name}.json").read_text(encoding="utf8")) for name in files}


def kept_share(rows: Sequence[Dict[str, Any]]) -> float:
    """rows (Sequence[Dict[str, Any]]): scores of the filter of pairs.
    RETURNS (float): the share of all pairs that it keeps, at a recall of 0.8.
    """
    scores = next(row["scores"] for row in rows if row["name"] == "recall 0.8 on dev")
    precision, recall, dropped = (statistics.mean(scores[f"pairs_{name}"]) for name in ("p", "r", "dropped"))
    # Kept pairs without a relation, by what is kept with one and by what is dropped without one.
    related = (1 - dropped) / (recall / precision * (1 - precision) + 1 - dropped)
    share: float = related * recall / precision
    return share


def ways(results: Dict[str, Any]) -> List[Way]:
    """results (Dict[str, Any]): what `read_results` gave.
    RETURNS (List[Way]): the ways, paragraphs before whole documents.
    """
    reader = results["zero_shot_speed"]["parts"]["8_labels"]
    packed = results["packed_scoring"]["parts"]
    whole, product = packed["documents"], packed["efficiency"]
    int8 = results["cpu_paths"]["parts"]["language model, 2 documents of 200 pairs"]["openvino_int8_pairs_per_second"]
    filters = {row["name"]: row["costs"]["documents_per_second"] for row in results["pair_filter_speed"]["rows"]}
    sentences = results["throughput"]["parts"]["sentences"]
    few = reader["pairs"] / reader["paragraphs"]
    many = whole["pairs"] / whole["documents"]
    # Both were measured with the same model and documents.
    a_pair = product["tokens_per_second"] / whole["packed_pairs_per_second"]
    a_token = 1e9 * product["gflops"] / product["tokens_per_second"]
    kept = kept_share(results["pair_filter"]["rows"]) * many

    def on_gpu(name: str, pairs: float, operations: float) -> Way:
        total = pairs * a_pair * operations
        return Way(name, total / (GPU_PEAK * GPU_SHARE), "reckoned", pairs, pairs * a_pair, total, True)

    def on_cpu(name: str, pairs: float, rate: float) -> Way:
        return Way(name, pairs / rate, "measured", pairs, pairs * a_pair, pairs * a_pair * a_token)

    return [
        Way("paragraphs: a recogniser of entities", WORDS / RECOGNISER, "published"),
        Way("paragraphs: the reader of open labels", few / reader["pairs_per_second"], pairs=few),
        Way("sentences: SmolLM2-135M", 1 / sentences["documents_per_second"], pairs=1),
        Way("whole documents: the filter of pairs", 1 / filters["pair_candidate_filter, openvino"], pairs=many),
        on_cpu("whole documents: SmolLM2-135M in 8 bits, pairs that the filter keeps", kept, int8),
        on_cpu("whole documents: SmolLM2-135M, all pairs", many, whole["packed_pairs_per_second"]),
        on_gpu("whole documents: SmolLM2-135M, all pairs", many, a_token),
        on_gpu("whole documents: 7 billion parameters, pairs that the filter keeps", kept, 2 * LARGE),
        on_gpu("whole documents: 7 billion parameters, all pairs", many, 2 * LARGE),
    ]


def render(results: Dict[str, Any]) -> str:
    """results (Dict[str, Any]): what `read_results` gave.
    RETURNS (str): the table, Markdown.
    """
    header = ("what reads", "pairs", "tokens", "operations", "on", "rate", "hours of one", "for one day", "dollars")
    lines = [f"| {' | '.join(header)} |", "|---|---:|---:|---:|---|---|---:|---:|---:|"]
    for way in ways(results):
        hours = DOCUMENTS * way.seconds / 3600
        machines = max(1, math.ceil(hours / 24))
        cells = [
            way.name,
            "" if way.pairs is None else _large(DOCUMENTS * way.pairs),
            "" if way.tokens is None else _large(DOCUMENTS * way.tokens),
            "" if way.operations is None else f"{DOCUMENTS * way.operations:.1e}",
            "H100" if way.gpu else "2 CPU cores",
            way.rate,
            f"{hours:,.0f}",
            f"{machines:,}",
            f"{hours * (GPU_PRICE if way.gpu else CPU_PRICE):,.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _large(number: float) -> str:
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:.0f}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail where the table is stale")
    args = parser.parse_args(argv)
    text = PAGE.read_text(encoding="utf8")
    block = f"{BEGIN}\n\n{render(read_results())}\n{END}"
    new = re.sub(f"{BEGIN}.*?{END}", lambda _: block, text, flags=re.DOTALL)
    if new == text:
        return 0
    if args.check:
        print(f"{PAGE} is stale. Run: python scripts/reckon_scale.py", file=sys.stderr)
        return 1
    PAGE.write_text(new, encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
