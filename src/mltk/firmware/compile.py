"""A .tflite as plain C99: the plan's steps as calls of the kernels, its constants as const arrays.

The generated folder holds everything that is needed: `NAME.h` (the interface), `NAME.c` (weights, arena plan, calls)
and, in `mltk/`, only those kernels that the model uses.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import mltk
from mltk.firmware.c_source import Constant, comment, identifier, number, struct
from mltk.firmware.targets import Target
from mltk.native import SOURCE_DIR
from mltk.tflite.layers import TfliteTensor, shape_text
from mltk.tflite.model import TfliteModel
from mltk.tflite.plan.engine import scratch_bytes
from mltk.tflite.plan.forms import forms_for, pack_step, source_file
from mltk.tflite.plan.kernels import KERNELS
from mltk.tflite.plan.plan import make_plan
from mltk.tflite.plan.steps import Plan
from mltk.utils.errors import TfliteError
from mltk.utils.files import make_folder, write_text

_KERNEL_DIR = SOURCE_DIR / "kernels"
_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "int32": "int32_t", "float32": "float"}


@dataclass(frozen=True)
class CompiledModel:
    """A model as C source.

    Attributes:
        name: prefix of every public name.
        files: path below the folder -> text.
        plan: what the C does.

    """

    name: str
    files: dict[str, str]
    plan: Plan

    def write(self, directory: str | Path) -> Path:
        """Write the files into a folder, each whole or not at all; return the folder.

        Raises:
            MltkError: the folder can not be written.

        """
        folder = make_folder(Path(directory))
        for name, text in self.files.items():
            make_folder((folder / name).parent)
            write_text(folder / name, text)
        return folder


def compile_model(model: TfliteModel, name: str | None = None, target: Target | None = None) -> CompiledModel:
    """Compile a model to C99.

    Args:
        model: the .tflite.
        name: prefix of the generated names; the model's own name without one.
        target: the processor whose instructions the kernels may use; plain C for any without one.

    Raises:
        TfliteError: operators can not be compiled (the text lists them), or the name is no C name.

    """
    if name is None:
        name = identifier(str(model.parameters.get("name") or Path(model.path or "model").stem).lower())
    elif name != identifier(name):
        raise TfliteError(
            f"'{name}' can not be the name of a C function: use letters, digits and '_', such as {identifier(name)}"
        )
    plan = make_plan(model, scratch_bytes)
    forms = forms_for(plan.steps, target)
    plan = replace(plan, steps=tuple(pack_step(step, forms[step.kernel]) for step in plan.steps))
    files = {f"{name}.h": _header(model, plan, name), f"{name}.c": _source(model, plan, name)}
    for source in _kernel_files(forms):
        files[f"mltk/{source}"] = (_KERNEL_DIR / source).read_text(encoding="utf-8")
    return CompiledModel(name, files, plan)


def _kernel_files(forms: dict[str, str]) -> list[str]:
    """Return the C files that kernels need in these forms, with everything that the files include."""
    found: set[str] = set()
    waiting = {"mltk_nn.h", *(source_file(kernel, form) for kernel, form in forms.items())}
    while waiting:
        name = waiting.pop()
        found.add(name)
        text = (_KERNEL_DIR / name).read_text(encoding="utf-8")
        waiting |= set(re.findall(r'^#include "([\w.]+)"', text, re.MULTILINE)) - found
    return sorted(found)


def _ends(tensors: tuple[TfliteTensor, ...], kind: str) -> list[tuple[str, TfliteTensor]]:
    """Return (suffix, tensor): 'input' for a single one, else 'input_0', 'input_1'..."""
    if len(tensors) == 1:
        return [(kind, tensors[0])]
    return [(f"{kind}_{place}", tensor) for place, tensor in enumerate(tensors)]


def _header(model: TfliteModel, plan: Plan, name: str) -> str:
    upper = name.upper()
    lines = [
        f"/* {comment(name)}: a neural network as plain C99, compiled by mltk {mltk.__version__}.",
        " *",
        f" * {comment(model.description) or 'No description.'}",
        " *",
        " * The caller owns all memory: one state, which may be static. No heap, no I/O, no global state; different",
        " * states may be used at the same time. Write the input, invoke, read the output; the input's bytes are used",
        " * for other tensors meanwhile, so write all of it before each inference. */",
        f"#ifndef {upper}_H_",
        f"#define {upper}_H_",
        "",
        "#include <stdint.h>",
        "",
        "#ifdef __cplusplus",
        'extern "C" {',
        "#endif",
        "",
        f"#define {upper}_ARENA_BYTES {plan.arena_bytes}",
        "",
        "typedef enum {",
        f"  {upper}_OK = 0,",
        f"  {upper}_NO_STATE = 1 /* a null pointer was given */",
        f"}} {name}_status;",
        "",
        "/* Private; aligned as the kernels want it. */",
        "typedef struct {",
        f"  uint32_t arena[{max(1, plan.arena_bytes // 4)}];",
        f"}} {name}_state;",
        "",
        "/* Begin: call once before the first inference. */",
        f"{name}_status {name}_init({name}_state *state);",
        "",
    ]
    for kind, tensor in _ends(plan.inputs, "input"):
        lines += _end_text(name, kind, tensor, constant=False)
    for kind, tensor in _ends(plan.outputs, "output"):
        lines += _end_text(name, kind, tensor, constant=True)
    lines += [
        "/* Compute the output from the input. */",
        f"{name}_status {name}_invoke({name}_state *state);",
        "",
        "#ifdef __cplusplus",
        "}",
        "#endif",
        "",
        f"#endif /* {upper}_H_ */",
        "",
    ]
    return "\n".join(lines)


def _end_text(name: str, kind: str, tensor: TfliteTensor, constant: bool) -> list[str]:
    c_type = _C_TYPES[tensor.type_name]
    upper = f"{name}_{kind}".upper()
    lines = [
        f"/* {kind.capitalize()}: {c_type} [{shape_text(tensor.shape).replace('x', '][')}]"
        + ("; real = (value - ZERO_POINT) * SCALE. */" if tensor.scales else ". */"),
        f"#define {upper}_SIZE {tensor.size}",
    ]
    if tensor.scales:
        lines += [
            f"#define {upper}_SCALE {number(tensor.scale, 'float')}",
            f"#define {upper}_ZERO_POINT ({tensor.zero_point})",
        ]
    const = "const " if constant else ""
    return [*lines, f"{const}{c_type} *{name}_{kind}({const}{name}_state *state);", ""]


def _source(model: TfliteModel, plan: Plan, name: str) -> str:
    constants = Constant()
    structs, calls = [], []
    layers = {layer.index: layer for layer in model.layers}
    names = {
        index: constants.add(f"tensor_{index}", _C_TYPES[model.tensors[index].type_name], values)
        for index, values in plan.constants.items()
    }
    for place, step in enumerate(plan.steps):
        kernel = KERNELS[step.kernel]
        structs.append(struct(kernel, f"step_{place}", step.params, constants))
        arguments = [f"&step_{place}"]
        arguments += [_argument(plan, names, tensor, constant=True) for tensor in step.inputs]
        arguments += [_argument(plan, names, tensor, constant=False) for tensor in step.outputs]
        if kernel.has_scratch:
            arguments.append(f"arena + {plan.scratch_offsets.get(place, 0)}")
        layer = layers[step.layer]
        calls.append(f"  /* {layer.index}: {layer.name} -> {shape_text(layer.outputs[0].shape)} */")
        calls.append(f"  {kernel.name}({', '.join(arguments)});")
    functions = [
        _end_function(plan, name, kind, tensor, False) for kind, tensor in _ends(plan.inputs, "input")
    ]
    functions += [
        _end_function(plan, name, kind, tensor, True) for kind, tensor in _ends(plan.outputs, "output")
    ]
    return "\n".join(
        [
            f"/* Compiled by mltk {mltk.__version__}; do not edit. */",
            f'#include "{name}.h"',
            "",
            "#include <stddef.h>",
            "",
            '#include "mltk/mltk_nn.h"',
            "",
            *constants.text,
            *structs,
            f"{name}_status {name}_init({name}_state *state) {{",
            f"  return state == NULL ? {name.upper()}_NO_STATE : {name.upper()}_OK;",
            "}",
            "",
            *functions,
            f"{name}_status {name}_invoke({name}_state *state) {{",
            f"  if (state == NULL) return {name.upper()}_NO_STATE;",
            "  uint8_t *arena = (uint8_t *)state->arena;",
            *calls,
            f"  return {name.upper()}_OK;",
            "}",
            "",
        ]
    )


def _argument(plan: Plan, names: dict[int, str], tensor: int, constant: bool) -> str:
    if tensor in names:
        return names[tensor]
    # Through void: the kernels' pointers have types of their own, and every tensor is aligned for any of them.
    return f"({'const ' if constant else ''}void *)(arena + {plan.offsets[tensor]})"


def _end_function(plan: Plan, name: str, kind: str, tensor: TfliteTensor, constant: bool) -> str:
    const = "const " if constant else ""
    c_type = _C_TYPES[tensor.type_name]
    offset = plan.offsets[tensor.index]
    return "\n".join(
        [
            f"{const}{c_type} *{name}_{kind}({const}{name}_state *state) {{",
            f"  return state == NULL ? NULL : ({const}{c_type} *)({const}void *)(({const}uint8_t *)state->arena + {offset});",
            "}",
            "",
        ]
    )
