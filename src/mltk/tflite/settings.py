"""Model parameters as a person writes them: `key=value` on a command line, a .json or a .yaml file."""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mltk.tflite.dictionary import plain_value
from mltk.utils.errors import MltkError, TfliteError
from mltk.utils.files import read_bytes

# What add_to_tflite_flatbuffer computes; a value from outside would be a lie about the file.
COMPUTED = ("hash", "date")
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][+-]?\d+)?")
_WORDS = {"true": True, "false": False}
_LARGEST_FILE = 2**20


def parse_settings(settings: Iterable[str], current: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of words like 'detection_threshold=200'.

    Args:
        settings: words 'key=value'. The value's form tells its type: true, 12, 1.5, [a, b], "text", text. A
            parameter that the model has as text, float or list keeps that type: name=7, gain=2 and
            classes=yes,no do what they seem to.
        current: the parameters that the model has.

    Raises:
        TfliteError: a word has no '=', no key, or a key that can not be set.

    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator:
            raise TfliteError(
                f"{setting!r} is not a setting: write key=value, such as detection_threshold=200"
            )
        parsed[key.strip()] = _parse_value(text.strip(), current.get(key.strip()))
    return check_settings(parsed)


def _parse_value(text: str, current: Any) -> Any:
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    if text.startswith("[") and text.endswith("]"):
        return _parse_list(text[1:-1])
    if isinstance(current, list):
        return _parse_list(text)
    if isinstance(current, str):
        return text
    value = _parse_scalar(text)
    return float(value) if type(value) is int and isinstance(current, float) else value


def _parse_list(text: str) -> list[Any]:
    items = [_parse_scalar(item.strip()) for item in text.split(",")] if text.strip() else []
    # [1, a] is a list of texts: a list has one type.
    numbers = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    return items if numbers else [item.strip().strip("\"'") for item in text.split(",")] if items else []


def _parse_scalar(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) < 32:
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def read_settings_file(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the parameters of a .json, .yaml or .yml file that holds one flat table.

    Raises:
        MltkError: there is no such file, or it is no such table.
        TfliteError: a value can not be stored in a model.

    """
    file = Path(path)
    if file.suffix not in (".json", ".yaml", ".yml"):
        raise MltkError(f"{file} is not a parameter file: give a .json or .yaml file")
    data = read_bytes(file, "parameter file")
    if len(data) > _LARGEST_FILE:
        raise MltkError(f"{file} has {len(data)} bytes, too many for a parameter file")
    try:
        values = json.loads(data) if file.suffix == ".json" else _load_yaml(data)
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise MltkError(f"Can not read the parameter file {file}: {reason}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise MltkError(f"{file} does not hold a table of names and values")
    return check_settings(values)


def _load_yaml(data: bytes) -> Any:
    import yaml

    try:
        return yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def check_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return parameters as plain values.

    Raises:
        TfliteError: a key can not be set, or a value can not be stored in a model.

    """
    for key in settings:
        if not key or not key.isprintable() or key != key.strip():
            raise TfliteError(f"{key!r} is not a name of a parameter: write key=value")
        if key in COMPUTED:
            raise TfliteError(f"The parameter {key} is computed when a model is written: leave it out")
    return {key: plain_value(key, value) for key, value in settings.items()}
