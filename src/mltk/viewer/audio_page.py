"""What the page of `mltk view_audio` asks for, and the answers."""

import json
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.utils.errors import AudioError, MltkError
from mltk.viewer.analysis import Listener, as_dtype, channel_centres_hz, clip_features
from mltk.viewer.clip import MAX_FILE_BYTES, Clip
from mltk.viewer.files import PageFiles
from mltk.viewer.form import as_text, form, named_setting, plain, read_settings
from mltk.viewer.live import MAX_CHUNK_BYTES, LiveStream
from mltk.viewer.server import LocalServer, RefusedError, Reply, Request, json_reply

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = Path(__file__).parent / "page"
_PEAKS = 2000


class AudioPage:
    """The state behind one open page, and its answers.

    Args:
        listener: the model, or None to look at features only.
        clip: what is shown at first.

    """

    def __init__(self, listener: Listener | None = None, clip: Clip | None = None) -> None:
        self.listener = listener
        self.start = AudioFeatureGeneratorSettings() if listener is None else listener.settings
        self._clip = clip
        self._live: LiveStream | None = None
        # One at a time: a clip and a stream belong to one thread.
        self._lock = threading.Lock()
        self._files = PageFiles(_PAGE)

    def serve(self, port: int = 0) -> LocalServer:
        """Serve the page on loopback.

        Raises:
            DeviceError: the port is taken.

        """
        limits = {"clip": MAX_FILE_BYTES, "live/feed": MAX_CHUNK_BYTES}
        return LocalServer(self.answer, _POLICY, port, limits, describe)

    def answer(self, request: Request) -> Reply:
        """Answer a request of the page.

        Raises:
            MltkError: with the sentence for the user.

        """
        answer = _ANSWERS.get((request.method, request.path))
        if answer is not None:
            with self._lock:
                return answer(self, request)
        if request.method != "GET":
            raise RefusedError(405, "There is nothing to send to this address")
        return self._files.reply(request.path or "index.html")

    # what there is

    def _state(self, _: Request) -> Reply:
        model = None
        if self.listener is not None:
            detection = self.listener.detection
            model = {
                "name": self.listener.name,
                "labels": detection.labels,
                "thresholds": detection.thresholds,
                "window_ms": self.start.sample_length_ms,
            }
        return json_reply(
            {
                "form": form(),
                "settings": plain(self.start),
                "model": model,
                "clip": None if self._clip is None else _describe_clip(self._clip),
                "max_file_bytes": MAX_FILE_BYTES,
            }
        )

    def _settings(self, request: Request) -> Reply:
        values = _json(request)
        settings = read_settings(values.get("settings"), self.start)
        text = as_text(settings, self.start if values.get("changed_only") else None)
        return json_reply({"settings": plain(settings), "text": text})

    # a recording

    def _load(self, request: Request) -> Reply:
        name = "".join(c if c.isprintable() else "_" for c in request.query.get("name", ""))[:120]
        if not request.body:
            raise AudioError(f"{name or 'The file'} is empty: choose another")
        self._clip = Clip(request.body, name or "clip.wav")
        return json_reply({"clip": _describe_clip(self._clip)})

    def _wav(self, _: Request) -> Reply:
        return Reply(self._loaded().wav(), "audio/wav")

    def _features(self, request: Request) -> Reply:
        values = _json(request)
        settings = read_settings(values.get("settings"), self.start)
        features = clip_features(self._loaded(), settings)
        shown = as_dtype(features, settings, str(values.get("dtype", "uint16")))
        return framed({**_geometry(settings), "frames": len(shown)}, shown)

    def _detections(self, request: Request) -> Reply:
        settings = read_settings(_json(request).get("settings"), self.start)
        if self.listener is None:
            raise RefusedError(404, "No model was given: start `mltk view_audio MODEL`")
        return json_reply(self.listener.listen(self._loaded(), settings).plain())

    def _loaded(self) -> Clip:
        if self._clip is None:
            raise AudioError("There is no recording yet: open a file or use the microphone")
        return self._clip

    # the microphone

    def _live_start(self, request: Request) -> Reply:
        values = _json(request)
        settings = read_settings(values.get("settings"), self.start)
        rate = values.get("rate_hz")
        if not isinstance(rate, float) or not rate.is_integer():
            raise AudioError(f"The microphone's rate must be a whole number of Hz, not {str(rate)[:32]}")
        self._live = LiveStream(settings, int(rate), self.listener)
        return json_reply({**_geometry(settings), "detection_error": self._live.detection_error})

    def _live_feed(self, request: Request) -> Reply:
        if self._live is None:
            raise AudioError("The microphone was not started: press its button again")
        if len(request.body) % 4:
            raise RefusedError(400, "Samples must be 32-bit floats")
        samples = np.frombuffer(request.body, "<f4").astype(np.float32)
        result = self._live.feed(samples, request.query.get("dtype", "uint16"))
        heard = None if result.heard is None else result.heard.plain()
        return framed(
            {"frames": len(result.features), "time_ms": result.time_ms, "heard": heard}, result.features
        )

    def _live_stop(self, _: Request) -> Reply:
        live, self._live = self._live, None
        if live is None:
            raise AudioError("The microphone was not started: press its button again")
        self._clip = live.recording()
        return json_reply({"clip": _describe_clip(self._clip)})


# Not in the page itself: bound methods would be a cycle, which keeps native objects until the process ends.
_ANSWERS: Mapping[tuple[str, str], Callable[[AudioPage, Request], Reply]] = {
    ("GET", "state"): AudioPage._state,
    ("GET", "clip.wav"): AudioPage._wav,
    ("POST", "clip"): AudioPage._load,
    ("POST", "settings"): AudioPage._settings,
    ("POST", "features"): AudioPage._features,
    ("POST", "detections"): AudioPage._detections,
    ("POST", "live/start"): AudioPage._live_start,
    ("POST", "live/feed"): AudioPage._live_feed,
    ("POST", "live/stop"): AudioPage._live_stop,
}


def describe(error: MltkError) -> dict[str, Any]:
    """Return an error's sentence, and which setting it is about."""
    return {"error": str(error), "setting": named_setting(str(error))}


def framed(head: Mapping[str, Any], values: npt.NDArray[Any]) -> Reply:
    """Return JSON and an array in one body: the JSON's length (uint32), the JSON, the values, little-endian.

    The JSON is padded with blanks to a multiple of four bytes, so that a page can look at the values in place.
    """
    text = json.dumps({**head, "dtype": str(values.dtype)}, allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
    return Reply(struct.pack("<I", len(text)) + text + data, "application/octet-stream")


def _geometry(settings: AudioFeatureGeneratorSettings) -> dict[str, Any]:
    """Return what places a frame and a channel: the window in samples as computed, not in rounded ms."""
    rate = settings.sample_rate_hz
    return {
        "channels": settings.filterbank_n_channels,
        "window_ms": settings.window_size * 1000 / rate,
        "step_ms": settings.window_step * 1000 / rate,
        "centres_hz": [round(centre, 2) for centre in channel_centres_hz(settings)],
        "sample_length_ms": settings.sample_length_ms,
    }


def _describe_clip(clip: Clip) -> dict[str, Any]:
    return {
        "name": clip.name,
        "duration_ms": clip.duration_ms,
        "sample_rate_hz": clip.sample_rate_hz,
        "n_samples": clip.n_samples,
        "peaks": clip.peaks(_PEAKS),
    }


def _json(request: Request) -> dict[str, Any]:
    try:
        # As floats: an integer of a thousand digits is no number of ours.
        values = json.loads(request.body, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"The request is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise RefusedError(400, "The request must be a JSON object")
    return values
