"""Two builds in two processes that take turns, so that a busy machine touches both alike."""

import json
import os
import statistics
import subprocess
import sys
import time


class Build:
    """A worker on the code of one build: ``script --worker ARGUMENTS``, with that build first on the path."""

    def __init__(self, script, source, *arguments):
        command = [sys.executable, script, "--worker", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)
        self.tokens = self.heard()  # of a turn
        self.seconds = []

    def heard(self):
        """Return the next line that is a number; others are what libraries print."""
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"a worker ended with {self.process.wait()}")
            try:
                return float(line)
            except ValueError:
                continue

    def go(self):
        """Let it take a turn."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(self.heard())

    def end(self):
        """Let it go on to its end."""
        self.process.stdin.close()
        self.process.wait()


class Turns:
    """The worker's side: says how many tokens a turn has, waits before each, and says what it took."""

    def __init__(self, tokens):
        print(json.dumps(tokens), flush=True)
        sys.stdin.readline()
        self.begin = time.process_time()

    def over(self):
        """End a turn, and wait for the next."""
        print(json.dumps(time.process_time() - self.begin), flush=True)
        sys.stdin.readline()
        self.begin = time.process_time()


def compare(new, old, turns, warm):
    """Let both take turns; return tokens a CPU second of each and the quartiles of their ratio, without warm turns."""
    for number in range(turns):
        for build in (new, old) if number % 2 else (old, new):
            build.go()
    for build in (new, old):
        build.end()
    ratios = [before / now for now, before in zip(new.seconds, old.seconds, strict=True)][warm:]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    return {
        "tokens a CPU second, now": round(new.tokens / statistics.median(new.seconds[warm:]), 1),
        "tokens a CPU second, older build": round(old.tokens / statistics.median(old.seconds[warm:]), 1),
        "ratio": round(middle, 3),
        "quartiles of the ratio": [round(low, 3), round(high, 3)],
    }
