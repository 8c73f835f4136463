"""From a name or a path to a model; strangers' archives are read without running their Python."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mltk.models.archive import ModelArchive
from mltk.models.loading import find_archive, find_model, load_mltk_model, resolve_tflite
from mltk.models.model import MltkModel, TrainMixin
from mltk.models.trained import TrainedModel
from mltk.utils.errors import ArchiveError, MissingExtraError, MltkError, ModelError

SPEC = """
from mltk.models.model import MltkModel, TrainMixin, DatasetMixin

class MyModel(MltkModel, TrainMixin, DatasetMixin):
    pass

my_model = MyModel()
my_model.classes = ["a", "b"]
my_model.input_shape = (2, 3, 1)
my_model.model_parameters["latency_ms"] = 100
log_folder = my_model.create_log_dir("dump")
"""
TRAP = "import pathlib\npathlib.Path({!r}).write_text('executed')\n" + SPEC


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """Give each test its current folder, its user's folder and no search path."""
    monkeypatch.setenv("MLTK_CACHE_DIR", str(tmp_path / "user"))
    monkeypatch.delenv("MLTK_MODEL_PATH", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    path_before, modules_before = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path_before
    for name in set(sys.modules) - modules_before:
        if name.startswith("_mltk_specification_"):
            del sys.modules[name]


def write_spec(path, text=SPEC):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def tflite_of(shared_dir):
    return ModelArchive(shared_dir / "models" / "tflite_micro_speech.mltk.zip").tflite_bytes()


# --- specifications


def test_specification_by_path(tmp_path):
    path = write_spec(tmp_path / "specs" / "my_words.py")
    model = load_mltk_model(path)
    assert model.name == "my_words"
    assert model.classes == ["a", "b"]
    assert model.model_specification_path == path
    assert model.archive_path == path.parent / "my_words.mltk.zip"
    assert not model.test_mode_enabled
    assert model.specification_source() == path.read_bytes()
    assert sorted(p.name for p in path.parent.iterdir()) == ["my_words.py"]  # no __pycache__


def test_specification_by_name(tmp_path, monkeypatch):
    write_spec(tmp_path / "one" / "words_one.py")
    write_spec(tmp_path / "two" / "words_two.py")
    monkeypatch.setenv("MLTK_MODEL_PATH", os.pathsep.join([str(tmp_path / "one"), str(tmp_path / "two")]))
    assert load_mltk_model("words_two").model_specification_path == tmp_path / "two" / "words_two.py"
    here = write_spec(Path.cwd() / "words_two.py")
    assert find_model("words_two").path == here


def test_dry_run_by_name_and_path(tmp_path):
    path = write_spec(Path.cwd() / "words.py")
    for model in (
        load_mltk_model("words-test"),
        load_mltk_model(f"{path}-test"),
        load_mltk_model(path, test=True),
    ):
        assert model.name == "words"
        assert model.test_mode_enabled
        assert model.archive_path.name == "words-test.mltk.zip"
        assert model.file_name(".tflite") == "words.test.tflite"
        assert model.log_dir == tmp_path / "user" / "models" / "words-test"


def test_name_that_really_ends_in_test_is_no_dry_run():
    write_spec(Path.cwd() / "words-test.py")
    model = load_mltk_model("words-test.py")
    assert (model.name, model.test_mode_enabled) == ("words-test", False)


def test_script_that_is_run_directly_has_its_own_name(tmp_path):
    path = write_spec(
        tmp_path / "direct.py", SPEC + "print(my_model.name, my_model.archive_path.name, log_folder)\n"
    )
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [
        "direct",
        "direct.mltk.zip",
        (tmp_path / "user" / "models" / "direct" / "dump").as_posix(),
    ]


def test_name_comes_from_the_file_that_makes_the_model():
    class WithInit(MltkModel):
        def __init__(self):
            super().__init__()

    assert WithInit().name == "test_models_loading"
    assert WithInit().model_specification_path == Path(__file__).resolve()


def test_model_without_a_file_needs_a_name():
    names = {"MltkModel": MltkModel}
    exec("model = MltkModel()", names)
    with pytest.raises(ModelError, match="has no name"):
        names["model"].name  # noqa: B018
    names["model"].name = "given"
    assert names["model"].archive_path == Path.cwd() / "given.mltk.zip"


def test_loaded_model_is_given_back():
    model = MltkModel()
    assert load_mltk_model(model) is model
    assert load_mltk_model(model, test=True).test_mode_enabled


def test_specification_may_import_helpers_beside_it_also_later(tmp_path):
    (tmp_path / "helper_a.py").write_text("VALUE = 41\n")
    (tmp_path / "helper_b.py").write_text("VALUE = 42\n")
    text = SPEC + "import helper_a\ndef later(model):\n    import helper_b\n    return helper_b.VALUE\n"
    model = load_mltk_model(
        write_spec(tmp_path / "with_helper.py", text + "my_model.build_model_function = later\n")
    )
    assert model.build_model_function(model) == 42


def test_functions_of_a_specification_reach_workers(tmp_path):
    cloudpickle = pytest.importorskip("cloudpickle")
    text = SPEC + "FACTOR = 3\ndef scale(x):\n    return x * FACTOR\nmy_model.build_model_function = scale\n"
    model = load_mltk_model(write_spec(tmp_path / "sent.py", text))
    sent = cloudpickle.dumps(model.build_model_function)
    script = "import sys, pickle; print(pickle.load(sys.stdin.buffer)(5))"
    done = subprocess.run([sys.executable, "-c", script], input=sent, capture_output=True, check=True)
    assert done.stdout.strip() == b"15"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n\nraise RuntimeError('no luck\\nmore')\n", r"bad\.py, line 3: RuntimeError: no luck$"),
        ("x = (\n", r"bad\.py, line 1: .*never closed"),
        ("import nonexistent_package_xyz\n", r"line 1: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(0)\n", r"line 2: the specification ends the program"),
        (SPEC + "my_model.input_shap = 3\n", r"bad\.py, line 12: MyModel has no attribute.*\"input_shape\""),
        (SPEC + "my_model.checkpoint['moniter'] = 3\n", r"bad\.py, line 12: checkpoint has no key"),
        ("def f(n):\n    return f(n + 1)\nf(0)\n", r"line 2: RecursionError"),
        ("x = 1\n", r"makes no model: it needs a line such as"),
        (SPEC + "other = MyModel()\n", r"makes 2 models \(my_model, other\): it must make one"),
        (SPEC + "my_model.name = 'other'\n", r"has the name 'other'"),
    ],
)
def test_failing_specification_is_one_sentence_with_its_place(tmp_path, text, message):
    path = write_spec(tmp_path / "bad.py", text)
    with pytest.raises(ModelError, match=message) as caught:
        load_mltk_model(path)
    assert "\n" not in str(caught.value)


def test_cause_of_a_failing_specification_is_kept(tmp_path):
    with pytest.raises(ModelError) as caught:
        load_mltk_model(write_spec(tmp_path / "bad.py", "1 / 0\n"))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_ctrl_c_goes_through(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        load_mltk_model(write_spec(tmp_path / "stop.py", "raise KeyboardInterrupt\n"))


def test_missing_tensorflow_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtraError, match=r"spec\.py needs the extra 'train'"):
        load_mltk_model(write_spec(tmp_path / "spec.py", "import tensorflow as tf\n"))


def test_same_model_under_two_names_is_one(tmp_path):
    assert load_mltk_model(write_spec(tmp_path / "twice.py", SPEC + "again = my_model\n")).name == "twice"


def test_model_built_upon_another_specification(tmp_path):
    write_spec(tmp_path / "base_words.py")
    text = (
        "from base_words import my_model as base, MyModel\n"
        "mine = MyModel()\nmine.classes = base.classes + ['c']\n"
    )
    model = load_mltk_model(write_spec(tmp_path / "more_words.py", text))
    assert (model.name, model.classes) == ("more_words", ["a", "b", "c"])


# --- names that lead nowhere


def test_unknown_name_suggests_and_lists_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.setenv("MLTK_MODEL_PATH", str(tmp_path / "models"))
    for call in (load_mltk_model, resolve_tflite, find_archive):
        with pytest.raises(ModelError, match='did you mean "tflite_micro_speech"') as caught:
            call("tflite_micro_spech")
        for place in (str(Path.cwd()), str(tmp_path / "models"), "specifications"):
            assert place in str(caught.value)


@pytest.mark.parametrize(
    "name", ["missing.py", "folder/missing", "missing.mltk.zip", "missing.tflite", "x/y.zip"]
)
def test_missing_paths(name):
    with pytest.raises(ModelError, match="There is no model at"):
        load_mltk_model(name)
    with pytest.raises(ModelError, match="There is no model at"):
        resolve_tflite(name)


def test_wrong_kinds_of_files(tmp_path):
    (tmp_path / "m.txt").write_text("")
    with pytest.raises(ModelError, match=r"m\.txt is not a model"):
        load_mltk_model(tmp_path / "m.txt")
    with pytest.raises(ModelError, match="is a folder"):
        load_mltk_model(tmp_path)
    (tmp_path / "m.mltk.zip").write_text("no zip")
    with pytest.raises(ArchiveError, match="is not a model archive"):
        load_mltk_model(tmp_path / "m.mltk.zip")
    (tmp_path / "m.tflite").write_text("no model")
    with pytest.raises(MltkError, match=r"m\.tflite|The \.tflite of m"):
        load_mltk_model(tmp_path / "m.tflite")
    with pytest.raises(ModelError, match=r"is a \.tflite; a model archive"):
        find_archive(tmp_path / "m.tflite")


def test_untrained_model_says_train_it_first():
    write_spec(Path.cwd() / "words.py")
    for model, command in (("words", "words"), ("words.py", "words"), ("words-test", "words-test")):
        with pytest.raises(ModelError, match=f"train it first: mltk train {command}$"):
            resolve_tflite(model)
    with pytest.raises(ModelError, match="is not trained yet"):
        load_mltk_model("words").tflite_archive_path  # noqa: B018


# --- archives


def test_archive_is_read_without_running_it(tmp_path, shared_dir):
    mark = tmp_path / "mark"
    data = tflite_of(shared_dir)
    path = tmp_path / "stranger.mltk.zip"
    ModelArchive.create(path, {"stranger.py": TRAP.format(str(mark)).encode(), "stranger.tflite": data})
    model = load_mltk_model(path)
    assert isinstance(model, TrainedModel)
    assert (model.name, model.classes, model.n_classes) == (
        "stranger",
        ["yes", "no", "_unknown_", "_silence_"],
        4,
    )
    assert model.input_shape == (49, 40, 1)
    assert resolve_tflite(path) == (data, "stranger")
    assert Path(model.tflite_archive_path).read_bytes() == data
    with pytest.raises(AttributeError, match="execute_spec=True"):
        model.epochs  # noqa: B018
    assert not mark.exists()
    executed = load_mltk_model(path, execute_spec=True)
    assert mark.exists()
    assert (executed.name, executed.classes, executed.archive_path) == ("stranger", ["a", "b"], path)
    assert Path(executed.tflite_archive_path).read_bytes() == data


def test_archive_whose_name_leads_out_of_the_users_folder(tmp_path):
    path = tmp_path / "x.mltk.zip"
    ModelArchive.create(path, {"...py": SPEC.encode()})
    for execute in (False, True):
        with pytest.raises(ModelError, match=r"can not be '\.\.'"):
            load_mltk_model(path, execute_spec=execute)


def test_published_archives_and_bare_tflite(shared_dir):
    alexa = load_mltk_model(shared_dir / "models" / "keyword_spotting_alexa.mltk.zip")
    assert alexa.classes == ["alexa", "_unknown_"]
    assert len(alexa.parameters) == 41
    assert alexa.parameters["runtime_memory_size"] == 54344
    assert alexa.model_parameters["detection_threshold"] == 204
    assert "hash" not in alexa.model_parameters
    assert alexa.input_shape == (118, 1, 108)
    assert alexa.frontend_settings.window_step_ms == 10
    assert Path(alexa.keras_archive_path).suffix == ".h5"
    bare = load_mltk_model(shared_dir / "models" / "keyword_spotting_on_off.tflite")
    assert bare.name == "keyword_spotting_on_off"
    assert bare.classes == ["on", "off", "_unknown_", "_silence_"]
    with pytest.raises(ModelError, match="has no specification"):
        load_mltk_model(shared_dir / "models" / "keyword_spotting_on_off.tflite", execute_spec=True)


def test_archive_is_found_beside_the_specification_and_here(tmp_path):
    spec = write_spec(tmp_path / "specs" / "words.py")
    beside = spec.parent / "words.mltk.zip"
    ModelArchive.create(beside, {"words.py": b"", "words.tflite": b"one"})
    assert resolve_tflite(spec) == (b"one", "words")
    with pytest.raises(ModelError, match="no model 'words'"):
        resolve_tflite("words")
    ModelArchive.create(Path.cwd() / "words.mltk.zip", {"words.py": b"", "words.tflite": b"two"})
    assert resolve_tflite("words") == (b"two", "words")
    assert resolve_tflite(spec) == (b"one", "words")


def test_specification_is_preferred_to_the_archive_of_its_name():
    write_spec(Path.cwd() / "words.py")
    ModelArchive.create(Path.cwd() / "words.mltk.zip", {"words.py": b""})
    assert find_model("words").kind == "specification"
    assert find_archive("words") == Path.cwd() / "words.mltk.zip"


def test_dry_run_archive_beside_the_full_one():
    ModelArchive.create(Path.cwd() / "w.mltk.zip", {"w.py": b"", "w.tflite": b"full"})
    ModelArchive.create(Path.cwd() / "w-test.mltk.zip", {"w.py": b"", "w.test.tflite": b"dry"})
    assert resolve_tflite("w") == (b"full", "w")
    for model, test in (("w-test", False), ("w", True), ("w-test.mltk.zip", False), ("w.mltk.zip", True)):
        assert resolve_tflite(model, test) == (b"dry", "w")


@pytest.mark.skipif(os.name == "nt", reason="folders have no such permission bits")
def test_archive_goes_to_the_current_folder_where_the_specifications_is_read_only(tmp_path):
    spec = write_spec(tmp_path / "closed" / "words.py")
    spec.parent.chmod(0o555)
    try:
        assert load_mltk_model(spec).archive_path == Path.cwd() / "words.mltk.zip"
    finally:
        spec.parent.chmod(0o755)


def test_archives_of_the_packages_own_models_go_to_the_current_folder():
    found = find_model("tflite_micro_speech")
    assert found.path.parent.name == "specifications"
    with pytest.raises(ModelError, match="train it first") as caught:
        resolve_tflite("tflite_micro_speech")
    assert str(Path.cwd() / "tflite_micro_speech.mltk.zip") in str(caught.value)


def test_log_folders_stay_in_the_models_folder(tmp_path):
    model = MltkModel()
    model.name = "m"
    folder = Path(model.create_log_dir("eval/tflite"))
    assert folder == tmp_path / "user" / "models" / "m" / "eval" / "tflite"
    (folder / "old.txt").write_text("x")
    assert list(Path(model.create_log_dir("eval", delete_existing=True)).iterdir()) == []
    for name in ("../x", "/tmp/x", "a/../../b"):
        with pytest.raises(ModelError, match="leads out of"):
            model.create_log_dir(name)


def test_damaged_copy_in_the_users_folder_is_written_again(tmp_path):
    ModelArchive.create(tmp_path / "w.mltk.zip", {"w.py": b"", "w.tflite": b"data"})
    model = MltkModel()
    model.name = "w"
    model.archive_path = tmp_path / "w.mltk.zip"
    path = Path(model.tflite_archive_path)
    path.write_bytes(b"evil")
    assert Path(model.tflite_archive_path) == path
    assert path.read_bytes() == b"data"


# --- parameters for the .tflite


def test_parameters_come_in_the_order_of_the_published_files():
    class Own(MltkModel, TrainMixin):
        pass

    model = Own()
    model.name = "m"
    model.description = "d"
    model.classes = ["a", "b"]
    model.model_parameters["latency_ms"] = 100
    model.model_parameters["weights"] = np.float32(0.5)
    assert list(model.tflite_parameters(123).items()) == [
        ("name", "m"),
        ("version", 1),
        ("description", "d"),
        ("classes", ["a", "b"]),
        ("hash", ""),
        ("date", ""),
        ("runtime_memory_size", 123),
        ("latency_ms", 100),
        ("weights", 0.5),
    ]
    model.model_parameters["hash"] = "x"
    with pytest.raises(ModelError, match=r"model_parameters\['hash'\] is written by mltk itself"):
        model.tflite_parameters()
