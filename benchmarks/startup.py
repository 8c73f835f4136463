"""Wall and CPU time of the light commands, each in a fresh process: medians of several runs.

python benchmarks/startup.py MODEL.mltk.zip
"""

import resource
import statistics
import subprocess
import sys
import time

RUNS = 9


def seconds(*arguments: str) -> str:
    """Return a command's median wall time and its median CPU time (user and system)."""
    times, cpu = [], []
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        command = [sys.executable, "-c", "from mltk.cli.main import main; main()", *arguments]
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return f"{statistics.median(times):.3f} s, CPU {statistics.median(cpu):.3f} s"


def main() -> None:
    """Measure an empty Python, the help, and the commands that read a model."""
    model = sys.argv[1]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True)
    print(f"python -c '': {time.perf_counter() - started:.3f} s")
    for arguments in (["--help"], ["summarize", model, "--tflite"], ["profile", model]):
        print(f"mltk {' '.join(arguments)}: {seconds(*arguments)}")


if __name__ == "__main__":
    main()
