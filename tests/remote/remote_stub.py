"""The `mltk.cli.main` of the other machine in the tests that need no true training: quick, and telling what it saw."""

import os
import signal
import sys
import time
import zipfile
from pathlib import Path

SECONDS = 0.02


def option(name: str, default: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def main() -> None:
    stopped = False

    def stop(number: int, frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGINT, stop)
    command, model = sys.argv[1], sys.argv[2]
    name = model.removesuffix("-test").removesuffix(".mltk.zip").removesuffix(".py")
    print("cwd", Path.cwd(), "arguments", sys.argv[1:], "VALUE", os.environ.get("VALUE"), flush=True)
    epochs = int(option("--epochs", "3"))
    for epoch in range(epochs):
        print(f"epoch {epoch:05d}", flush=True)
        time.sleep(SECONDS)
        if stopped:
            print("stopped early", flush=True)
            break
    code = int(option("--seed", "0"))
    if command == "train" and code != 9:
        archive = f"{name}{'-test' if model.endswith('-test') else ''}.mltk.zip"
        with zipfile.ZipFile(archive, "w") as target:
            target.writestr(f"{name}.py", "# trained\n")
            target.writestr("train/log.txt", f"{epoch + 1} epochs\n")
        if code == 8:
            Path(archive).write_bytes(b"no zip")
    sys.exit(code if code < 8 else 0)
