"""The programs that the MVP accelerator of the EFR32xG24 runs for an operator, as counts of what its loops do.

The MVP runs small programs: up to eight nested loops around up to eight instructions on 16-bit floats, fed by
arrays of three dimensions. An array's dimension and a loop go to 1024, a stride to 2047 elements. Two values
(two neighbours in depth) go through at once where sizes and addresses are even. Between programs the CPU
writes the next one. How the published kernels cut an operator into programs is what is counted here:

- a convolution is one program for each way in which its window is cut at the border, and in the middle one for
  each row that the window covers over the stride; the loops are output channel, column, row, window row, and
  window column times depth. Before, one program turns the input into floats;
- a depthwise convolution is one program an output position, over all channels, if the image is small for its
  depth, else a program for each cut and each channel;
- pooling is one program for each cut and each pair of channels; averaging over few positions one a position;
- a fully connected layer is one program, or above 2048 inputs one an output;
- addition and multiplication are one program for 2048 values.

Sources: the kernels' published text (Gecko SDK, SiliconLabs/mltk) and the reference's profiles.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from mltk.profiling.operator import Operator

MAX_SIZE = 1024  # a loop's count, an array's dimension
MAX_STRIDE = 2047  # elements, or pairs where two go at once
MAX_PROGRAMS = 1 << 20  # more than any model that fits the chip's 256 kB of RAM can need
_MAX_CUTS = 128  # along one axis; a window of n at stride 1 has n of them


@dataclass(frozen=True)
class Program:
    """Programs of the MVP that are alike.

    Attributes:
        count: how many.
        work: how often one of them does each kind of work.

    """

    count: int
    work: dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How the MVP runs an operator.

    Attributes:
        kind: the kernel, such as "conv_2d" or "depthwise_conv_2d/positions".
        programs: what it runs, in any order.
        extra: CPU work besides writing the programs, by kind.

    """

    kind: str
    programs: list[Program] = field(default_factory=list)
    extra: dict[str, float] = field(default_factory=dict)

    @property
    def n_programs(self) -> int:
        """How many programs run."""
        return sum(program.count for program in self.programs)

    @property
    def family(self) -> str:
        """The part of the kind whose instructions cost alike."""
        return self.kind.partition("/")[0]


class NotSupportedError(Exception):
    """The MVP can not run the operator: its text is the reason."""


@dataclass(frozen=True)
class _Cut:
    """Positions along one axis where the window is cut alike.

    Attributes:
        n_positions: how many neighbours.
        size: how much of the window lies in the input.
        first_input: the first input that it covers.
        first_kernel: the first of the window that lies in the input.

    """

    n_positions: int
    size: int
    first_input: int
    first_kernel: int


@dataclass(frozen=True)
class _Axis:
    """One axis of a convolution or a pooling; sizes in positions, `padding` before the first."""

    n_input: int
    n_kernel: int
    stride: int
    n_output: int
    padding: int

    def cuts(self) -> list[_Cut]:
        """Return the ways in which the window is cut; whole windows together, cut ones one by one.

        Raises:
            NotSupportedError: there are more than any filter that the MVP takes can have.

        """
        found: list[_Cut] = []
        position = 0
        for _ in range(_MAX_CUTS):
            if position >= self.n_output:
                return found
            start = position * self.stride - self.padding
            first = max(0, -start)
            size = min(self.n_kernel, self.n_input - start) - first
            last = position
            if start >= 0 and self.n_input - start >= self.n_kernel:
                last = min(self.n_output - 1, (self.n_input - self.n_kernel + self.padding) // self.stride)
            if size > 0:
                found.append(_Cut(last - position + 1, size, start + first, first))
            position = last + 1
        raise NotSupportedError(f"filter size ({self.n_kernel}) > {_MAX_CUTS}")


def plan(operator: Operator) -> Plan:
    """Tell how the MVP runs an operator.

    Raises:
        NotSupportedError: it does not; the text is the reason.

    """
    planner = _PLANNERS.get(operator.name)
    if planner is None:
        known = operator.name in OPERATORS
        raise NotSupportedError(f"{operator.name} is not modelled" if known else "not an MVP operation")
    if operator.dtype != "int8":
        raise NotSupportedError(f"input type ({operator.dtype}) is not int8")
    if (
        not operator.inputs
        or not operator.output
        or min((*operator.inputs[0], *operator.output), default=0) < 1
    ):
        raise NotSupportedError("empty shape")
    made = planner(operator)
    if made.n_programs > MAX_PROGRAMS:
        raise NotSupportedError(f"programs ({made.n_programs}) > {MAX_PROGRAMS}")
    return made


def warning(operator: Operator) -> str:
    """Return what the MVP's own check of its limits says of an operator that it runs all the same, or "".

    Above 2048 inputs (1024 where they are odd) a fully connected layer takes the kernel for large inputs; the
    reference counts it as not supported, while its measured cycles are the MVP's.
    """
    if operator.name != "fully_connected" or len(operator.inputs) < 2 or len(operator.inputs[1]) != 2:
        return ""
    depth = operator.inputs[1][1]
    limit = _limit(depth)
    return f"weights_shape[1] ({depth}) > {limit}" if depth > limit else ""


def _limit(depth: int) -> int:
    return MAX_SIZE if depth % 2 else 2 * MAX_SIZE


def _axes(operator: Operator) -> tuple[_Axis, _Axis]:
    if not operator.is_image:
        raise NotSupportedError("input is not [batch, height, width, channels]")
    if operator.dilation != (1, 1):
        raise NotSupportedError(f"dilation ({operator.dilation[0]}x{operator.dilation[1]}) is not 1x1")
    axes = []
    for axis in (0, 1):
        n_input, n_output = operator.inputs[0][axis + 1], operator.output[axis + 1]
        kernel, stride = operator.kernel[axis], operator.stride[axis]
        missing = (n_output - 1) * stride + kernel - n_input
        axes.append(
            _Axis(n_input, kernel, stride, n_output, max(0, missing) // 2 if operator.is_padded else 0)
        )
    return axes[0], axes[1]


def _check(what: str, value: int, limit: int) -> None:
    if value > limit:
        raise NotSupportedError(f"{what} ({value}) > {limit}")


def _row_programs(cut: _Cut, stride: int, single_column: bool) -> Iterator[tuple[int, int]]:
    """Yield (output rows, how many outputs apart) of the programs that a run of rows is dealt to.

    A program's input rows may not overlap, so a window of 3 rows at stride 1 takes three programs, each with
    every third output row. Where there is one column only, its dimension serves the rows.
    """
    apart = 1
    if cut.n_positions > 1 and not single_column and cut.size > stride:
        apart = -(-cut.size // stride)
    for offset in range(min(apart, cut.n_positions)):
        yield -(-(cut.n_positions - offset) // apart), apart


def _convolution(operator: Operator) -> Plan:
    rows, columns = _axes(operator)
    depth, n_channels = operator.inputs[0][3], operator.output[3]
    width = columns.n_input
    lanes = 2 if depth % 2 == 0 else 1
    _check("output_depth", n_channels, MAX_SIZE)
    _check("output_stride", columns.n_output * n_channels, MAX_STRIDE)
    _check("input_stride", width * depth // lanes, MAX_STRIDE)
    _check("filter_stride", rows.n_kernel * columns.n_kernel * depth // lanes, MAX_STRIDE)
    scaling = rows.n_input * width * depth
    programs = [Program(1, {"scale_pair": scaling / 2} if lanes == 2 else {"scale": scaling})]
    for column in columns.cuts():
        single = column.n_positions == 1
        for row in rows.cuts():
            paired = _is_paired_convolution(operator, row, column, single)
            length = column.size * depth // (2 if paired else 1)
            _check("filter_size_col", length, MAX_SIZE)
            for n_rows, apart in _row_programs(row, operator.stride[0], single):
                _check("output_size", max(column.n_positions, n_rows), MAX_SIZE)
                outputs = n_channels * column.n_positions * n_rows
                # A store can not step over more than the largest stride: no-operations step on in the loop.
                wide = apart > 1 and apart * columns.n_output * n_channels > MAX_STRIDE
                programs.append(
                    Program(
                        1,
                        {
                            "output": outputs,
                            "row": outputs * row.size,
                            "mac_pair" if paired else "mac": outputs * row.size * length,
                            "step": outputs * (apart - 1) if wide else 0,
                        },
                    )
                )
    return Plan("conv_2d", programs)


def _is_paired_convolution(operator: Operator, row: _Cut, column: _Cut, single: bool) -> bool:
    """Tell whether two neighbours go through at once: sizes, strides and first addresses are even."""
    depth, width = operator.inputs[0][3], operator.inputs[0][2]
    kernel_row = operator.kernel[1] * depth
    step = operator.stride[0] * width * depth if single else operator.stride[1] * depth
    first_input = (row.first_input * width + column.first_input) * depth
    first_weight = row.first_kernel * kernel_row + column.first_kernel * depth
    numbers = (
        *(column.size * depth, width * depth, step, first_input),
        *(kernel_row, operator.kernel[0] * kernel_row, first_weight),
    )
    return all(number % 2 == 0 for number in numbers)


def _depthwise(operator: Operator) -> Plan:
    rows, columns = _axes(operator)
    depth, n_channels = operator.inputs[0][3], operator.output[3]
    if n_channels % depth:
        raise NotSupportedError(f"output depth ({n_channels}) is not a multiple of {depth}")
    lanes = 2 if n_channels % 2 == 0 else 1
    widest = max(columns.n_input, columns.n_kernel) * (n_channels // lanes)
    by_positions = depth == n_channels and widest <= MAX_STRIDE
    window = rows.n_kernel * columns.n_kernel
    if by_positions and rows.n_input * columns.n_input <= 4 * window * n_channels:
        return _depthwise_positions(operator, rows, columns, lanes)
    try:
        cuts = _depthwise_cuts(operator, rows, columns)
    except NotSupportedError:
        if by_positions:
            return _depthwise_positions(operator, rows, columns, lanes)
        raise
    too_small = operator.elements * window < 120 * cuts.n_programs
    return _depthwise_positions(operator, rows, columns, lanes) if too_small and by_positions else cuts


def _depthwise_positions(operator: Operator, rows: _Axis, columns: _Axis, lanes: int) -> Plan:
    """One program an output position; its innermost loops are the window, the outer one the channels."""
    channels = operator.output[3] // lanes
    programs = []
    for row_size, n_rows in _sizes(rows).items():
        for column_size, n_columns in _sizes(columns).items():
            work: dict[str, float] = {
                "output": channels,
                "activation": channels if operator.has_activation else 0,
                "mac": channels * row_size * column_size,
            }
            programs.append(Program(n_rows * n_columns, work))
    return Plan("depthwise_conv_2d/positions", programs)


def _sizes(axis: _Axis) -> Counter[int]:
    counts: Counter[int] = Counter()
    for cut in axis.cuts():
        counts[cut.size] += cut.n_positions
    return counts


def _depthwise_cuts(operator: Operator, rows: _Axis, columns: _Axis) -> Plan:
    """A program for each cut; one with more than two loops over space takes one for each channel too."""
    depth, n_channels = operator.inputs[0][3], operator.output[3]
    lanes = 2 if n_channels // depth % 2 == 0 else 1
    for what, size in (("output_shape[1]", rows.n_output), ("output_shape[2]", columns.n_output)):
        _check(what, size, MAX_SIZE)
    _check("output_stride", columns.n_output * n_channels // lanes, MAX_STRIDE)
    step = operator.stride[0] * columns.n_input
    if step % operator.stride[1]:
        raise NotSupportedError(f"input_stride ({step}) is not a multiple of {operator.stride[1]}")
    programs = []
    n_cuts = 0
    for column in columns.cuts():
        for row in rows.cuts():
            for n_rows in _row_groups(row, column, operator.stride[0], step // operator.stride[1]):
                n_cuts += 1
                space = (row.size > 1) + (column.size > 1) + (column.n_positions > 1 or n_rows > 1)
                outside = depth if space > 2 else 1
                outputs = n_channels // lanes * column.n_positions * n_rows / outside
                work = {"cut_output": outputs, "mac": outputs * row.size * column.size}
                programs.append(Program(outside, work))
    return Plan("depthwise_conv_2d/cuts", programs, {"cut": n_cuts})


def _row_groups(row: _Cut, column: _Cut, stride: int, step: int) -> list[int]:
    """Return how many rows go together; what is too much for one dimension goes in groups and a rest."""
    if column.n_positions == 1 or row.n_positions * step <= MAX_SIZE:
        return [row.n_positions]
    rest = row.n_positions % -(-row.size // stride)
    return [part for part in (row.n_positions - rest, rest) if part]


def _pool(operator: Operator) -> Plan:
    rows, columns = _axes(operator)
    channels = operator.output[3]
    lanes = 2 if channels % 2 == 0 else 1
    average = operator.name == "average_pool_2d"
    n_positions = rows.n_output * columns.n_output
    area = rows.n_kernel * columns.n_kernel
    extra: dict[str, float] = {"element": operator.elements} if average else {}
    if average and n_positions <= (9 * area * channels + 5) // 10 and n_positions < channels // lanes:
        programs = [
            Program(
                n_rows * n_columns, {"output": channels // lanes, "value": channels // lanes * high * wide}
            )
            for high, n_rows in _sizes(rows).items()
            for wide, n_columns in _sizes(columns).items()
        ]
        return Plan(operator.name, programs, extra)
    _check("output_stride", columns.n_output * channels // lanes, MAX_STRIDE)
    _check("input_stride", columns.n_input * channels // lanes, MAX_STRIDE)
    programs = []
    for column in columns.cuts():
        for row in rows.cuts():
            for n_rows, _ in _row_programs(row, operator.stride[0], column.n_positions == 1):
                outputs = column.n_positions * n_rows
                work: dict[str, float] = {"output": outputs, "value": outputs * row.size * column.size}
                programs.append(Program(channels // lanes, work))
    return Plan(operator.name, programs, extra)


def _fully_connected(operator: Operator) -> Plan:
    if len(operator.inputs) < 2 or len(operator.inputs[1]) != 2 or min(operator.inputs[1]) < 1:
        raise NotSupportedError("weights are not [outputs, inputs]")
    depth = operator.inputs[1][1]
    outputs = operator.elements
    length = depth if depth % 2 else depth // 2
    if depth > _limit(depth):
        if _largest_divisor(length) * MAX_SIZE < length:
            raise NotSupportedError(f"weights_shape[1] ({depth}) > {_limit(depth)}")
        return Plan("fully_connected", [Program(outputs, {"output": 1, "mac": length})])
    _check("output_shape[1]", operator.inputs[1][0], MAX_SIZE)
    return Plan("fully_connected", [Program(1, {"output": outputs, "mac": outputs * length})])


def _largest_divisor(number: int) -> int:
    """Return the largest divisor up to 1024: a loop of it around one of the rest."""
    return next(divisor for divisor in range(min(MAX_SIZE, number), 0, -1) if number % divisor == 0)


def _elementwise(operator: Operator) -> Plan:
    if len(operator.inputs) < 2 or operator.inputs[0] != operator.inputs[1]:
        raise NotSupportedError("inputs of different shapes")
    elements = operator.elements
    n_programs = -(-elements // (2 * MAX_SIZE))
    return Plan("elementwise", [Program(n_programs, {"pair": elements / 2 / n_programs})])


_PLANNERS = {
    "conv_2d": _convolution,
    "depthwise_conv_2d": _depthwise,
    "fully_connected": _fully_connected,
    "average_pool_2d": _pool,
    "max_pool_2d": _pool,
    "add": _elementwise,
    "mul": _elementwise,
}

OPERATORS = frozenset({*_PLANNERS, "transpose_conv"})  # what the MVP has kernels for
