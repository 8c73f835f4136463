"""Firmware in emulators says what Python's detector says, to the millisecond."""

import json
import shutil
import subprocess

import firmware_models as models
import numpy as np
import pytest

from mltk.audio.convert import to_int16
from mltk.audio.read import read_audio_file
from mltk.firmware.boards import BOARDS, find_board
from mltk.firmware.elf import section_sizes
from mltk.firmware.emulator import Emulator, count_instructions
from mltk.firmware.firmware import make_firmware
from mltk.firmware.machine import Machine
from mltk.firmware.qemu import QemuMachine, has_qemu
from mltk.firmware.targets import find_target
from mltk.utils.errors import DeviceError

SECONDS = 4.0
# Every core that unicorn has, every driver, every kind of settings.
CASES = [
    ("lm3s6965", "plain"),
    ("bluepill", "odd"),
    ("bluepill", "plain"),
    ("microbit", "plain"),
    ("mps2-an386", "loud"),
    ("mps2-an386", "plain"),
    ("mps2-an500", "plain"),
    ("mps2-an505", "plain"),
]


def sound_for(settings):
    rate_hz = models.SETTINGS[settings].get("fe.sample_rate_hz", 16000)
    return models.sound(SECONDS, rate_hz)


@pytest.fixture(scope="module")
def expected():
    """Settings -> what Python's detector prints."""
    return {
        name: models.heard_here(models.keyword_model(**values), sound_for(name))
        for name, values in models.SETTINGS.items()
    }


def test_the_comparison_can_fail(expected):
    for lines in expected.values():
        assert len(lines) >= 4
        assert len({line.split(" (")[0] for line in lines}) > 1, "one word says little"
    assert len({tuple(lines) for lines in expected.values()}) == len(expected)


@pytest.mark.parametrize(("board", "settings"), CASES)
def test_emulated_is_host(built, unicorn, expected, board, settings):
    firmware, elf = built(board, settings)
    shown = []
    run = Machine(firmware, elf).run([sound_for(settings)], shown.append, measure_s=0.0)
    assert run.lines == expected[settings]
    assert shown == run.lines
    assert run.audio_s == pytest.approx(SECONDS)
    assert run.measured_s == 0.0
    assert run.load is None
    assert run.led[-len(run.lines) :].count(True) > 0


@pytest.mark.skipif(not has_qemu(), reason="qemu-system-arm is not installed")
@pytest.mark.parametrize("board", [name for name in BOARDS if BOARDS[name].qemu_machine])
def test_qemu_is_unicorn(built, expected, board):
    """The M55 is QEMU's alone: there the host's lines are held against."""
    firmware, elf = built(board)
    run = QemuMachine(firmware, elf).run([sound_for("plain")])
    assert run.lines == expected["plain"]
    assert (run.emulator, run.stack_bytes, run.per_frame, run.load) == ("qemu", None, None, None)
    assert run.audio_s == pytest.approx(SECONDS)


@pytest.mark.skipif(not has_qemu(), reason="qemu-system-arm is not installed")
def test_qemu_refuses_what_it_lacks(built):
    firmware, elf = built("bluepill", "odd")
    with pytest.raises(DeviceError, match="QEMU has no bluepill: use the emulator unicorn"):
        QemuMachine(firmware, elf)
    firmware, _ = built("lm3s6965")
    with pytest.raises(DeviceError, match="The firmware failed in QEMU"):
        QemuMachine(firmware, b"no program").run([sound_for("plain")])


def test_chunks_do_not_matter(built, unicorn, expected):
    firmware, elf = built("mps2-an386")
    samples = sound_for("plain")
    blocks = np.split(samples, [1, 2, 333, 480, 481, 40_001])
    assert Machine(firmware, elf).run(blocks, measure_s=0.0).lines == expected["plain"]


def test_led_goes_out_after_three_seconds(built, unicorn):
    firmware, elf = built("lm3s6965")
    samples = np.concatenate([sound_for("plain"), np.zeros(4 * 16000, np.int16)])
    run = Machine(firmware, elf).run([samples], measure_s=0.0)
    assert set(run.led[:-1]) == {True}
    assert run.led[-1] is False


def test_nothing_is_heard_in_silence_or_in_nothing(built, unicorn):
    machine = Machine(*built("mps2-an386"))
    assert machine.run([np.zeros(32_000, np.int16)], measure_s=0.0).lines == []
    run = machine.run([])
    assert (run.lines, run.audio_s, run.per_frame, run.per_inference, run.load) == ([], 0.0, None, None, None)
    short = machine.run([np.zeros(400, np.int16)])
    assert (short.per_frame, short.per_inference) == (None, None)
    assert "Instructions per frame (frontend): not measured" in short.to_string()


def test_figures(built, unicorn):
    firmware, elf = built("bluepill")
    run = Machine(firmware, elf).run([sound_for("plain")], measure_s=0.5)
    assert run.measured_s == pytest.approx(0.5, abs=0.02)
    assert 20_000 < run.per_frame < 60_000
    assert 1_000 < run.per_inference < 10_000
    # 50 frames and 25 inferences a second, and what moves 16,000 samples.
    least = 0.5 * (50 * run.per_frame + 25 * run.per_inference)
    assert least < run.instructions < least + 0.5 * 16_000 * 10
    assert run.load == pytest.approx(run.instructions / run.measured_s * 1.5 / 72e6)
    sizes = section_sizes(elf)
    assert run.flash_bytes == sizes[".text"] + sizes[".ARM.exidx"] + sizes[".data"]
    assert run.static_bytes == sizes[".data"] + sizes[".bss"]
    assert 200 < run.stack_bytes < 1536
    assert run.ram_bytes == run.static_bytes + run.stack_bytes
    report = run.to_string()
    assert f"Flash: {run.flash_bytes:,} of 65,536 bytes" in report
    assert f"RAM: {run.ram_bytes:,} of 20,480 bytes, {run.stack_bytes:,} of them stack" in report
    assert f"Instructions per frame (frontend): {run.per_frame:,}" in report
    found = json.loads(run.to_json())
    assert found["detections"][0].keys() == {"time_ms", "label", "score"}
    assert [
        f"Heard {event['label']} ({event['score']}) @{event['time_ms']}ms" for event in found["detections"]
    ] == run.lines
    assert (found["instructions_per_frame"], found["board"]) == (run.per_frame, "bluepill")


def test_counting_is_exact(ziglang, unicorn):
    from mltk.firmware.bench import LINKER_SCRIPT
    from mltk.firmware.toolchain import build

    # Two instructions before the loop, two a round, and the return.
    code = '__attribute__((naked)) int bench(int n) { __asm__("movs r1, #0\\n nop\\n'
    code += '1: subs r0, r0, #1\\n bne 1b\\n mov.w r0, #7\\n bx lr"); }\n'
    source = {"bench.c": "int bench(int n);\n" + code.replace("int n)", "int n __attribute__((unused)))")}
    target = find_target("m3")
    call = Emulator(build(source, target, LINKER_SCRIPT), target).call("bench", 100)
    assert (call.result, call.instructions, call.stack_bytes) == (7, 2 + 200 + 2, 0)
    assert count_instructions(bytes.fromhex("00bf 00bf aff30080")) == 3


def test_damaged_programs_are_told(built, unicorn):
    firmware, elf = built("lm3s6965")
    with pytest.raises(DeviceError, match="no usable ELF"):
        Machine(firmware, b"\x7fELF" + bytes(60)).run([])
    with pytest.raises(DeviceError, match="no usable ELF"):
        section_sizes(b"no ELF")
    # Its code begins with zeros instead: the stack is at 0 and the program at 0.
    start = elf.index((0x2000_0000 + 64 * 1024).to_bytes(4, "little"))
    broken = elf[:start] + bytes(64) + elf[start + 64 :]
    with pytest.raises(DeviceError, match="The firmware failed at"):
        Machine(firmware, broken).run([sound_for("plain")])


def test_micro_speech_hears_real_words(ziglang, unicorn, shared_dir, speech_dir):
    archive = shared_dir / "models" / "tflite_micro_speech.mltk.zip"
    firmware = make_firmware(archive, find_board("bluepill"))
    clips = [
        sorted((speech_dir / "commands" / word).glob("*.flac"))[3] for word in ("yes", "no", "up", "yes")
    ]
    samples = np.concatenate([to_int16(read_audio_file(path, return_numpy=True)) for path in clips])
    run = Machine(firmware).run([samples], measure_s=0.2)
    assert run.lines == [str(event) for event in firmware.detector.feed(samples)]
    assert run.lines
    assert run.flash_bytes <= 48 * 1024
    assert run.ram_bytes <= 14 * 1024
    assert run.load < 0.5


@pytest.mark.skipif(
    shutil.which("arm-none-eabi-gcc") is None or shutil.which("make") is None,
    reason="arm-none-eabi-gcc or make is not installed",
)
@pytest.mark.parametrize("board", ["mps3-an547" if has_qemu() else "mps2-an386"])
def test_what_gcc_builds_runs(built, unicorn, expected, tmp_path, board):
    firmware, _ = built(board)
    folder = firmware.write(tmp_path / "program")
    subprocess.run(["make", "-s", "-C", folder], check=True, capture_output=True)
    elf = (folder / f"{firmware.file_name}.elf").read_bytes()
    if firmware.board.target.unicorn_model:
        assert Machine(firmware, elf).run([sound_for("plain")], measure_s=0.0).lines == expected["plain"]
    elif has_qemu():
        assert QemuMachine(firmware, elf).run([sound_for("plain")]).lines == expected["plain"]
