"""Errors of our code inside a tf.data pipeline: TensorFlow passes on their text only, so they are kept here."""

import contextlib
from collections import deque
from collections.abc import Iterator

_KEPT = 16
_failures: deque[BaseException] = deque(maxlen=_KEPT)


@contextlib.contextmanager
def kept_failures() -> Iterator[None]:
    """Keep what the block raises for `failure_of`."""
    try:
        yield
    except (StopIteration, GeneratorExit):
        raise
    except BaseException as error:
        _failures.append(error)
        raise


def failure_of(error: BaseException) -> BaseException | None:
    """Return the error of a data set behind one of TensorFlow's, which holds its text only.

    Args:
        error: what reading a tf.data.Dataset raised.

    Returns:
        None if our code raised no error of this text.

    """
    text = str(error)
    for failure in reversed(_failures):
        if type(failure).__name__ in text and str(failure) in text:
            return failure
    return None
