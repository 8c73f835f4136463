"""The processors that models are compiled for."""

from dataclasses import dataclass

from mltk.utils.errors import DeviceError
from mltk.utils.text import suggestion


@dataclass(frozen=True)
class Target:
    """A processor.

    Attributes:
        name: as users write it.
        cpu: what clang is told with -mcpu; zig's spelling.
        float_abi: "eabi" (floats in integer registers) or "eabihf".
        unicorn_model: the name of unicorn's constant of this processor; "" where it has none.
        has_thumb2: it has the 32-bit instructions of Armv7-M.
        has_dsp: it has the DSP instructions (two 16-bit products at once).
        has_mve: it has the vector unit of Armv8.1-M.

    """

    name: str
    cpu: str
    float_abi: str = "eabi"
    unicorn_model: str = ""
    has_thumb2: bool = True
    has_dsp: bool = False
    has_mve: bool = False


HOST = "host"
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("cortex-m0", "cortex_m0", unicorn_model="UC_CPU_ARM_CORTEX_M0", has_thumb2=False),
        # unicorn's M0 has the same instructions
        Target("cortex-m0plus", "cortex_m0plus", unicorn_model="UC_CPU_ARM_CORTEX_M0", has_thumb2=False),
        Target("cortex-m3", "cortex_m3", unicorn_model="UC_CPU_ARM_CORTEX_M3"),
        Target("cortex-m4", "cortex_m4", unicorn_model="UC_CPU_ARM_CORTEX_M4", has_dsp=True),
        Target("cortex-m7", "cortex_m7", unicorn_model="UC_CPU_ARM_CORTEX_M7", has_dsp=True),
        Target("cortex-m33", "cortex_m33+dsp", unicorn_model="UC_CPU_ARM_CORTEX_M33", has_dsp=True),
        Target("cortex-m55", "cortex_m55+mve", has_dsp=True, has_mve=True),
    )
}


def find_target(name: str) -> Target:
    """Return the processor of a name such as "cortex-m4", "m4" or "Cortex_M4".

    Raises:
        DeviceError: there is none.

    """
    plain = name.lower().replace("_", "-")
    if not plain.startswith("cortex-"):
        plain = f"cortex-{plain}"
    if plain not in TARGETS:
        raise DeviceError(
            f"There is no target '{name}'{suggestion(plain, TARGETS)}: the targets are {', '.join(TARGETS)}"
        )
    return TARGETS[plain]
