"""Run the benchmarks that compare with peers, one after the other, and write one table and one picture of them all.

    python benchmarks/everything.py [FOLDER] [--reference PYTHON] [--only frontend,feed] [--quick]

`make bench` calls this with the peers installed. FOLDER (default: bench) gets a log and a .json of each benchmark, `summary.md`
and `summary.png`. Each benchmark interleaves ours and the peers in one run and takes medians. A benchmark that fails is told
at the end, with exit code 1; the others go on.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from report import Report, read, table

HERE = Path(__file__).resolve().parent
# name -> (arguments, arguments with --quick, name of the option that takes the reference's Python)
BENCHMARKS: dict[str, tuple[list[str], list[str], str]] = {
    "frontend": ([], [], "--reference"),
    "feed": ([], ["--epochs", "2", "--rounds", "1"], "--reference"),
    "startup": ([], ["--quick"], "--reference"),
    "training": ([], ["--quick"], "--reference"),
    "scaling": ([], ["--quick"], ""),
}


def run(name: str, folder: Path, reference: str | None, *, quick: bool) -> bool:
    """Run a benchmark; show its output and keep it in FOLDER/NAME.log.

    Returns:
        Whether it ended well.

    """
    arguments, quick_arguments, option = BENCHMARKS[name]
    command = [sys.executable, str(HERE / f"{name}.py"), "--output", str(folder)]
    command += quick_arguments if quick else arguments
    if reference and option:
        command += [option, reference]
    print(f"\n== {name}", flush=True)
    started = time.monotonic()
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                log.write(line)
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    print(f"== {name}: {time.monotonic() - started:.0f} s, exit {code}", flush=True)
    return code == 0


def summarize(folder: Path) -> None:
    """Write summary.md and summary.png of all reports in the folder."""
    parts, reports = [], []
    for name in BENCHMARKS:
        place = folder / f"{name}.json"
        if place.exists():
            report, about = read(place)
            reports.append(report)
            parts += [f"## {report.title}", "", *table(report.figures), "", *report.notes, ""]
            parts += [f"`{about['command']}`, {about['date']}; {about['machine']}", ""]
    (folder / "summary.md").write_text("\n".join(parts))
    if reports:
        draw(reports, folder / "summary.png")
        print("\n".join(parts))


def draw(reports: list[Report], place: Path) -> None:
    """Draw how many times better than a peer each figure is, with its goal; limits are in the table only."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = [figure for report in reports for figure in report.figures if figure.peer is not None][::-1]
    if not figures:
        return
    colours = ["#2a78b5" if figure.met else "#c8502f" for figure in figures]
    picture, axes = pyplot.subplots(figsize=(9, 1.2 + 0.34 * len(figures)), layout="constrained")
    heights = range(len(figures))
    axes.barh(heights, [figure.ratio for figure in figures], color=colours, height=0.62)
    axes.scatter(
        [figure.goal for figure in figures], heights, marker="|", s=220, color="black", label="goal", zorder=3
    )
    names = [f"{figure.what}\nbeside {figure.peer_name}" for figure in figures]
    axes.set_yticks(heights, names, fontsize=7)
    for height, figure in zip(heights, figures, strict=True):
        axes.annotate(
            f" {figure.ratio:.1f} x", (max(figure.ratio, figure.goal), height), va="center", fontsize=8
        )
    axes.set_xscale("log")
    low, high = min(0.8, *(figure.ratio for figure in figures)), max(figure.ratio for figure in figures)
    axes.set_xlim(low, 2 * high)
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= 2 * high]
    axes.set_xticks(ticks, [f"{tick:g} x" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.set_xlabel("times as fast as the peer in the same run")
    axes.legend(loc="lower right", fontsize=8, markerscale=0.6)
    axes.margins(y=0.02)
    picture.savefig(place, dpi=130)
    pyplot.close(picture)


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("bench"))
    parser.add_argument("--reference", help="Python of the environment with silabs-mltk")
    parser.add_argument("--only", default=",".join(BENCHMARKS), help="which, with commas between them")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: does it run?")
    options = parser.parse_args()
    if options.reference:
        # Not resolved: the link itself is what makes it the environment's Python. Some benchmarks run it elsewhere.
        options.reference = str(Path(options.reference).absolute())
    wanted = [name.strip() for name in options.only.split(",")]
    unknown = sorted(set(wanted) - set(BENCHMARKS))
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}: choose of {', '.join(BENCHMARKS)}")
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Made anew where a benchmark runs again: a report of an older run must not stand for one that failed.
    for name in wanted:
        (folder / f"{name}.json").unlink(missing_ok=True)
    failed = [name for name in wanted if not run(name, folder, options.reference, quick=options.quick)]
    summarize(folder)
    if failed:
        sys.exit(f"Failed: {', '.join(failed)} (see their logs in {folder})")


if __name__ == "__main__":
    main()
