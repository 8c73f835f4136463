"""`parallel_process`: a function over a tf.data.Dataset in worker processes, in order."""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mltk.datasets.pool import ProcessPool, SharedPools, worker_count
from mltk.datasets.tf_dataset_failures import kept_failures
from mltk.datasets.tf_dataset_worker import Shipment, call, ship
from mltk.utils.errors import DatasetError

_ADVICE = "give parallel_process fewer `n_jobs`, or smaller batches"

_pools = SharedPools(lambda n_workers: ProcessPool(n_workers, _ADVICE))


def parallel_process(
    dataset: Any,
    function: Callable[..., Any],
    dtype: Any = np.float32,
    n_jobs: float = 4,
    name: str = "parallel_process",
    *,
    seed: int = 42,
) -> tuple[Any, "ParallelPool"]:
    """Call a function on each element of a tf.data.Dataset, in worker processes (historical MLTK function).

    The elements come out in the order in which they went in. Before each call the global generators of `random` and
    `numpy.random` are seeded by `seed`, the epoch and the element's number, so the result is the same with any
    number of workers.

    The first element is worked on at once, since its result tells the output's shape; the first iteration uses it.

    Args:
        dataset: a tf.data.Dataset, usually of batches of file paths, labels and the like.
        function: takes the parts of an element as numpy arrays (texts as bytes) and returns an array, or a tuple of
            arrays if `dtype` is one. It may be of the main script and use that script's globals: it gets a
            copy of them, one in each worker, that it keeps from call to call.
        dtype: of the array that it returns, or a tuple of them.
        n_jobs: worker processes: a number, clamped to the machine's processors, or as a float up to 1.0 a
            share of these. Calls that ask for as many share the processes.
        name: for messages.
        seed: see above; 0 or more.

    Returns:
        The data set of results, and its pool, whose `shutdown()` ends the worker processes (when the last data set
        that uses them is shut down). They also end with the program, however that ends, and when the data set
        and the pool are no more used.

    Raises:
        DatasetError: the function can not be sent to another process, fails on the first element or returns
            something else than `dtype`; n_jobs is not above 0; the data set is empty. While the data set is read,
            TensorFlow wraps these errors: `tf_dataset_failures.failure_of` gets them out, as the training does.

    """
    import tensorflow as tf

    dtypes = tuple(
        np.dtype(_numpy_type(part)) for part in (dtype if isinstance(dtype, tuple | list) else (dtype,))
    )
    pool = ParallelPool(name, worker_count(n_jobs, "n_jobs"))
    try:
        work = _Work(dataset, ship(function), dtypes, pool, seed)
        shapes = work.shapes_by_first_element()
    except BaseException:
        pool.shutdown()
        raise
    specs = tuple(tf.TensorSpec(shape, part) for shape, part in zip(shapes, dtypes, strict=True))
    single = not isinstance(dtype, tuple | list)

    def generate() -> Iterator[Any]:
        with kept_failures():
            for arrays in work.epoch(specs):
                yield arrays[0] if single else tuple(arrays)

    results = tf.data.Dataset.from_generator(generate, output_signature=specs[0] if single else specs)
    n_elements = int(dataset.cardinality())
    if n_elements != tf.data.UNKNOWN_CARDINALITY:
        results = results.apply(tf.data.experimental.assert_cardinality(n_elements))
    return results, pool


class ParallelPool:
    """The worker processes behind one data set of `parallel_process`.

    Attributes:
        name: the data set's name.
        n_jobs: number of processes.

    """

    def __init__(self, name: str, n_jobs: int) -> None:
        self.name = name
        self.n_jobs = n_jobs
        self._shared: ProcessPool | None = _pools.acquire(n_jobs)
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()
        # Also when nobody calls shutdown.
        self._finalizer = weakref.finalize(self, _pools.release, n_jobs)
        self._finalizer.atexit = False  # the processes are ended at exit by their own handler

    def submit(self, shipment: Shipment, arguments: tuple[Any, ...], seed: tuple[int, ...]) -> "Future[Any]":
        """Order one element.

        Raises:
            DatasetError: the pool was shut down, or a worker died.

        """
        with self._lock:
            if self._shared is None:
                raise self._was_shut_down()
            future = self._shared.submit_task(call, shipment, arguments, seed)
            self._pending.add(future)
        return future

    def result(self, future: "Future[Any]") -> list[NDArray[Any]]:
        """Wait for one element.

        Raises:
            DatasetError: see `tf_dataset_worker.call`; or a worker died, or the pool was shut down.

        """
        shared = self._shared
        if shared is None:
            raise self._was_shut_down()
        try:
            arrays: list[NDArray[Any]] = shared.wait(future)
        except CancelledError:
            raise self._was_shut_down() from None
        except DatasetError:
            if self._shared is None:  # its processes were ended under it
                raise self._was_shut_down() from None
            raise
        finally:
            self._pending.discard(future)
        return arrays

    def shutdown(self) -> None:
        """End the processes, at once, unless another data set uses them. A second call does nothing."""
        with self._lock:
            self._shared = None
            pending, self._pending = self._pending, set()
        for future in pending:
            future.cancel()
        self._finalizer()

    def __enter__(self) -> "ParallelPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def __reduce__(self) -> tuple[Any, ...]:
        """Be nothing in another process: a specification that holds pools can be sent to a worker."""
        return _pool_elsewhere, (self.name, self.n_jobs)

    def _was_shut_down(self) -> DatasetError:
        return DatasetError(f"The worker processes of '{self.name}' were shut down: load the data set again")


def _pool_elsewhere(name: str, n_jobs: int) -> ParallelPool:
    pool = ParallelPool(name, n_jobs)
    pool.shutdown()
    return pool


class _Work:
    """The elements of a data set on their way through the workers, epoch by epoch."""

    def __init__(
        self,
        dataset: Any,
        shipment: Shipment,
        dtypes: tuple[np.dtype[Any], ...],
        pool: ParallelPool,
        seed: int,
    ) -> None:
        self.dataset = dataset
        self.shipment = shipment
        self.dtypes = dtypes
        self.pool = pool
        self.seed = seed
        self._next_epoch = 0
        self._begun: _Epoch | None = None
        self._lock = threading.Lock()

    def shapes_by_first_element(self) -> list[list[int | None]]:
        """Begin the first epoch, and return the shapes of its first result.

        Axis 0 is open unless the function's input has a fixed one of the same length (batches of drop_remainder).

        Raises:
            DatasetError: there is no element, or the function fails on it.

        """
        epoch = self._new_epoch()
        first = epoch.peek()
        if first is None:
            raise DatasetError(
                f"The data set of '{self.pool.name}' gives no element: there are fewer samples than in a batch, or none"
            )
        self._begun = epoch
        fixed = _fixed_batch(self.dataset.element_spec)
        arrays = [
            _checked(array, dtype, None, self.shipment.name)
            for array, dtype in zip(self._same_number(first), self.dtypes, strict=True)
        ]
        return [
            [size if axis or size == fixed else None for axis, size in enumerate(array.shape)]
            for array in arrays
        ]

    def epoch(self, specs: tuple[Any, ...]) -> Iterator[list[NDArray[Any]]]:
        """Give the results of one epoch, in order."""
        with self._lock:
            begun, self._begun = self._begun, None
        epoch = begun or self._new_epoch()
        try:
            for arrays in epoch:
                yield [
                    _checked(array, dtype, spec.shape, self.shipment.name)
                    for array, dtype, spec in zip(self._same_number(arrays), self.dtypes, specs, strict=True)
                ]
        finally:
            epoch.close()

    def _new_epoch(self) -> "_Epoch":
        with self._lock:
            number, self._next_epoch = self._next_epoch, self._next_epoch + 1
        return _Epoch(self.dataset, self.shipment, self.pool, (self.seed, number))

    def _same_number(self, arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
        if len(self.dtypes) == 1 and len(arrays) > 1:
            # A list of the batch's samples, not of several arrays.
            return [np.asarray(arrays)]
        if len(arrays) != len(self.dtypes):
            raise DatasetError(
                f"The function {self.shipment.name} returned {len(arrays)} arrays where dtype tells {len(self.dtypes)}"
            )
        return arrays


class _Epoch:
    """One pass over the data set: keeps the workers busy a few elements ahead."""

    def __init__(self, dataset: Any, shipment: Shipment, pool: ParallelPool, seed: tuple[int, int]) -> None:
        self._elements = enumerate(dataset.as_numpy_iterator())
        self._shipment = shipment
        self._pool = pool
        self._seed = seed
        self._pending: deque[Future[Any]] = deque()
        self._first: list[NDArray[Any]] | None = None

    def peek(self) -> list[NDArray[Any]] | None:
        """Return the first result and keep it for the iteration; None if there is none."""
        self._first = next(self, None)
        return self._first

    def __iter__(self) -> "_Epoch":
        return self

    def __next__(self) -> list[NDArray[Any]]:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while len(self._pending) < 2 * self._pool.n_jobs:
            index, element = next(self._elements, (0, None))
            if element is None:
                break
            arguments = element if isinstance(element, tuple) else (element,)
            self._pending.append(self._pool.submit(self._shipment, arguments, (*self._seed, index)))
        if not self._pending:
            raise StopIteration
        return self._pool.result(self._pending.popleft())

    def close(self) -> None:
        """Drop what was ordered ahead."""
        for future in self._pending:
            future.cancel()
        self._pending.clear()


def _numpy_type(dtype: Any) -> Any:
    return getattr(dtype, "as_numpy_dtype", dtype)


def _fixed_batch(element_spec: Any) -> int | None:
    """Return the length of axis 0 that all parts of an element have, if it is the same fixed one."""
    parts = element_spec if isinstance(element_spec, tuple) else (element_spec,)
    lengths = {
        part.shape[0] if getattr(getattr(part, "shape", None), "rank", None) else None for part in parts
    }
    return lengths.pop() if len(lengths) == 1 else None


def _checked(array: NDArray[Any], dtype: np.dtype[Any], shape: Any, name: str) -> NDArray[Any]:
    narrower_float = array.dtype.kind == "f" and dtype.kind == "f"
    if array.dtype != dtype and not narrower_float and not np.can_cast(array.dtype, dtype, "safe"):
        raise DatasetError(
            f"The function {name} returned {array.dtype} values where parallel_process was told dtype={dtype}: "
            "let both be the same"
        )
    if shape is not None and not shape.is_compatible_with(array.shape):
        raise DatasetError(
            f"The function {name} returned an array of shape {array.shape} after one of {tuple(shape)}: all but the "
            "first axis must be the same for every batch"
        )
    return array.astype(dtype, copy=False)
