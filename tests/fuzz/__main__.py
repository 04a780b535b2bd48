"""``python -m tests.fuzz --minutes 5 [--seed N]``: as many cases as fit; the first finding is written to a file."""

import argparse
import collections
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.fuzz.inputs import KINDS, SHARES, as_json
from tests.fuzz.judge import GIBIBYTES, Finding, emptied, judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=KINDS, help="cases of this kind alone")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run the case of a finding again")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTES << 30, GIBIBYTES << 30))
    os.environ["COLUMNS"] = "160"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "cases"
        if options.repeat is not None:
            print(judge(json.loads(options.repeat.read_text()), emptied(folder)))
            return 0
        return fuzz(options.minutes, options.seed, options.kind, folder)


def fuzz(minutes: float, seed: int, kind: str | None, folder: Path) -> int:
    names = [kind] if kind else [name for name in KINDS for _ in range(SHARES.get(name, 30))]
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    slowest = (0.0, "")
    random = Random(seed)
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        name = random.choice(names)
        case = KINDS[name](random)
        clock = time.process_time()
        try:
            counts[name, judge(case, emptied(folder))] += 1
        except Finding as finding:
            file = Path(f"finding-{seed}-{sum(counts.values())}.json")
            file.write_text(as_json(case))
            print(f"{name}: {finding}\nAgain: python -m tests.fuzz --repeat {file}", file=sys.stderr)
            return 1
        finally:
            slowest = max(slowest, (time.process_time() - clock, name))
            report(counts, slowest) if sum(counts.values()) % 5000 == 4999 else None
    report(counts, slowest)
    return 0


def report(counts: "collections.Counter[tuple[str, str]]", slowest: tuple[float, str]) -> None:
    """What has been tried so far."""
    for name in KINDS:
        accepted, refused = counts[name, "accepted"], counts[name, "refused"]
        if accepted + refused:
            print(f"{name:14} {accepted:8,} accepted {refused:8,} refused")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{sum(counts.values()):,} cases, no finding; slowest {slowest[0]:.2f} s ({slowest[1]}), peak {peak:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
