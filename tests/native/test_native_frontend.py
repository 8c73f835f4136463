"""The C core by itself: clean under strict warnings, and the same values under sanitizers."""

import importlib.util
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from mltk.native._frontend import forms

from mltk.frontend.generator import AudioFeatureGenerator
from mltk.frontend.settings import AudioFeatureGeneratorSettings
from mltk.native import SOURCE_DIR

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "frontend"))
import frontend_cases as cases  # noqa: E402

CORE = SOURCE_DIR / "frontend"
VECTOR = SOURCE_DIR / "frontend_vector"
# What CMakeLists.txt has for these files.
VECTOR_FLAGS = {
    "vector_avx2.c": ["-mavx2"],
    "vector_avx512.c": [
        "-mavx2",
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512cd",
        "-mavx512vl",
    ],
}
needs_x86 = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="the forms that are written in x86 intrinsics"
)
SOURCES = sorted(CORE.glob("*.c"))
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
STRICT = ["-std=c99", "-pedantic", *WARNINGS, "-ffp-contract=off"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
# In the order in which the harness reads them.
FIELDS = """
    sample_rate_hz dc_notch_filter_enable dc_notch_filter_coefficient window_size window_step
    filterbank_n_channels filterbank_upper_band_limit filterbank_lower_band_limit
    activity_detection_enable activity_detection_alpha_a activity_detection_alpha_b
    activity_detection_arm_threshold activity_detection_trip_threshold
    noise_reduction_enable noise_reduction_smoothing_bits noise_reduction_even_smoothing
    noise_reduction_odd_smoothing noise_reduction_min_signal_remaining
    pcan_enable pcan_strength pcan_offset pcan_gain_bits log_scale_enable log_scale_shift
    quantize_dynamic_scale_enable quantize_dynamic_scale_range_db
""".split()  # noqa: SIM905


def compilers():
    """Return the C compilers on the path, each once whatever its names."""
    found = {Path(path).resolve(): name for name in ("cc", "clang", "gcc") if (path := shutil.which(name))}
    return sorted(found.values())


def compile_core(compiler, flags, target):
    command = [compiler, *flags, f"-I{CORE}", *SOURCES, HERE / "frontend_harness.c", "-lm", "-o", target]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)


def pack(settings, clip, features, int8, detected):
    fields = struct.pack("<26d", *(float(getattr(settings, name)) for name in FIELDS))
    sizes = struct.pack("<3I", len(clip), len(features), detected)
    return fields + sizes + clip.astype("<i2").tobytes() + features.astype("<u2").tobytes() + int8.tobytes()


def golden_cases():
    """TensorFlow's own values; int8 from the extension, which other tests hold to their oracle."""
    with np.load(HERE.parent / "frontend" / "golden_frontend.npz", allow_pickle=False) as file:
        for number, case in enumerate(json.loads(str(file["about"]))["cases"]):
            settings = AudioFeatureGeneratorSettings(**case["settings"])
            clip = cases.make_clip(case["kind"], settings.sample_length, case["seed"])
            int8 = AudioFeatureGenerator(settings).process_sample(clip, np.int8)
            yield pack(settings, clip, file[f"features_{number}"], int8, False)


def block_cases():
    """Random settings with the blocks that TensorFlow's op lacks, and the ends of the legal ranges."""
    rng = np.random.default_rng(11)
    for number in range(60):
        settings = cases.random_blocks(cases.random_settings(rng, 150), rng)
        if number % 5 == 0:
            settings.filterbank_upper_band_limit = settings.sample_rate_hz / 2
            settings.filterbank_n_channels = settings.fft_length // 2
        if number % 7 == 0:
            settings.window_step_ms = settings.window_size_ms
        clip = cases.make_clip(number, settings.sample_length, 31 * number + 5)
        generator = AudioFeatureGenerator(settings)
        features = generator.process_sample(clip, np.uint16)
        detected = generator.activity_was_detected()
        yield pack(settings, clip, features, generator.process_sample(clip, np.int8), detected)


@pytest.fixture(scope="module")
def packed_cases():
    if sys.byteorder != "little":
        pytest.skip("the harness reads little-endian vectors")
    return [*golden_cases(), *block_cases()]


def write_cases(path, packed):
    path.write_bytes(struct.pack("<I", len(packed)) + b"".join(packed))
    return path, len(packed)


@pytest.fixture(scope="module")
def vectors(packed_cases, tmp_path_factory):
    return write_cases(tmp_path_factory.mktemp("vectors") / "frontend.bin", packed_cases)


@pytest.mark.parametrize("lanes", [1, 4, 8])
@pytest.mark.parametrize("compiler", compilers())
def test_core_under_sanitizers(vectors, tmp_path, compiler, lanes):
    """One lane as on a chip, and several windows at once from the same source."""
    path, count = vectors
    target = tmp_path / "harness"
    flags = [*STRICT, "-O1", f"-DMLTK_FE_LANES={lanes}"]
    built = compile_core(compiler, flags + SANITIZE, target)
    if built.returncode != 0:
        plain = compile_core(compiler, flags, target)
        assert plain.returncode == 0, plain.stderr
        pytest.skip(f"{compiler} can not link the sanitizers: {built.stderr.strip().splitlines()[-1]}")
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    run = subprocess.run([target, path], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    assert run.stdout.startswith(f"lanes {lanes} cases {count} ")
    assert run.stdout.endswith("differing 0\n")


def zig():
    """Return the command of zig's clang, which has headers for every processor; none where it is not installed."""
    return [sys.executable, "-m", "ziglang", "cc"] if importlib.util.find_spec("ziglang") else []


def compile_all(command, flags, folder, vector_flags):
    """Compile the core, the vector forms and the harness, two at once; return what the compiler says against them."""

    def one(source):
        own = [*vector_flags.get(source.name, []), f"-I{CORE}", f"-I{VECTOR}", "-DWITH_VECTORS"]
        return subprocess.run(
            [*command, *flags, *own, "-c", source, "-o", folder / f"{source.stem}.o"],
            capture_output=True,
            text=True,
            check=False,
        )

    sources = [*sorted(VECTOR.glob("*.c")), *SOURCES, HERE / "frontend_harness.c"]
    with ThreadPoolExecutor(2) as pool:
        return "".join(run.stderr for run in pool.map(one, sources) if run.returncode != 0)


@needs_x86
@pytest.mark.parametrize("compiler", [*compilers(), "zig"])
def test_the_vector_forms_compile_without_a_warning(tmp_path, compiler):
    command = [compiler] if compiler != "zig" else zig()
    if not command:
        pytest.skip("the pip package ziglang is not installed")
    for source in sorted(VECTOR.glob("*.c")):
        flags = [*STRICT, "-O2", *VECTOR_FLAGS.get(source.name, []), f"-I{CORE}", f"-I{VECTOR}"]
        subprocess.run([*command, *flags, "-c", source, "-o", tmp_path / "x.o"], check=True)


@needs_x86
@pytest.mark.parametrize("compiler", compilers())
def test_vector_forms_under_sanitizers(vectors, tmp_path, compiler):
    """All forms that this processor runs: clips, and windows one by one and many at once."""
    path, count = vectors
    wrong = compile_all([compiler], [*STRICT, "-O1", *SANITIZE], tmp_path, VECTOR_FLAGS)
    assert not wrong, wrong
    target = tmp_path / "harness"
    linked = subprocess.run(
        [compiler, *SANITIZE, *sorted(tmp_path.glob("*.o")), "-lm", "-o", target],
        capture_output=True,
        text=True,
        check=False,
    )
    if linked.returncode != 0:
        pytest.skip(f"{compiler} can not link the sanitizers: {linked.stderr.strip().splitlines()[-1]}")
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    run = subprocess.run([target, path], capture_output=True, text=True, check=False, env=environment)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    names, _, rest = run.stdout.rpartition("lanes 1 ")
    assert names.split() == [form for form in forms() if form != "scalar"]
    assert rest.startswith(f"cases {count} ")
    assert rest.endswith("differing 0\n")


@needs_x86
@pytest.mark.skipif(not compilers(), reason="no C compiler on the path")
@pytest.mark.parametrize("form", [form for form in forms() if form != "scalar"])
def test_square_roots_of_doubles(tmp_path, form):
    """Of sums up to the 2^50 to which one window alone may take them."""
    flags = [*STRICT, "-O2", *VECTOR_FLAGS[f"vector_{form}.c"], f"-I{CORE}", f"-I{VECTOR}"]
    flags += [f'-DOPERATIONS="vector_{form}.h"']
    target = tmp_path / "roots"
    sources = [HERE / "roots_harness.c", CORE / "square_root.c"]
    subprocess.run([compilers()[0], *flags, *sources, "-lm", "-o", target], check=True)
    run = subprocess.run([target], capture_output=True, text=True, check=False)
    assert run.stdout.startswith("values 3"), run.stdout
    assert run.stdout.endswith("differing 0\n"), run.stdout


@pytest.mark.slow
def test_neon_on_an_emulated_processor(packed_cases, tmp_path):
    """The form for 64-bit ARM: cross-compiled by zig's clang, run by QEMU, which takes its time: every 8th case.

    The first time, zig compiles a C library for it: a minute or two.
    """
    path, count = write_cases(tmp_path / "frontend.bin", packed_cases[::8])
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if not zig() or emulator is None:
        pytest.skip("the pip package ziglang or qemu-aarch64 (Debian: qemu-user) is not installed")
    command = [*zig(), "-target", "aarch64-linux-musl"]
    wrong = compile_all(command, [*STRICT, "-O2"], tmp_path, {})
    assert not wrong, wrong
    target = tmp_path / "harness"
    objects = sorted(tmp_path.glob("*.o"))
    subprocess.run([*command, "-static", *objects, "-lm", "-o", target], check=True)
    run = subprocess.run([emulator, target, path], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith(f"neon lanes 1 cases {count} ")
    assert run.stdout.endswith("differing 0\n")


@pytest.mark.skipif(not compilers(), reason="no C compiler on the path")
def test_the_harness_sees_a_wrong_value(vectors, tmp_path):
    path, _ = vectors
    target = tmp_path / "harness"
    assert compile_core(compilers()[0], [*STRICT, "-O1"], target).returncode == 0
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last int8 value
    broken = tmp_path / "broken.bin"
    broken.write_bytes(data)
    run = subprocess.run([target, broken], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stdout.endswith("differing 1\n")


@pytest.mark.skipif(
    shutil.which("nm") is None or not compilers(), reason="no nm or no C compiler on the path"
)
def test_the_hot_files_need_nothing(tmp_path):
    """No heap, no C library, no libm and no float outside the set-up files."""
    allowed = ("mltk_fe_", "mem", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail")
    for source in SOURCES:
        if source.name.endswith("_setup.c"):
            continue
        text = source.read_text()
        # arm_acle.h is the compiler's own: the names of instructions.
        own = {'"mltk_fe.h"', '"mltk_fe_stages.h"', '"mltk_fe_fft_point.h"', "<arm_acle.h>"}
        assert set(re.findall(r"#include (\S+)", text)) <= own
        assert "float" not in text, source
        assert "double" not in text, source
        target = tmp_path / (source.stem + ".o")
        subprocess.run([compilers()[0], *STRICT, "-O2", "-c", source, "-o", target], check=True)
        listing = subprocess.run(["nm", "-u", target], capture_output=True, text=True, check=True).stdout
        for symbol in listing.split()[1::2]:
            assert symbol.lstrip("_").startswith(allowed) or symbol in allowed, (source.name, symbol)
