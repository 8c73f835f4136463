"""The reference toolkit's side of benchmarks/training.py; runs in an environment of its own, which has silabs-mltk 0.20.0.

python training_peer.py FOLDER train SPECIFICATION [OPTIONS]

The toolkit's own command line, told that FOLDER is what the download of Speech Commands gave: nothing else is changed.
"""

import sys


def main() -> None:
    """Run the command."""
    folder = sys.argv.pop(1)
    from mltk.datasets.audio.speech_commands import speech_commands_v2

    speech_commands_v2.load_data = lambda *_given, **_named: folder
    from mltk.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
