"""A compiled model alone in QEMU: for the processors that unicorn does not have (Cortex-M55)."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.firmware.boards import BOARDS, Board
from mltk.firmware.compile import CompiledModel
from mltk.firmware.elf import section_sizes
from mltk.firmware.inference import Inference
from mltk.firmware.targets import Target
from mltk.firmware.toolchain import build
from mltk.utils.errors import DeviceError

_PROGRAM = "qemu-system-arm"
_TIMEOUT_S = 300
# QEMU gives every instruction 2**6 ns; the processor's timer says how many instructions went by.
_ICOUNT_SHIFT = 6
_LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = %#x, LENGTH = %d  RAM (rwx) : ORIGIN = %#x, LENGTH = %d }
ENTRY(reset_handler)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) } > FLASH
  .rodata : { *(.rodata*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : { *(.data*) } > FLASH
  .bss (NOLOAD) : { *(.bss*) *(COMMON) } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""
# Reads the inputs from a file, marks the time before each step and after the last, writes outputs and marks.
_PROGRAM_SOURCE = """
#include "NAME.h"

extern uint32_t stack_top[];
void reset_handler(void);
void timer_handler(void);
void fault_handler(void);
void bench_mark(uint32_t step);

typedef struct {
  uint32_t *stack;
  void (*handlers[15])(void);
} vector_table;

__attribute__((section(".vectors"), used)) const vector_table vectors = {
    stack_top,
    {reset_handler, fault_handler, fault_handler, fault_handler, fault_handler, fault_handler, 0, 0, 0, 0,
     fault_handler, 0, 0, 0, timer_handler}};

#define TIMER ((volatile uint32_t *)0xE000E010u) /* control, reload, value: it counts down */
#define TIMER_PERIOD 0x1000000u

static NAME_state state __attribute__((aligned(16)));
static volatile uint32_t periods;
static uint64_t marks[N_STEPS + 3];

static uint32_t call(uint32_t operation, const void *parameter) {
  register uint32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = parameter;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static uint32_t open_file(const char *name, uint32_t length, uint32_t mode) {
  const uint32_t block[3] = {(uint32_t)name, mode, length};
  return call(1, block);
}

static void transfer(uint32_t operation, uint32_t file, const void *data, uint32_t n_bytes) {
  const uint32_t block[3] = {file, (uint32_t)data, n_bytes};
  (void)call(operation, block);
}

void timer_handler(void) { periods = periods + 1; }

void fault_handler(void) { (void)call(0x18, (const void *)0x20023); }

__attribute__((noinline)) void bench_mark(uint32_t step) {
  const uint32_t before = periods;
  uint32_t value = TIMER[2], after = periods;
  if (after != before) value = TIMER[2];
  marks[step] = (uint64_t)after * TIMER_PERIOD + (TIMER_PERIOD - 1u - value);
}

/* 100,000 times two instructions, to learn how long one takes. */
static void known_loop(void) {
  uint32_t left = 100000;
  __asm__ volatile(".p2align 2\\n1: subs %0, #1\\n\\tbne 1b" : "+l"(left) : : "cc");
}

void reset_handler(void) {
  *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20; /* coprocessors: floating point and vectors */
  __asm__ volatile("dsb\\n\\tisb" ::: "memory");
  uint32_t file = open_file("input.bin", 9, 1);
  transfer(6, file, state.arena, sizeof state.arena);
  file = open_file("output.bin", 10, 5);
  TIMER[1] = TIMER_PERIOD - 1u;
  TIMER[2] = 0;
  TIMER[0] = 7;
  bench_mark(0);
  bench_mark(1);
  known_loop();
  bench_mark(2);
  (void)NAME_invoke(&state);
  bench_mark(N_STEPS + 2);
  transfer(5, file, state.arena, sizeof state.arena);
  transfer(5, file, marks, sizeof marks);
  (void)call(0x18, (const void *)0x20026);
  fault_handler();
}
"""
_KNOWN_INSTRUCTIONS = 200_000


def board_of(target: Target) -> Board | None:
    """Return a board with this processor that QEMU has and whose memories begin at address 0."""
    fitting = [
        board
        for board in BOARDS.values()
        if board.target_name == target.name
        and board.qemu_machine.startswith("mps")
        and not board.flash.origin
    ]
    return fitting[0] if fitting else None


class QemuModel:
    """A compiled model on a processor in QEMU; has the interface of `mltk.firmware.bench.ChipModel`.

    Args:
        compiled: the model.
        target: the processor.
        optimization: of the compiler.

    Raises:
        DeviceError: it can not be built, or QEMU is missing or has no such processor.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, compiled: CompiledModel, target: Target, optimization: str = "-O2") -> None:
        board = board_of(target)
        if board is None or shutil.which(_PROGRAM) is None:
            raise DeviceError(f"{target.name} can not be emulated here: it takes QEMU for Arm ({_PROGRAM})")
        self._compiled, self._board = compiled, board
        name, n_steps = compiled.name, len(compiled.plan.steps)
        files = dict(compiled.files)
        # A mark before each call of a kernel.
        files[f"{name}.c"] = re.sub(
            r"^(  mltk_\w+\(&step_(\d+),)",
            lambda call: f"  bench_mark({int(call[2]) + 2}u);\n{call[1]}",
            files[f"{name}.c"],
            flags=re.MULTILINE,
        ).replace("#include <stddef.h>\n", "#include <stddef.h>\n\nvoid bench_mark(uint32_t step);\n", 1)
        files["bench.c"] = _PROGRAM_SOURCE.replace("NAME", name).replace("N_STEPS", str(n_steps))
        script = _LINKER_SCRIPT % (board.flash.origin, board.flash.size, board.ram.origin, board.ram.size)
        self.elf = build(files, target, script, optimization)
        sizes = section_sizes(self.elf)
        self.code_bytes = sum(sizes.get(section, 0) for section in (".text", ".rodata", ".data"))

    def run(self, *inputs: npt.NDArray[Any]) -> Inference:
        """Run one inference on inputs of the graph's own types and shapes.

        Raises:
            DeviceError: the program fails.

        """
        plan = self._compiled.plan
        arena = bytearray(max(4, plan.arena_bytes))
        for tensor, value in zip(plan.inputs, inputs, strict=True):
            data = np.ascontiguousarray(value, tensor.dtype).tobytes()
            start = plan.offsets[tensor.index]
            arena[start : start + len(data)] = data
        result = self._emulate(bytes(arena))
        marks = np.frombuffer(result[-8 * (len(plan.steps) + 3) :], "<u8").astype(np.int64)
        cost = marks[1] - marks[0]
        times = np.diff(marks)[1:] - cost
        counts = [round(int(time) * _KNOWN_INSTRUCTIONS / int(times[0])) for time in times[1:]]
        outputs = [
            np.frombuffer(
                result[plan.offsets[tensor.index] :][: plan.sizes[tensor.index]], tensor.dtype
            ).reshape(tensor.shape)
            for tensor in plan.outputs
        ]
        return Inference(outputs, sum(counts), counts, 0)

    def _emulate(self, arena: bytes) -> bytes:
        command = [_PROGRAM, "-M", self._board.qemu_machine, "-display", "none", "-monitor", "none"]
        command += ["-serial", "null", "-semihosting-config", "enable=on,target=native"]
        command += ["-icount", f"shift={_ICOUNT_SHIFT}", "-kernel", "bench.elf"]
        with tempfile.TemporaryDirectory(prefix="mltk-qemu-") as scratch:
            folder = Path(scratch)
            (folder / "bench.elf").write_bytes(self.elf)
            (folder / "input.bin").write_bytes(arena)
            try:
                ended = subprocess.run(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    check=False,
                    timeout=_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired as error:
                raise DeviceError(f"{self._compiled.name} did not end in QEMU: {error}") from error
            if ended.returncode != 0 or not (folder / "output.bin").is_file():
                said = ended.stderr.decode("utf-8", "replace").strip()
                raise DeviceError(f"{self._compiled.name} failed in QEMU: {said or ended.returncode}")
            return (folder / "output.bin").read_bytes()
