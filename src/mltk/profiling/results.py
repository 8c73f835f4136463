"""What a profile found: records that print as the reference's report and turn into JSON."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from mltk.profiling.estimate import Basis
from mltk.profiling.numbers import plain, with_prefix
from mltk.utils.text import printable

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class LayerProfile:
    """One operator's cost in one inference. What is not known is None.

    Attributes:
        index: its place in the order of execution.
        name: the operator, such as "conv_2d".
        ops: arithmetic operations.
        macs: multiply-accumulates.
        input_shapes, output_shapes: such as "1x49x40x1", the weights among the inputs.
        options: its settings, such as "Padding:Same stride:2x2 activation:Relu".
        acc_cycles: cycles in which the accelerator works, predicted.
        cpu_cycles: cycles in which the CPU works, predicted.
        time_s: seconds, predicted.
        is_supported: False where the accelerator's limits say no to it; None without an accelerator.
        error: the reason, else "".
        basis: "measured" where the costs of its kernel are fitted on measurements, "assumed" where they
            are those of a similar one.
        instructions: how many it took on an emulated chip, measured; 0 where nothing is left of it there.

    """

    index: int
    name: str
    ops: int
    macs: int
    input_shapes: list[str]
    output_shapes: list[str]
    options: str
    acc_cycles: int | None = None
    cpu_cycles: int | None = None
    time_s: float | None = None
    is_supported: bool | None = None
    error: str = ""
    basis: Basis | None = None
    instructions: int | None = None


@dataclass(frozen=True)
class DeviceProfile:
    """What one inference took on an emulated chip, measured.

    Attributes:
        name: the processor, such as "cortex-m4".
        instructions: of the whole inference.
        code_size: bytes of code and constants, the weights included.
        arena_size: bytes of RAM for tensors and scratch.
        stack_size: the most bytes of stack that it used.

    """

    name: str
    instructions: int
    code_size: int
    arena_size: int
    stack_size: int


@dataclass(frozen=True)
class ProfilingResults:
    """One model's cost in one inference; prints as a report. What is not known is None.

    Attributes:
        name: the model's name.
        accelerator: the accelerator's name, such as "MVP".
        input_shapes, output_shapes: such as "1x49x40x1", with the batch.
        input_dtypes, output_dtypes: such as "int8".
        flash_size: bytes of the .tflite.
        ram_size: bytes of TensorFlow Lite Micro's tensor arena as the .tflite's parameters tell
            (runtime_memory_size).
        ops: arithmetic operations, counted as the reference's profiles do.
        macs: multiply-accumulates.
        clock_hz: the processor's nominal clock; None where no times are predicted.
        energy_j: joules; no published figure tells them, so it is None.
        notes: what the reader should know of the figures.
        layers: the same for every operator.
        device: what was measured on an emulated chip.

    """

    name: str
    accelerator: str | None
    input_shapes: list[str]
    input_dtypes: list[str]
    output_shapes: list[str]
    output_dtypes: list[str]
    flash_size: int
    ram_size: int | None
    ops: int
    macs: int
    clock_hz: int | None
    energy_j: float | None
    notes: list[str]
    layers: list[LayerProfile]
    device: DeviceProfile | None = None

    @property
    def n_unsupported(self) -> int | None:
        """How many layers the accelerator's limits say no to."""
        return None if self.accelerator is None else sum(layer.is_supported is False for layer in self.layers)

    @property
    def acc_cycles(self) -> int | None:
        """Cycles in which the accelerator works."""
        counts = [layer.acc_cycles for layer in self.layers if layer.acc_cycles is not None]
        return sum(counts) if self.accelerator is not None else None

    @property
    def cpu_cycles(self) -> int | None:
        """Cycles in which the CPU works."""
        counts = [layer.cpu_cycles for layer in self.layers if layer.cpu_cycles is not None]
        return sum(counts) if self.clock_hz is not None and len(counts) == len(self.layers) else None

    @property
    def time_s(self) -> float | None:
        """Seconds of one inference."""
        times = [layer.time_s for layer in self.layers if layer.time_s is not None]
        return sum(times) if self.clock_hz is not None and len(times) == len(self.layers) else None

    @property
    def cpu_utilization(self) -> float | None:
        """The CPU's cycles over all cycles that pass, in percent."""
        if self.cpu_cycles is None or not self.time_s or not self.clock_hz:
            return None
        return min(100.0, 100.0 * self.cpu_cycles / (self.time_s * self.clock_hz))

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dicts, lists, strings and numbers; the model's cycles and rates too."""
        found = asdict(self)
        layers = found.pop("layers")
        time_s = self.time_s
        return {
            **found,
            "n_layers": len(layers),
            "n_unsupported": self.n_unsupported,
            "acc_cycles": self.acc_cycles,
            "cpu_cycles": self.cpu_cycles,
            "cpu_utilization": self.cpu_utilization,
            "time_s": time_s,
            "ops_per_s": self.ops / time_s if time_s else None,
            "macs_per_s": self.macs / time_s if time_s else None,
            "inferences_per_s": 1.0 / time_s if time_s else None,
            "layers": layers,
        }

    def to_json(self) -> str:
        """Return everything as one JSON object."""
        return json.dumps(self.to_dict(), indent=2)

    def to_string(self, format_units: bool = True) -> str:
        """Return the report.

        Args:
            format_units: 684.0k; else 684020.

        """
        show = with_prefix if format_units else plain
        lines = ["Profiling Summary", *self._summary(show), "", "Model Layers", self._layer_table(show)]
        lines += self.notes
        return printable("\n".join(lines), keep="\n")

    def __str__(self) -> str:
        return self.to_string()

    def _summary(self, show: Callable[[float], str]) -> list[str]:
        values = self.to_dict()
        lines = [
            ("Name", self.name),
            ("Accelerator", self.accelerator),
            ("Input Shape", ", ".join(self.input_shapes)),
            ("Input Data Type", ", ".join(self.input_dtypes)),
            ("Output Shape", ", ".join(self.output_shapes)),
            ("Output Data Type", ", ".join(self.output_dtypes)),
            ("Flash, Model File Size (bytes)", show(self.flash_size)),
            ("RAM, Runtime Memory Size (bytes)", _UNKNOWN if self.ram_size is None else show(self.ram_size)),
            ("Operation Count", show(self.ops)),
            ("Multiply-Accumulate Count", show(self.macs)),
            ("Layer Count", str(len(self.layers))),
            ("Unsupported Layer Count", None if self.accelerator is None else str(self.n_unsupported)),
        ]
        for label, key in (
            ("Accelerator Cycle Count", "acc_cycles"),
            ("CPU Cycle Count", "cpu_cycles"),
            ("CPU Utilization (%)", "cpu_utilization"),
            ("Clock Rate (hz)", "clock_hz"),
            ("Time (s)", "time_s"),
            ("Ops/s", "ops_per_s"),
            ("MACs/s", "macs_per_s"),
            ("Inference/s", "inferences_per_s"),
        ):
            lines.append((label, None if values[key] is None else show(values[key])))
        if self.device is not None:
            lines += [
                ("Device", f"{self.device.name}, emulated"),
                ("Instruction Count", show(self.device.instructions)),
                ("Flash, Compiled Model (bytes)", show(self.device.code_size)),
                ("RAM, Compiled Model's Arena (bytes)", show(self.device.arena_size)),
                ("RAM, Stack (bytes)", show(self.device.stack_size)),
            ]
        return [f"{label}: {value}" for label, value in lines if value is not None]

    def _layer_table(self, show: Callable[[float], str]) -> str:
        from mltk.tflite.summary import grid

        columns: list[tuple[str, Callable[[LayerProfile], str]]] = [
            ("Index", lambda layer: str(layer.index)),
            ("OpCode", lambda layer: layer.name),
            ("# Ops", lambda layer: show(layer.ops)),
            ("# MACs", lambda layer: show(layer.macs)),
            ("Acc Cycles", lambda layer: show(layer.acc_cycles or 0)),
            ("CPU Cycles", lambda layer: show(layer.cpu_cycles or 0)),
            ("Time (s)", lambda layer: show(layer.time_s or 0.0)),
            ("Instructions", lambda layer: show(layer.instructions or 0)),
            ("Input Shape", lambda layer: ",".join(layer.input_shapes)),
            ("Output Shape", lambda layer: ",".join(layer.output_shapes)),
            ("Options", lambda layer: layer.options),
            ("Supported?", lambda layer: str(layer.is_supported)),
            ("Error Msg", lambda layer: layer.error),
        ]
        hidden = set()
        if self.accelerator is None:
            hidden.add("Acc Cycles")
        if self.time_s is None:
            hidden |= {"CPU Cycles", "Time (s)"}
        if self.device is None:
            hidden.add("Instructions")
        if not self.n_unsupported:  # as the reference: the columns are there where a layer needs them
            hidden |= {"Supported?", "Error Msg"}
        shown = [(heading, cell) for heading, cell in columns if heading not in hidden]
        return grid(
            [heading for heading, _ in shown], ([cell(layer) for _, cell in shown] for layer in self.layers)
        )
