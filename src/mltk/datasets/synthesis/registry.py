"""Which synthesizers there are, by name."""

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

from mltk.datasets.synthesis.interface import Synthesizer
from mltk.utils.errors import DatasetError, MissingExtraError
from mltk.utils.text import suggestion


@dataclass(frozen=True)
class _Engine:
    module: str
    class_name: str
    needs: str


_ENGINES = {
    "espeak": _Engine("mltk.datasets.synthesis.espeak", "EspeakSynthesizer", "espeakng_loader"),
    "hibari": _Engine("mltk.datasets.synthesis.hibari", "HibariSynthesizer", "hibari"),
}

ENGINES = tuple(_ENGINES)
"""The engines that come with the package; 'mixed' stands for all of them."""


def resolve_engines(names: Sequence[str]) -> tuple[str, ...]:
    """Check the names of engines before anything is spoken; 'mixed' becomes all of the package's own.

    Raises:
        DatasetError: an engine is unknown, or none is named.
        MissingExtraError: an engine's package is not installed.

    """
    resolved: list[str] = []
    for name in names:
        for engine in ENGINES if name == "mixed" else (name,):
            if engine not in resolved:
                resolved.append(engine)
    if not resolved:
        raise DatasetError(f"No synthesizer is named: take one of {', '.join(ENGINES)}, or mixed")
    for engine in resolved:
        _check(engine)
    return tuple(resolved)


def _check(name: str) -> None:
    if name in _ENGINES:
        if importlib.util.find_spec(_ENGINES[name].needs) is None:
            raise MissingExtraError("synth", f"The synthesizer {name}")
    elif ":" not in name:
        known = (*ENGINES, "mixed")
        raise DatasetError(
            f"There is no synthesizer '{name}'{suggestion(name, known)} Take one of {', '.join(known)}, "
            "or name a class of yours as module:Class"
        )


def load_synthesizer(name: str) -> Synthesizer:
    """Make a synthesizer; called in the worker process only, because its library may keep global state.

    Raises:
        DatasetError: there is no such engine.
        MissingExtraError: its package is not installed.

    """
    _check(name)
    engine = _ENGINES.get(name)
    module, _, class_name = (engine.module, "", engine.class_name) if engine else name.partition(":")
    try:
        factory = getattr(importlib.import_module(module), class_name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise DatasetError(f"The synthesizer {name} can not be loaded: {error}") from error
    synthesizer: Synthesizer = factory()
    return synthesizer
