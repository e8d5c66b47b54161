"""Build the trained pipelines under pipelines/, measure them, write their cards, and pack them as wheels.

    python scripts/build_pipelines.py assemble en_ragre_semeval_sm training/full/model-best
    python scripts/build_pipelines.py assemble en_ragre_open_sm
    python scripts/build_pipelines.py assemble en_ragre_wiki_sm training/redocred/model-best --dev dev.spacy
    python scripts/build_pipelines.py measure en_ragre_semeval_sm --assets assets
    python scripts/build_pipelines.py wheels packages
    python scripts/build_pipelines.py verify --assets assets

What is said of a pipeline by hand is in configs/pipelines/NAME.json: meta, embedded models that it needs, the checks
without their values, data, licence and limits. One that nothing was trained for has its config in NAME.cfg; one with
other components before the trained ones has a config there, which takes these from `paths.trained`.
"""

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Tuple

from spacy import load as load_model
from spacy import util
from spacy.training import Example

from spacy_ragre.cli._card import CARD, Card, Check
from spacy_ragre.cli._pipelines import write_manifest
from spacy_ragre.cli._wheels import MANIFEST, META, build_wheel
from spacy_ragre.cli.calibrate import calibrate
from spacy_ragre.cli.shrink import shrink
from spacy_ragre.cli.verify import Measured, measure, verify
from spacy_ragre.components.relations.extractor import RelationExtractor
from spacy_ragre.files import file_hash
from spacy_ragre.scoring.curves import rank, reliability

SOURCES = Path("configs/pipelines")
PIPELINES = Path("pipelines")
MOST = 25_000_000
BINS = 5
SCORES = (
    "semeval_macro_f",
    "docred_p",
    "docred_r",
    "docred_f",
    "rels_micro_p",
    "rels_micro_r",
    "rels_micro_f",
    "ner_strict_f",
    "re_micro_f",
    "te_strict_f",
    "uc_micro_f",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("assemble", help="make the pipeline's folder")
    command.add_argument("name")
    command.add_argument("trained", type=Path, nargs="?", help="the trained pipeline; none where nothing was trained")
    command.add_argument(
        "--dev", type=Path, help="calibrates it again, where examples that count are left out (.spacy)"
    )
    command = commands.add_parser("measure", help="measure it, and write its card")
    command.add_argument("name")
    command.add_argument("--assets", type=Path, default=Path("assets"))
    command = commands.add_parser("wheels", help="make a wheel of each pipeline, and the manifest")
    command.add_argument("output", type=Path)
    command = commands.add_parser("verify", help="measure the headline figures of all cards again")
    command.add_argument("--assets", type=Path, default=Path("assets"))
    args = parser.parse_args()
    if args.command == "assemble":
        assemble(args.name, args.trained, args.dev)
    elif args.command == "verify":
        verify_all(args.assets)
    elif args.command == "measure":
        write_card(args.name, args.assets)
    else:
        pack(args.output)


def read_source(name: str) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): what is said of a pipeline by hand."""
    source: Dict[str, Any] = json.loads((SOURCES / f"{name}.json").read_text(encoding="utf8"))
    return source


def assemble(name: str, trained: "Path | None" = None, dev: "Path | None" = None) -> None:
    """Make a pipeline's folder anew.

    name (str): the pipeline.
    trained (Optional[Path]): the folder of the trained one; where None, it is built of its config.
    dev (Optional[Path]): development documents, for calibrating without examples.
    """
    source, folder = read_source(name), PIPELINES / name
    shutil.rmtree(folder, ignore_errors=True)
    PIPELINES.mkdir(exist_ok=True)
    config = SOURCES / f"{name}.cfg"
    with tempfile.TemporaryDirectory() as temporary:
        own = Path(temporary) / "trained"
        if trained is not None and not source.get("examples", True):
            leave_examples(trained, own, dev)
            trained = own
        whole = Path(temporary) / "whole"
        if config.is_file():
            overrides = {"paths.trained": str(trained)} if trained is not None else {}
            util.load_model_from_config(util.load_config(config, overrides), auto_fill=True).to_disk(whole)
            forget_paths(whole / "config.cfg")
        if trained is None:
            shutil.copytree(whole, folder)
        else:
            shrink(str(whole if whole.exists() else trained), folder, source["precision"])
    meta = json.loads((folder / META).read_text(encoding="utf8"))
    # The scores of training are those of the large pipeline; the card has those of this one.
    meta.update(source["meta"], lang=name.split("_")[0], name=name.split("_", 1)[1], performance={}, notes="")
    (folder / META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > MOST:
        raise SystemExit(f"{folder} has {size / 1e6:.1f} MB, more than {MOST / 1e6:.0f}")


def leave_examples(trained: Path, output: Path, dev: "Path | None") -> None:
    """Save a trained pipeline without its examples. Where they count, it is calibrated again.

    trained (Path): the pipeline.
    output (Path): the folder to save it in.
    dev (Optional[Path]): development documents (.spacy).
    """
    nlp = load_model(trained)
    counts = False
    for _, pipe in nlp.pipeline:
        if isinstance(pipe, RelationExtractor):
            counts |= pipe.predictor.calibration.weight > 0
            pipe.predictor.retriever.clear()
            pipe.predictor.pending = []
    nlp.to_disk(output)
    if counts:
        if dev is None:
            raise SystemExit(f"The examples of {trained} count: give --dev, so that it is calibrated without them.")
        calibrate(str(output), dev)


def forget_paths(file: Path) -> None:
    """Take the paths of this machine out of a config, those of the scorers, too."""
    config = util.load_config(file)
    config["paths"] = dict.fromkeys(config["paths"])
    for component in config["components"].values():
        if component.get("scorer", {}).get("train"):
            component["scorer"]["train"] = None
    config.to_disk(file)


def verify_all(assets: Path) -> None:
    """Verify each pipeline that is there; all are tried before the first failure ends the script."""
    failed = []
    for folder in sorted(path.parent for path in PIPELINES.glob(f"*/{META}")):
        try:
            verify(str(folder), assets)
        except ValueError as error:
            failed.append(str(error))
    if failed:
        raise SystemExit("\n".join(failed))


def write_card(name: str, assets: Path) -> None:
    """Measure a pipeline, and write `card.json` and the page README.md into its folder."""
    source, folder = read_source(name), PIPELINES / name
    checks: List[Check] = []
    rows: List[Dict[str, Any]] = []
    about = dict(source["about"])
    done: Dict[Tuple[str, str, int, str], Measured] = {}
    for number, given in enumerate(source["checks"]):
        check = Check(sha256=file_hash(assets / given["data"]), **given)
        key = (check.data, check.entities, check.documents, str(check.labels))
        first = key not in done
        # Figures of the same documents come from one pass.
        measured = done[key] if not first else done.setdefault(key, measure(str(folder), check, assets))
        checks.append(replace(check, value=round(float(measured.scores[check.score]), 4)))
        scores = {key: round(float(measured.scores[key]), 4) for key in SCORES if measured.scores.get(key) is not None}
        size, speed = len(measured.examples), round(len(measured.examples) / measured.seconds, 2)
        row = {"name": check.name, "entities": check.entities, "documents": size, "per_second": speed, **scores}
        rows += [row] if first else []
        if not number:
            about["calibration"] = calibration(measured.examples)
    about["figures"] = rows
    card = Card(source["needs"], checks, about)
    (folder / CARD).write_bytes(card.dump())
    meta = json.loads((folder / META).read_text(encoding="utf8"))
    (folder / "README.md").write_text(render(name, meta, card), encoding="utf8")
    print(f"Wrote {folder / CARD}: " + ", ".join(f"{c.name} {100 * c.value:.2f}" for c in checks))


def calibration(examples: Iterable[Example]) -> List[Dict[str, float]]:
    """How often relations hold, by their scores.

    examples (Iterable[Example]): documents with the same tokens, annotated by the pipeline and by hand.
    RETURNS (List[Dict[str, float]]): for each range of scores the mean `score`, the share that holds (`right`), and
        the number of `relations`.
    """
    return [
        {"score": round(part["score"], 3), "right": round(part["right"], 3), "relations": part["count"]}
        for part in reliability(rank(examples), BINS)["bins"]
    ]


def render(name: str, meta: Mapping[str, Any], card: Card) -> str:
    """RETURNS (str): the card as a page."""
    about = card.about
    lines = [f"# {name} {meta['version']}", "", meta["description"], "", "```python", "import spacy", ""]
    lines += [f'nlp = spacy.load("{name}")', "```", "", f"Install: `python -m spacy ragre download {name}`.", ""]
    lines += [f"- **Components.** {', '.join(meta['pipeline'])}. Beside this package: {', '.join(card.needs)}."]
    lines += [
        f"- **{title}.** {about[key]}" for title, key in (("Data", "data"), ("Licence", "licence")) if key in about
    ]
    lines += ["", "## Figures", "", "Written by `scripts/build_pipelines.py`; in percent.", ""]
    keys = [key for key in SCORES if any(key in row for row in about["figures"])]
    lines += ["| | entities | documents | " + " | ".join(keys) + " | documents a second |"]
    lines += ["| --- | --- | ---: |" + " ---: |" * (len(keys) + 1)]
    for row in about["figures"]:
        cells = [f"{100 * row[key]:.2f}" if key in row else "" for key in keys]
        lines.append(
            f"| {row['name']} | {row['entities']} | {row['documents']} | {' | '.join(cells)} | {row['per_second']} |"
        )
    tolerance = 100 * card.checks[0].tolerance
    lines += [
        "",
        f"`python -m spacy ragre verify {name}` measures the first of them again, within {tolerance:.1f} points.",
    ]
    lines += ["", "## What a score means", "", "On the documents of the first figure.", ""]
    lines += ["| score | holds | relations |", "| ---: | ---: | ---: |"]
    lines += [f"| {row['score']:.2f} | {row['right']:.2f} | {row['relations']} |" for row in about["calibration"]]
    lines += ["", "## Limits", "", *(f"- {limit}" for limit in about["limits"])]
    if "properties" in about:
        lines += ["", "## Labels", "", "| label | Wikidata |", "| --- | --- |"]
        lines += [f"| {label} | {number or '-'} |" for label, number in about["properties"].items()]
    return "\n".join([*lines, ""])


def pack(output: Path) -> None:
    """Make a wheel of each pipeline, and write the manifest beside the wheels and beside the pipelines."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*_ragre_*.whl"):
        old.unlink()
    for folder in sorted(path.parent for path in PIPELINES.glob(f"*/{META}")):
        print(build_wheel(folder, output))
    write_manifest(output, PIPELINES / MANIFEST)
    shutil.copy(PIPELINES / MANIFEST, output / MANIFEST)


if __name__ == "__main__":
    main()
