"""A user's function on its way to the worker processes, and its calls there.

Nothing of TensorFlow here: a worker loads it only if the user's function needs it.
"""

import hashlib
import pickle
import random
import sysconfig
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.utils import audiomentations_names
from mltk.utils.errors import DatasetError, MltkError
from mltk.utils.logging import get_mltk_logger

_FUNCTIONS_KEPT = 8
_LARGE_BYTES = 8 * 1024 * 1024
_ITEMS_NAMED = 3


@dataclass(frozen=True, slots=True)
class Shipment:
    """A function with the globals that it needs, packed for workers.

    Attributes:
        name: the function's name.
        digest: tells shipments apart; a worker unpacks each of them once, so that what the function keeps in its
            globals stays from batch to batch.
        packed: function and further globals, pickled.
        old_audiomentations_names: the worker has to accept them too.

    """

    name: str
    digest: bytes
    packed: bytes
    old_audiomentations_names: bool


def ship(function: Callable[..., Any]) -> Shipment:
    """Pack a function for worker processes.

    A function of a script (`__main__`) or of a model specification travels with its code and the globals that it names,
    also those that it reaches as `globals().get('name')`; one of an importable module by its name.

    Raises:
        DatasetError: it is not callable, or something that it uses can not be sent to another process.

    """
    import cloudpickle

    name = getattr(function, "__qualname__", type(function).__name__)
    if not callable(function):
        raise DatasetError(f"parallel_process needs a function that makes a batch, not {function!r}")
    try:
        packed = cloudpickle.dumps((function, _globals_named_as_text(function)))
    except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise DatasetError(
            f"The function {name} can not be sent to worker processes: something that it uses can not be pickled "
            f"({_first_line(error)}); make that inside of the function"
        ) from error
    if len(packed) > _LARGE_BYTES:
        get_mltk_logger().warning(
            "The function %s takes %.0f MB of globals along with every batch: load them inside of it",
            name,
            len(packed) / 1e6,
        )
    return Shipment(name, hashlib.sha256(packed).digest(), packed, audiomentations_names.are_accepted())


def call(shipment: Shipment, arguments: tuple[Any, ...], seed: tuple[int, ...]) -> list[NDArray[Any]]:
    """Call the function in a worker.

    Args:
        shipment: the function.
        arguments: what it is called with: the parts of one element of the data set.
        seed: for the global random generators of Python and numpy.

    Returns:
        The arrays that it returned.

    Raises:
        MltkError: what it raised, if that is one.
        DatasetError: it raised anything else; the sentence names the function, its line and the item.

    """
    state = np.random.SeedSequence(seed).generate_state(2)
    np.random.seed(int(state[0]))  # noqa: NPY002 - what users' functions draw from
    random.seed(int(state[1]))
    function = _unpack(shipment)
    try:
        result = function(*arguments)
    except MltkError as error:
        error.add_note(_trace(error))
        raise
    except BaseException as error:  # noqa: BLE001 - a user's code may raise anything
        failure = DatasetError(_sentence(shipment.name, error, arguments))
        failure.add_note(_trace(error))
        # Its own error may be of a class that only this worker knows, so it stays here.
        raise failure from None
    return [np.asarray(part) for part in (result if isinstance(result, tuple | list) else (result,))]


_unpacked: OrderedDict[bytes, Callable[..., Any]] = OrderedDict()


def _unpack(shipment: Shipment) -> Callable[..., Any]:
    function = _unpacked.get(shipment.digest)
    if function is None:
        try:
            function, further = pickle.loads(shipment.packed)
        except (ImportError, AttributeError, pickle.UnpicklingError) as error:
            raise DatasetError(
                f"A worker process can not load the function {shipment.name}: {_first_line(error)}"
            ) from None
        for name, value in further.items():
            function.__globals__.setdefault(name, value)
        _unpacked[shipment.digest] = function
    _unpacked.move_to_end(shipment.digest)
    while len(_unpacked) > _FUNCTIONS_KEPT:
        _unpacked.popitem(last=False)
    if shipment.old_audiomentations_names:
        audiomentations_names.accept_old_names()
    return function


def _globals_named_as_text(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the globals whose names are strings in a function that calls `globals()`: pickling does not see that
    it uses them. What can not be pickled is left out.
    """
    import cloudpickle

    if not isinstance(function, FunctionType):
        return {}
    found: dict[str, Any] = {}
    for code in _codes(function):
        if "globals" not in code.co_names:
            continue
        for name in code.co_consts:
            if isinstance(name, str) and name in function.__globals__ and name not in found:
                try:
                    cloudpickle.dumps(function.__globals__[name])
                except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError):
                    continue
                found[name] = function.__globals__[name]
    return found


def _codes(function: FunctionType) -> Iterator[CodeType]:
    """Give the code of a function, of functions inside of it, and of those of its module that it calls."""
    seen: set[CodeType] = set()
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        if code in seen:
            continue
        seen.add(code)
        yield code
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        for name in code.co_names:
            other = function.__globals__.get(name)
            if isinstance(other, FunctionType) and other.__globals__ is function.__globals__:
                waiting.append(other.__code__)


def _sentence(name: str, error: BaseException, arguments: tuple[Any, ...]) -> str:
    text = _first_line(error)
    told = type(error).__name__ + (f": {text}" if text else "")
    items = _texts(arguments)
    where = "" if any(item in text for item in items) else _items_in_work(error, items)
    line = _line_in_function(error)
    return f"The function {name} failed in a worker process{line}{where}: {told}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _texts(arguments: tuple[Any, ...]) -> set[str]:
    """Return the texts in a batch, such as paths."""
    found: set[str] = set()
    for argument in arguments:
        array = np.asarray(argument)
        if array.dtype.kind in "OSU":
            found.update(text for text in map(_as_text, array.ravel().tolist()) if text)
    return found


def _as_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def _items_in_work(error: BaseException, items: set[str]) -> str:
    """Tell which items of the batch the function's variables held when it failed; else, where the batch is from."""
    held: dict[str, str] = {}
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        for name, value in frame.f_locals.items():
            text = _as_text(value)
            if text in items and frame.f_code is not _sentence.__code__:
                held.setdefault(text, f"{name} = {text}")
        if held:
            return f", with {', '.join(list(held.values())[:_ITEMS_NAMED])}"
    if not items:
        return ""
    more = f" and {len(items) - 1} more items" if len(items) > 1 else ""
    return f", in the batch of {min(items)}{more}"


def _line_in_function(error: BaseException) -> str:
    """Tell the innermost line that is the user's: not of Python, an installed package or this one."""
    others = [
        Path(__file__).parents[1],
        *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")),
    ]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = Path(frame.f_code.co_filename)
        if file.is_absolute() and not any(folder in file.parents for folder in others):
            return f" ({file.name}, line {line})"
    return ""


def _trace(error: BaseException) -> str:
    return "In the worker process:\n" + "".join(traceback.format_exception(error))
