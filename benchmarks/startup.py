"""Wall time of the light commands, each in a fresh process: median of several runs.

python benchmarks/startup.py MODEL.mltk.zip
"""

import statistics
import subprocess
import sys
import time

RUNS = 9


def seconds(*arguments: str) -> float:
    """Return the median wall time of a command."""
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        command = [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments]
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    """Measure an empty Python, the help, and the commands that read a model."""
    model = sys.argv[1]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    print(f"python -c '': {time.perf_counter() - started:.3f} s")
    for arguments in (["--help"], ["summarize", model, "--tflite"], ["profile", model]):
        print(f"mltk {' '.join(arguments)}: {seconds(*arguments):.3f} s")


if __name__ == "__main__":
    main()
