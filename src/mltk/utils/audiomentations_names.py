"""The arguments that audiomentations' classes had before version 0.36, for specifications written then.

`min_snr_in_db` became `min_snr_db`, and so on for every argument whose name ended in `_in_db`; `lru_cache_size`, which told
how many noise files to keep in memory and changed no result, is refused since 0.43. Nothing is changed unless a
specification asks for the package by `install_pip_package('audiomentations')`.
"""

import functools
import inspect
import re
import sys
from collections.abc import Callable
from typing import Any

_OLD_ENDING, _NEW_ENDING = "_in_db", "_db"
_MARK = "_mltk_accepts_old_names"
_CACHE_SIZE = "lru_cache_size"
_FIRST_WITHOUT_CACHE = (0, 43)


def accept_old_names() -> None:
    """Let the classes of audiomentations take `*_in_db` arguments for `*_db`, in this process.

    An argument is renamed only if the class has one of the new name, and the cache's size dropped only where it is
    refused, so it works with every version. Nothing
    happens if the package is not installed, or on a second call.
    """
    try:
        import audiomentations
    except ImportError:
        return
    if hasattr(audiomentations, _MARK):
        return
    version = tuple(int(part) for part in re.findall(r"\d+", audiomentations.__version__)[:2])
    dropped = (_CACHE_SIZE,) if version >= _FIRST_WITHOUT_CACHE else ()
    for value in list(vars(audiomentations).values()):
        if inspect.isclass(value) and "__init__" in vars(value):
            setattr(value, "__init__", _renaming(value.__init__, dropped))  # noqa: B010
    setattr(audiomentations, _MARK, True)


def are_accepted() -> bool:
    """Tell whether `accept_old_names` was called in this process."""
    return hasattr(sys.modules.get("audiomentations"), _MARK)


def _renaming(init: Callable[..., None], dropped: tuple[str, ...]) -> Callable[..., None]:
    known = inspect.signature(init).parameters

    @functools.wraps(init)
    def renamed(self: Any, *args: Any, **kwargs: Any) -> None:
        for name in dropped:
            kwargs.pop(name, None)
        for old in [name for name in kwargs if name.endswith(_OLD_ENDING)]:
            new = old.removesuffix(_OLD_ENDING) + _NEW_ENDING
            if new in known and new not in kwargs:
                kwargs[new] = kwargs.pop(old)
        init(self, *args, **kwargs)

    return renamed
