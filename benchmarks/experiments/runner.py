"""Runs the studies of `benchmarks.experiments`, and the peers of `benchmarks.peers`.

    python -m benchmarks.experiments.runner list
    python -m benchmarks.experiments.runner run four_cells training_size
    python -m benchmarks.experiments.runner run peers --only peer=tfidf --only seed=0
    make results

Each run is a process of its own, so that its memory is its own and one that fails stops no other, and writes one file,
benchmarks/results/STUDY/RUN.json. What has its file is not run again: a study that was cut off goes on, and one whose
grid grew runs what is new. `make results` writes the tables and draws the figures.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from filelock import FileLock, Timeout

from ..peers.study import PEERS
from ..results import write_run
from .plan import Place, Run, Study
from .studies import STUDIES

MODULE = "benchmarks.experiments.runner"
# Options that the process of a run is given, too.
PATHS = ("data", "work", "results")
ALL: Dict[str, Study] = {**STUDIES, "peers": PEERS}
# Takes a study and a run by their names, and writes the run's file.
Execute = Callable[[str, str], None]


def make_run(study: str, name: str, place: Place, results: Path) -> None:
    """Make one run in this process, and write its file.

    study (str): the study.
    name (str): the run.
    place (Place): where it finds its data.
    results (Path): folder of the results.
    """
    known = ALL[study]
    run = known.runs()[name]
    found = known.measure(run, place)
    row = {"name": found.name, "description": found.description, "split": found.split}
    write_run(results / study / f"{name}.json", known.title, row, run, found.scores, found.costs)


def run_study(study: str, results: Path, execute: Execute, only: Sequence[str], locks: Path) -> List[str]:
    """Make the runs of a study that have no file yet. Two processes may work on one study: each run is locked.

    study (str): the study.
    results (Path): folder of the results.
    execute (Callable[[str, str], None]): makes one run. What it raises is told, and the other runs go on.
    only (Sequence[str]): settings as KEY=VALUE that a run must have.
    locks (Path): folder for the locks.
    RETURNS (List[str]): the runs that failed.
    """
    failed = []
    locks.mkdir(parents=True, exist_ok=True)
    for name, run in ALL[study].runs().items():
        path = results / study / f"{name}.json"
        if not fits(run, only) or path.exists():
            continue
        try:
            with FileLock(locks / f"{study}-{name}.lock", timeout=0):
                # Another process may have made it meanwhile.
                if not path.exists():
                    print(f"{study}: {name}", flush=True)
                    execute(study, name)
        except Timeout:
            print(f"{study}: {name} is made by another process", flush=True)
        except (subprocess.CalledProcessError, OSError, ValueError) as error:
            print(f"{study}: {name} failed: {error}", file=sys.stderr, flush=True)
            failed.append(f"{study}: {name}")
    return failed


def start(command: Sequence[str]) -> None:
    """Start a process and wait for it. One that fails raises a CalledProcessError."""
    subprocess.run(command, check=True)


def fits(run: Run, only: Sequence[str]) -> bool:
    """RETURNS (bool): whether a run has all of the settings, as KEY=VALUE."""
    wanted = (item.partition("=") for item in only)
    return all(str(run.get(key)) == value for key, _, value in wanted)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RAGRE_ASSETS", "assets")))
    parser.add_argument("--work", type=Path, default=Path("training/experiments"), help="folder for the pipelines")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="the studies, and how many of their runs are done")
    several = commands.add_parser("run", help="make the runs that have no file yet")
    several.add_argument("studies", nargs="+", choices=ALL, metavar="STUDY", help=", ".join(ALL))
    several.add_argument("--only", action="append", default=[], metavar="KEY=VALUE", help="runs with this setting")
    one = commands.add_parser("one", help="make one run again, in this process")
    one.add_argument("study", choices=ALL, metavar="STUDY")
    one.add_argument("run", metavar="RUN")
    args = parser.parse_args(argv)
    if args.command == "list":
        for name, study in ALL.items():
            runs = study.runs()
            done = sum((args.results / name / f"{run}.json").exists() for run in runs)
            print(f"{name}: {done} of {len(runs)} runs done, {study.minutes:.0f} minutes in all. {study.title}")
        return 0
    if args.command == "one":
        if args.run not in ALL[args.study].runs():
            parser.error(f"{args.study} has no run {args.run}. It has {', '.join(ALL[args.study].runs())}.")
        make_run(args.study, args.run, Place(args.data, args.work), args.results)
        return 0

    given = [(key, getattr(args, key)) for key in PATHS if getattr(args, key) != parser.get_default(key)]
    paths = [part for key, value in given for part in (f"--{key}", str(value))]

    def execute(study: str, name: str) -> None:
        # As somebody would type it, so that the command in the run's file is the one to repeat it.
        start([sys.executable, "-m", MODULE, *paths, "one", study, name])

    failed = []
    for study in args.studies:
        failed += run_study(study, args.results, execute, args.only, args.work / "locks")
    if failed:
        print(f"Failed, and left for the next call: {'; '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
