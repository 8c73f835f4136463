"""A compiled model alone on an emulated chip: the same bytes in, the bytes out, instructions counted."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mltk.firmware.compile import CompiledModel
from mltk.firmware.emulator import Emulator
from mltk.firmware.inference import Inference
from mltk.firmware.targets import Target
from mltk.firmware.toolchain import build
from mltk.tflite.layers import TfliteTensor

# Room for any model: only what is used counts.
LINKER_SCRIPT = """
MEMORY { FLASH (rx) : ORIGIN = 0x00000000, LENGTH = 4M  RAM (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
ENTRY(bench)
SECTIONS {
  .text : { KEEP(*(.text.bench)) *(.text*) } > FLASH
  .rodata : { *(.rodata*) } > FLASH
  .ARM.exidx : { *(.ARM.exidx*) } > FLASH
  .data : { *(.data*) } > RAM
  .bss : { *(.bss*) *(COMMON) } > RAM
  stack_top = ORIGIN(RAM) + LENGTH(RAM);
}
"""


class ChipModel:
    """A compiled model on an emulated chip.

    Args:
        compiled: the model.
        target: the processor.
        optimization: of the compiler.

    Raises:
        DeviceError: it can not be built or emulated.
        MissingExtraError: the extra "device" is not installed.

    """

    def __init__(self, compiled: CompiledModel, target: Target, optimization: str = "-O2") -> None:
        self._compiled = compiled
        name = compiled.name
        main = f'#include "{name}.h"\n{name}_state state;\nint bench(void);\nint bench(void) {{\n'
        main += f"  return (int){name}_init(&state) + (int){name}_invoke(&state);\n}}\n"
        self.elf = build({**compiled.files, "bench.c": main}, target, LINKER_SCRIPT, optimization)
        self._emulator = Emulator(self.elf, target)
        self.code_bytes = sum(
            self._emulator.section_sizes.get(section, 0) for section in (".text", ".rodata", ".data")
        )

    def run(self, *inputs: npt.NDArray[Any]) -> Inference:
        """Run one inference on inputs of the graph's own types and shapes."""
        plan = self._compiled.plan
        self._write(inputs)
        kernels = [step.kernel for step in plan.steps]
        call = self._emulator.call(
            f"{self._compiled.name}_invoke", self._emulator.symbols["state"], watch=sorted(set(kernels))
        )
        starts = [count for _, count in call.entries]
        return Inference(
            outputs=[self.tensor(tensor) for tensor in plan.outputs],
            instructions=call.instructions,
            step_instructions=[
                after - before for before, after in zip(starts, [*starts[1:], call.instructions], strict=True)
            ],
            stack_bytes=call.stack_bytes,
        )

    def outputs(self, *inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        """Run one inference as `run` does, but without counting: far faster."""
        self._write(inputs)
        self._emulator.call(f"{self._compiled.name}_invoke", self._emulator.symbols["state"], count=False)
        return [self.tensor(tensor) for tensor in self._compiled.plan.outputs]

    def watch_steps(self, on_step: Callable[[], None]) -> None:
        """Call `on_step` from now on before each step of the plan, while the tensors can be read with `tensor`."""
        for kernel in {step.kernel for step in self._compiled.plan.steps}:
            self._emulator.on_entry(kernel, on_step)

    def _write(self, inputs: tuple[npt.NDArray[Any], ...]) -> None:
        plan = self._compiled.plan
        for tensor, value in zip(plan.inputs, inputs, strict=True):
            data = np.ascontiguousarray(value, tensor.dtype).tobytes()
            self._emulator.write("state", data, plan.offsets[tensor.index])

    def tensor(self, tensor: TfliteTensor) -> npt.NDArray[Any]:
        """Return what lies in the arena at a tensor's place, in its type and shape."""
        plan = self._compiled.plan
        data = self._emulator.read("state", plan.sizes[tensor.index], plan.offsets[tensor.index])
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
