"""How busy a server is kept: what it needs itself, as a share of the time that `nlp.pipe` takes.

    python -m benchmarks.remote --documents 320 --seconds 1 --work 0.005

The server stands in for a real one: each request takes it the same time, and it works on 16 at once. It runs in a
process of its own. Before the component asks, a pipe does as much work on each document as a small recogniser does, so
that what is measured is a pipeline and not a loop of requests. On a machine that others use, give it a core of its own
(`chrt -r 1`): what is measured is else how long it waits for one.
"""

import argparse
import asyncio
import json
import multiprocessing
import re
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Dict

import spacy
from spacy.language import Language
from spacy.tokens import Doc

from .results import merge

NAME = "rag_relation_extractor"
LABELS = {"founded_by": "was founded by", "located_in": "is located in"}
TEXT = "Acme number {0} was founded by Ann Smith. Acme number {0} is located in Rome. Ann Smith lives in Paris."


async def serve(seconds: float, places: int, told: Connection) -> None:
    slots = asyncio.Semaphore(places)
    done = 0

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal done
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
                asked = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
                async with slots:
                    await asyncio.sleep(seconds)
                    done += 1
                numbers = re.findall(r"^(\d+): X", asked, re.MULTILINE)
                choice = {"message": {"content": json.dumps(dict.fromkeys(numbers, "B"))}, "finish_reason": "stop"}
                body = json.dumps({"choices": [choice]}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
                writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    while True:
        await asyncio.sleep(0.05)
        if told.poll():
            told.recv()
            told.send(done)


def run_server(seconds: float, places: int, told: Connection) -> None:
    asyncio.run(serve(seconds, places, told))


def make_nlp(port: int, places: int, work: float) -> Language:
    @Language.component("benchmark_work")
    def busy(doc: Doc) -> Doc:
        until = time.perf_counter() + work
        while time.perf_counter() < until:
            pass
        return doc

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    names = (("ORG", "Acme"), ("PERSON", "Ann Smith"), ("GPE", "Rome"), ("GPE", "Paris"))
    patterns: Any = [{"label": label, "pattern": name} for label, name in names]
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns(patterns)
    nlp.add_pipe("benchmark_work")
    url = f"http://127.0.0.1:{port}/v1"
    backbone = {"@ragre_backbones": "ragre.OpenAI.v1", "name": "fixed", "url": url, "concurrency": places}
    model = {"@architectures": "ragre.LabelModel.v1", "backbone": backbone}
    nlp.add_pipe(NAME, config={"labels": LABELS, "n_examples": 0, "model": model})
    return nlp


def measure(documents: int, seconds: float, places: int, batch_size: int, work: float) -> Dict[str, Any]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=run_server, args=(seconds, places, theirs), daemon=True
    )
    process.start()
    nlp = make_nlp(ours.recv(), places, work)
    list(nlp.pipe(["Acme was founded by Ann Smith."]))  # all is loaded and connected before the clock starts
    texts = [TEXT.format(number) for number in range(documents)]
    ours.send(None)
    before = ours.recv()
    start, cpu = time.perf_counter(), time.process_time()
    relations = sum(len(doc._.relations) for doc in nlp.pipe(texts, batch_size=batch_size))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    ours.send(None)
    requests = ours.recv() - before
    process.terminate()
    if requests != documents or relations < documents:
        raise RuntimeError(f"{requests} requests and {relations} relations of {documents} documents")
    needed = requests * seconds / places
    return {
        "documents": documents,
        "seconds_a_request": seconds,
        "concurrency": places,
        "batch_size": batch_size,
        "work_a_document": work,
        "seconds": wall,
        "seconds_the_server_needs": needed,
        "milliseconds_of_cpu_a_document": 1000 * cpu / documents,
        "busy": needed / wall,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=640)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=0.5, help="that the server takes for a request")
    parser.add_argument("--work", type=float, default=0.01, help="seconds of other pipes on a document")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/remote.json"))
    args = parser.parse_args()
    for batch_size in (32, 128):
        found = measure(args.documents, args.seconds, args.concurrency, batch_size, args.work)
        print(f"batches of {batch_size}: busy {found['busy']:.1%}")
        merge(args.output, "A server that is kept busy", {f"batches of {batch_size}": found})


if __name__ == "__main__":
    main()
