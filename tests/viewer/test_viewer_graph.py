"""Which graph `mltk view` shows, and both commands as a user runs them."""

import contextlib
import http.client
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from viewer_models import keras_archive, keras_bytes

from mltk.cli.main import main
from mltk.utils.errors import ArchiveError, MissingExtraError, ModelError
from mltk.viewer.graph import load_graph, serve_graph

RUN = """
import sys
from mltk.cli.main import main
code = 0
try:
    main()
except SystemExit as stop:
    code = stop.code or 0
print("LOADED", " ".join(sorted({name.split(".")[0] for name in sys.modules})))
sys.exit(code)
"""


@pytest.fixture
def archive(tmp_path, loud):
    """An archive with everything, its specification would leave a trace if it were run."""
    trace = tmp_path / "was_run"
    return keras_archive(
        tmp_path / "spotter.mltk.zip",
        **{
            "spotter.py": f"open({str(trace)!r}, 'w')",
            "spotter.keras": keras_bytes(tmp_path),
            "spotter.tflite": loud.read_bytes(),
        },
    )


def test_the_float_model_by_default(archive, tmp_path):
    graph = load_graph(str(archive))
    assert (graph.name, graph.data) == ("spotter.keras", keras_bytes(tmp_path))
    assert not (tmp_path / "was_run").exists()


def test_the_tflite_when_asked(archive, loud):
    graph = load_graph(str(archive), tflite=True)
    assert (graph.name, graph.data) == ("spotter.tflite", loud.read_bytes())


def test_a_bare_tflite_needs_no_flag(loud):
    assert load_graph(str(loud)).name == "loud.tflite"


def test_without_a_float_model_the_tflite_with_a_word(tmp_path, loud, caplog):
    path = keras_archive(tmp_path / "spotter.mltk.zip", **{"spotter.tflite": loud.read_bytes()})
    assert load_graph(str(path)).name == "spotter.tflite"
    assert len(caplog.messages) == 1
    assert "has no Keras model" in caplog.messages[0]


def test_an_archive_with_neither(tmp_path):
    path = keras_archive(tmp_path / "spotter.mltk.zip", **{"spotter.py": "pass"})
    with pytest.raises(ArchiveError, match="no float model"):
        load_graph(str(path))


def test_published_models(shared_dir):
    models = shared_dir / "models"
    assert load_graph(str(models / "tflite_micro_speech.mltk.zip")).name == "tflite_micro_speech.h5"
    assert load_graph(str(models / "keyword_spotting_on_off.tflite")).data[4:8] == b"TFL3"


def test_netron_is_served_without_its_telemetry(loud):
    pytest.importorskip("netron", reason="netron is not installed (extra 'view')")
    server = serve_graph(load_graph(str(loud)))
    try:
        with urllib.request.urlopen(server.url) as page:
            text = page.read().decode()
            policy, cookie = page.headers["Content-Security-Policy"], page.headers["Set-Cookie"]
        assert re.findall(r'<meta name="version" content="([^"]*)"', text)[0] == "0.0.0"
        assert cookie.startswith("consent=")
        assert "connect-src 'self'" in policy
        assert "http" not in policy
        with urllib.request.urlopen(server.url + "data/model.tflite") as data:
            assert data.read() == loud.read_bytes()
        for path in ("data/loud.tflite", "server.py", "../server.py", "%2e%2e/typer/main.py", "__init__.py"):
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(server.url + path)
    finally:
        server.close()


def test_a_models_name_can_not_break_the_page(tmp_path, loud):
    pytest.importorskip("netron", reason="netron is not installed (extra 'view')")
    path = tmp_path / """a"><img src=x onerror='x'> #?%.tflite"""
    try:
        path.write_bytes(loud.read_bytes())
    except OSError:
        pytest.skip("this file system does not allow such a name")
    server = serve_graph(load_graph(str(path)))
    try:
        with urllib.request.urlopen(server.url) as page:
            assert "<img src=x" not in page.read().decode()
    finally:
        server.close()


def test_missing_netron_is_one_sentence(loud, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mltk-audio\[view\]'"):
        serve_graph(load_graph(str(loud)))


def test_another_netron_is_one_sentence(loud, monkeypatch, tmp_path):
    (tmp_path / "index.html").write_text("<HTML>another</HTML>")
    monkeypatch.setattr("mltk.viewer.graph._netron_folder", lambda: tmp_path)
    with pytest.raises(ModelError, match="netron>=9,<10"):
        serve_graph(load_graph(str(loud)))


# the commands


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["view", "no_such_model"], "no_such_model"),
        (["view", "missing.tflite"], "missing.tflite"),
        (["view_audio", "no_such_model"], "no_such_model"),
        (["view_audio", "--audio", "missing.wav"], "There is no recording at missing.wav"),
        (["view_audio", "--audio", "text.wav"], "text.wav is not audio"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, said, sounds, monkeypatch, capsys):
    monkeypatch.chdir(sounds)
    monkeypatch.setattr(sys, "argv", ["mltk", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    assert (stop.value.code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def run_until_served(arguments, cwd):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env={**os.environ, "TMPDIR": str(cwd)},
    )
    line = process.stdout.readline()
    return process, line, line.split(": ", 1)[-1].strip()


def use(browser, root, command):
    """Ask as a page does, and keep the connection open; what is held then must be freed at the end."""
    start = '{"settings": {}, "rate_hz": 44100}'
    posts = [
        ("features", start),
        ("detections", start),
        ("live/start", start),
        ("live/feed", bytes(44100 * 4)),
    ]
    for path, body in [("", None), *(posts if command == "view_audio" else [])]:
        browser.request("GET" if body is None else "POST", root + path, body)
        response = browser.getresponse()
        response.read()
        assert response.status == 200, path


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
@pytest.mark.parametrize("command", ["view", "view_audio"])
def test_ctrl_c_ends_it_cleanly(command, loud, sounds, tmp_path):
    if command == "view":
        pytest.importorskip("netron", reason="netron is not installed (extra 'view')")
    extra = ["--audio", str(sounds / "bursts.wav")] if command == "view_audio" else []
    arguments = [command, str(loud), "--no-browser", *extra]
    process, line, url = run_until_served(arguments, tmp_path)
    try:
        assert "loud" in line
        with contextlib.closing(http.client.HTTPConnection(url.split("/")[2], timeout=20)) as browser:
            use(browser, "/" + url.split("/", 3)[3], command)
            start = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
            assert time.monotonic() - start < 5
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, err) == (0, "")
    loaded = set(out.split("LOADED ")[1].split())
    assert not loaded & {"tensorflow", "keras", "matplotlib", "sklearn", "netron"}
    assert list(tmp_path.iterdir()) == []


def test_a_browser_is_opened_where_there_is_a_screen(loud, monkeypatch, capsys):
    from mltk.viewer import show as module
    from mltk.viewer.server import LocalServer, Reply

    opened = []
    monkeypatch.setattr(module.webbrowser, "open", lambda url: opened.append(url) or False)

    def stop():
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_wait", stop)
    for screen in (True, False):
        monkeypatch.setattr(module, "_has_screen", lambda screen=screen: screen)
        server = LocalServer(lambda _: Reply(b""), "")
        module.show(server, "Something", browser=True)
        out, err = capsys.readouterr()
        assert f"Something: {server.url}" in out
        assert (opened.pop() == server.url) if screen else not opened
        assert ("open the address yourself" in err) == screen
