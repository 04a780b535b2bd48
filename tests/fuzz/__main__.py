"""``python -m tests.fuzz --minutes 5 [--seed N]``: as many cases as fit; the smallest finding is written to a file."""

import argparse
import collections
import itertools
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings

from tests.fuzz.inputs import KINDS, Case, as_json
from tests.fuzz.judge import GIBIBYTES, Finding, emptied, judge

EXAMPLES = {"request": 500, "nested file": 30, "run": 100, "sweep folder": 100, "command": 100}
"""The number of examples of the kinds that take longer."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--cases", type=int, help="stop after this many cases, however long they take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="only cases of this kind")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run the case of a finding again")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTES << 30, GIBIBYTES << 30))
    os.environ["COLUMNS"] = "160"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cases"
        if options.repeat is not None:
            print(judge(json.loads(options.repeat.read_text()), emptied(folder)))
            return 0
        return fuzz(options.minutes, options.cases, options.seed, options.kind, folder)


def fuzz(minutes: float, cases: int | None, first_seed: int, kind: str | None, folder: Path) -> int:
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    slowest = (0.0, "")
    end = time.monotonic() + 60 * minutes
    for number in itertools.count(first_seed):
        for name in [kind] if kind else [*KINDS]:
            clock = time.process_time()
            try:
                try_many(name, number, counts, folder)
            except Finding as finding:
                file = Path(f"finding-{number}.json")
                file.write_text(as_json(finding.args[1]))
                print(f"{name}: {finding.args[0]}\nAgain: python -m tests.fuzz --repeat {file}", file=sys.stderr)
                return 1
            slowest = max(slowest, (time.process_time() - clock, name))
            if time.monotonic() > end if cases is None else counts.total() >= cases:
                report(counts, slowest)
                return 0
        report(counts, slowest)
    return 0


def try_many(name: str, number: int, counts: "collections.Counter[tuple[str, str]]", folder: Path) -> None:
    """Try cases of a kind; Hypothesis reduces a finding to a small case, which is the second argument of the error."""

    @seed(number)
    @settings(
        max_examples=EXAMPLES.get(name, 1000), deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(KINDS[name])
    def attempt(case: Case) -> None:
        try:
            counts[name, judge(case, emptied(folder))] += 1
        except Finding as finding:
            raise Finding(str(finding), case) from None

    attempt()


def report(counts: "collections.Counter[tuple[str, str]]", slowest: tuple[float, str]) -> None:
    """What has been tried so far."""
    for name in KINDS:
        accepted, refused = counts[name, "accepted"], counts[name, "refused"]
        if accepted + refused:
            print(f"{name:14} {accepted:8,} accepted {refused:8,} refused")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{sum(counts.values()):,} cases, no finding; "
        f"slowest kind {slowest[0]:.1f} s ({slowest[1]}), peak {peak:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
