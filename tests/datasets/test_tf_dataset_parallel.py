"""tf.data in worker processes: order, reproducibility, errors that name the item, and no process left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", reason="the extra 'train' is not installed")

import cloudpickle  # noqa: E402

from mltk.audio.read import read_audio_file  # noqa: E402
from mltk.datasets import tf_dataset_parallel  # noqa: E402
from mltk.datasets.tf_dataset_failures import failure_of  # noqa: E402
from mltk.datasets.tf_dataset_parallel import parallel_process  # noqa: E402
from mltk.models.dataset import TensorBatches  # noqa: E402
from mltk.utils.errors import AudioError, DatasetError  # noqa: E402

LOCK = threading.Lock()


@pytest.fixture(scope="module", autouse=True)
def _by_value():
    """Send this module's functions as those of a script are sent: workers that import it would load TensorFlow."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def numbers(n, batch_size=4, drop_remainder=True):
    paths = [f"/clips/{index}.wav" for index in range(n)]
    return tf.data.Dataset.from_tensor_slices((paths, list(range(n)))).batch(batch_size, drop_remainder)


@pytest.fixture
def process():
    """parallel_process whose pools are shut down."""
    pools = []

    def run(*args, **kwargs):
        dataset, pool = parallel_process(*args, **kwargs)
        pools.append(pool)
        return dataset

    yield run
    for pool in pools:
        pool.shutdown()
    assert not tf_dataset_parallel._pools._pools


def double(paths, ids):
    assert paths.dtype == object
    assert isinstance(paths[0], bytes)
    return (np.outer(ids, [1, 2, 3]) * 2).astype(np.int16)


def test_order_shape_and_length(process):
    dataset = process(numbers(40), double, np.int16, n_jobs=500, name="test")
    assert dataset.element_spec == tf.TensorSpec((4, 3), tf.int16)
    assert int(dataset.cardinality()) == 10
    wanted = np.outer(np.arange(40), [1, 2, 3]) * 2
    for _ in range(2):  # every epoch
        np.testing.assert_array_equal(np.concatenate(list(dataset.as_numpy_iterator())), wanted)
    flat = dataset.unbatch()
    assert int(flat.cardinality()) == 40
    np.testing.assert_array_equal(list(flat.as_numpy_iterator()), wanted)


def test_the_last_batch_may_be_smaller(process):
    dataset = process(numbers(10, drop_remainder=False), double, np.int16, n_jobs=1)
    assert dataset.element_spec.shape.as_list() == [None, 3]
    assert [len(batch) for batch in dataset.as_numpy_iterator()] == [4, 4, 2]


def test_single_elements_and_several_outputs(process):
    def split(number):
        return np.float32(number) / 2, np.array([number], np.int64)

    dataset = process(tf.data.Dataset.range(5), split, (np.float32, tf.int64), n_jobs=0.5)
    halves, wholes = zip(*dataset.as_numpy_iterator(), strict=True)
    assert halves == (0.0, 0.5, 1.0, 1.5, 2.0)
    assert [whole.tolist() for whole in wholes] == [[0], [1], [2], [3], [4]]


def draw(paths, ids):
    import random

    return np.array([[np.random.random(), random.random(), os.getpid() * 0.0] for _ in ids])  # noqa: NPY002


def test_random_numbers_do_not_depend_on_the_number_of_workers(process):
    one, two, other = (
        process(numbers(24), draw, np.float64, n_jobs=n, seed=seed) for n, seed in ((1, 7), (2, 7), (2, 8))
    )
    first = [list(dataset.as_numpy_iterator()) for dataset in (one, two, other)]
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    second = [list(dataset.as_numpy_iterator()) for dataset in (one, two)]
    np.testing.assert_array_equal(second[0], second[1])
    assert not np.array_equal(first[0], second[0])  # another epoch


def divide(paths, ids):
    for path in paths:
        if b"/7." in path:
            1 / 0  # noqa: B018
    return np.zeros((len(ids), 1), np.int8)


def test_an_error_names_the_item_and_the_line(process):
    dataset = process(numbers(12), divide, np.int8, n_jobs=2)
    with pytest.raises(tf.errors.OpError) as caught:
        list(dataset)
    failure = failure_of(caught.value)
    assert isinstance(failure, DatasetError)
    line = divide.__code__.co_firstlineno + 3
    assert str(failure) == (
        f"The function divide failed in a worker process ({os.path.basename(__file__)}, line {line}), "  # noqa: PTH119
        "with path = /clips/7.wav: ZeroDivisionError: division by zero"
    )
    assert "in divide" in failure.__notes__[0]
    with pytest.raises(DatasetError, match=r"with path = /clips/7\.wav"):
        list(TensorBatches(dataset))
    assert failure_of(ValueError("something else")) is None


def test_errors_before_the_first_batch_come_at_once(process):
    with pytest.raises(DatasetError, match=r"with path = /clips/7\.wav"):
        parallel_process(numbers(12).skip(1), divide, np.int8)
    assert not tf_dataset_parallel._pools._pools


def read(paths):
    return np.stack([read_audio_file(path)[:10] for path in paths])


def test_an_unreadable_clip_stays_an_audio_error(tmp_path):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF but no more")
    with pytest.raises(AudioError, match=r"broken\.wav"):
        parallel_process(tf.data.Dataset.from_tensors([str(broken)]), read, np.float32)


def leave(paths, ids):
    if ids[0] == 8:
        os._exit(3)
    return ids


def stop(paths, ids):
    sys.exit(1)


def test_a_worker_that_dies_is_reported(process):
    dataset = process(numbers(12), leave, np.int32, n_jobs=1)
    with pytest.raises(DatasetError, match="A worker process that prepares batches was killed"):
        list(TensorBatches(dataset))
    with pytest.raises(DatasetError, match="SystemExit: 1"):
        parallel_process(numbers(12), stop, np.int32)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_jobs": 0}, "n_jobs must be a number of processes"),
        ({"n_jobs": -1.0}, "n_jobs must be"),
        ({"function": 3}, "needs a function"),
        (
            {"function": lambda paths, ids: (LOCK, ids)[1]},
            "can not be sent to worker",
        ),
        ({"dataset": numbers(3)}, "gives no element"),
        ({"dtype": np.int8}, "returned int32 values where parallel_process was told dtype=int8"),
        ({"dtype": (np.int32, np.int32)}, "returned 1 arrays where dtype tells 2"),
        ({"function": lambda paths, ids: None}, "returned object values"),
    ],
)
def test_wrong_arguments(arguments, match):
    usual = {"dataset": numbers(8), "function": lambda paths, ids: ids, "dtype": np.int32}
    with pytest.raises(DatasetError, match=match):
        parallel_process(**{**usual, **arguments})
    assert not tf_dataset_parallel._pools._pools


def grow(paths, ids):
    return np.zeros((len(ids), 1 + ids[0] // 8), np.int8)


def test_batches_of_other_shapes_are_refused(process):
    dataset = process(numbers(12), grow, np.int8, n_jobs=1)
    with pytest.raises(DatasetError, match=r"shape \(4, 2\) after one of \(4, 1\)"):
        list(TensorBatches(dataset))


def test_after_shutdown():
    dataset, pool = parallel_process(numbers(12), double, np.int16, n_jobs=1)
    with pool:
        iterator = iter(dataset)
        next(iterator)
    pool.shutdown()
    pool.shutdown()
    with pytest.raises(DatasetError, match="were shut down: load the data set again"):
        list(TensorBatches(dataset))


# --- whole programs

PROGRAM = """
import os, signal, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np
import tensorflow as tf
from mltk.core.preprocess.utils.tf_dataset import parallel_process

folder = "/somewhere"
scale = 3
later = "only named as text"

class Model:
    name = "a model with a pool"
    pools = []

model = Model()

def work(ids):
    calls = globals()["calls"] = globals().get("calls", 0) + 1
    assert globals().get("later") == "only named as text"
    assert globals().get("not_there") is None
    assert model.name
    return np.array([[i * scale, calls, os.getpid()] for i in ids])

def slow(ids):
    time.sleep(0.2)
    return np.array([[os.getpid()] for _ in ids])

def main(function=work, n=12):
    ids = tf.data.Dataset.range(n).batch(2)
    dataset, pool = parallel_process(ids, function, np.int64, n_jobs=2)
    model.pools.append(pool)
    return dataset
"""


def run(body, check=True, **options):
    script = PROGRAM + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pids):
    for _ in range(100):
        if not any(map(is_alive, pids)):
            return True
        time.sleep(0.1)
    return False


def pids_in(text):
    found = {int(word) for line in text.splitlines() if line.startswith("PIDS") for word in line.split()[1:]}
    assert found
    return found


def test_a_function_of_the_main_script_keeps_its_globals():
    done = run(
        """
        dataset = main()
        main()  # the model holds a pool now: it has to travel all the same
        rows = np.concatenate(list(dataset.as_numpy_iterator()) + list(dataset.as_numpy_iterator()))
        assert rows[:12, 0].tolist() == [i * 3 for i in range(12)]
        print("PIDS", *set(rows[:, 2]))
        assert rows[:, 1].max() >= 3, "the workers forgot"
        assert "calls" not in globals()
        prefetched = iter(main(slow, 40).unbatch().prefetch(20))
        print("PIDS", *next(prefetched).numpy().ravel())  # the rest is not read
        """
    )
    assert wait_until_gone(pids_in(done.stdout))  # nobody called shutdown


@pytest.mark.parametrize(
    "body",
    ["raise RuntimeError('of the user')", "os.kill(os.getpid(), signal.SIGKILL)"],
    ids=["error", "killed"],
)
@pytest.mark.skipif(os.name != "posix", reason="looks at processes as POSIX systems do")
def test_no_process_is_left_behind(body):
    done = run(
        "dataset = main(slow, 40).unbatch().prefetch(20)\nit = iter(dataset)\n"
        f"print('PIDS', *next(it).numpy().ravel(), flush=True)\n{body}",
        check=False,
    )
    assert wait_until_gone(pids_in(done.stdout)), done.stderr
    assert "terminate called" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="sends Ctrl-C as POSIX systems do")
def test_ctrl_c():
    script = PROGRAM + textwrap.dedent(
        """
        from mltk.models.dataset import TensorBatches
        batches = TensorBatches(main(slow, 4000))
        for batch in batches:
            print("PIDS", *batch.ravel(), flush=True)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        pids = pids_in(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert wait_until_gone(pids | (pids_in(rest) if "PIDS" in rest else set()))
