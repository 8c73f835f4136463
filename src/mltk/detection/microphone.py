"""Samples from a microphone, through PortAudio (package sounddevice, extra `mic`)."""

import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.utils.errors import DeviceError, MissingExtraError
from mltk.utils.logging import get_mltk_logger

_BLOCK_MS = 50
# Ten seconds: a detector that falls further behind than this loses audio, and it is told.
_MAX_WAITING_BLOCKS = 200
# How long to wait for a block before looking whether the device is still there.
_PATIENCE_S = 5.0


def load_sounddevice() -> Any:
    """Import sounddevice.

    Raises:
        MissingExtraError: it is not installed.
        DeviceError: it is, but PortAudio, the system's library that it drives, is not.

    """
    try:
        import sounddevice
    except ImportError as error:
        raise MissingExtraError("mic", "Listening to a microphone") from error
    except OSError as error:
        raise DeviceError(
            f"Listening to a microphone needs the library PortAudio ({error}): install it, on Debian with "
            "`apt install libportaudio2`"
        ) from error
    return sounddevice


def input_devices(sounddevice: Any) -> dict[int, str]:
    """Return the names of all devices that record, by index."""
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise DeviceError(f"The system's sound devices can not be listed: {error}") from error
    return {i: str(device["name"]) for i, device in enumerate(devices) if device["max_input_channels"] > 0}


def find_microphone(name: str | None, sounddevice: Any) -> int | None:
    """Return the index of the microphone that the user means.

    Args:
        name: an index, a whole name or a part of one (case does not matter); None: the system's default.
        sounddevice: the module, or one that does as it does.

    Returns:
        The device's index; None for the default.

    Raises:
        DeviceError: there is no microphone, none of that name, or several; lists those there are.

    """
    devices = input_devices(sounddevice)
    if not devices:
        raise DeviceError("No microphone is connected: connect one, or give a recording with --audio FILE")
    if name is None:
        return None
    if name.isdecimal() and int(name) in devices:
        return int(name)
    exact = [i for i, known in devices.items() if known.lower() == name.lower()]
    matches = exact or [i for i, known in devices.items() if name and name.lower() in known.lower()]
    if len(matches) == 1:
        return matches[0]
    known = "; ".join(f"{i}: {device}" for i, device in devices.items())
    problem = f"Several microphones match {name!r}" if matches else f"There is no microphone {name!r}"
    raise DeviceError(f"{problem}, choose one of: {known}")


def microphone_blocks(
    sample_rate_hz: int, name: str | None = None, sounddevice: Any = None
) -> Iterator[npt.NDArray[np.int16]]:
    """Yield what a microphone hears, for ever; close the generator to close the device.

    Args:
        sample_rate_hz: the rate to record at.
        name: which microphone, as for `find_microphone`.
        sounddevice: the module; another object with the same functions for tests.

    Yields:
        int16 [n] blocks of about 50 ms, mono.

    Raises:
        MissingExtraError: sounddevice is not installed.
        DeviceError: no such microphone, it refuses the rate, or it went away.

    """
    sounddevice = load_sounddevice() if sounddevice is None else sounddevice
    device = find_microphone(name, sounddevice)
    blocks: queue.Queue[npt.NDArray[np.int16]] = queue.Queue(_MAX_WAITING_BLOCKS)
    losses = _Losses()

    def take(data: Any, _frames: int, _time: Any, status: Any) -> None:
        # Runs on PortAudio's thread, which must never wait.
        if status and status.input_overflow:
            losses.device += 1
        try:
            blocks.put_nowait(np.frombuffer(bytes(data), np.int16))
        except queue.Full:
            losses.detector += 1

    try:
        stream = sounddevice.RawInputStream(
            samplerate=sample_rate_hz,
            blocksize=sample_rate_hz * _BLOCK_MS // 1000,
            device=device,
            channels=1,
            dtype="int16",
            callback=take,
        )
        with contextlib.closing(stream):
            stream.start()
            get_mltk_logger().info("Listening to the microphone %s, stop with Ctrl-C", name or "(default)")
            yield from _until_gone(stream, blocks, losses)
    except sounddevice.PortAudioError as error:
        raise DeviceError(
            f"The microphone {name or '(default)'} can not record at {sample_rate_hz} Hz: {error}"
        ) from error


def _until_gone(
    stream: Any, blocks: "queue.Queue[npt.NDArray[np.int16]]", losses: "_Losses"
) -> Iterator[npt.NDArray[np.int16]]:
    while True:
        try:
            block = blocks.get(timeout=_PATIENCE_S)
        except queue.Empty:
            if not stream.active:
                raise DeviceError("The microphone stopped: was it disconnected?") from None
            get_mltk_logger().warning("The microphone gives no sound, still waiting")
            continue
        losses.tell()
        yield block


class _Losses:
    """Counts lost blocks on PortAudio's thread and tells of them on the reader's."""

    def __init__(self) -> None:
        self.device = 0
        self.detector = 0
        self._told = (0, 0)

    def tell(self) -> None:
        now = (self.device, self.detector)
        if now == self._told:
            return
        if now[0] != self._told[0]:
            get_mltk_logger().warning("The sound device lost samples (overflow): times are late from here on")
        if now[1] != self._told[1]:
            lost_ms = (now[1] - self._told[1]) * _BLOCK_MS
            get_mltk_logger().warning(
                "The model is slower than the microphone, %d ms of sound were lost: raise --latency", lost_ms
            )
        self._told = now
