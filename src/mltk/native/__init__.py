"""The C99 core: sources that become Python extensions here and firmware on a chip."""

from pathlib import Path

SOURCE_DIR = Path(__file__).parent
"""Folder of the C stages; each sub-folder (frontend, detector, kernels) is one stage without dependencies on Python."""
