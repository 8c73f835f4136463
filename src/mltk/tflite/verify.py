"""Is a file a .tflite whose every offset, list and union lies inside it? Asked before anything reads it."""

from mltk.tflite.flatbuffer import DamagedBufferError, FlatReader, Table
from mltk.tflite.layout import TABLES, UNIONS

FILE_IDENTIFIER = b"TFL3"


def verify_layout(data: bytes) -> None:
    """Walk the whole flatbuffer.

    Args:
        data: the file's bytes.

    Raises:
        DamagedBufferError: it is not a .tflite, or something in it leads outside; the text says what.

    """
    if data[4:8] != FILE_IDENTIFIER:
        raise DamagedBufferError("it has no TFL3 identifier at its beginning")
    reader = FlatReader(data)
    _verify_table(reader, reader.target(0), "Model", TABLES["Model"])


def _verify_table(reader: FlatReader, position: int, name: str, fields: str) -> None:
    table = reader.table(position)
    for slot, form in enumerate(fields.split()):
        if form == "-" or table.field(slot) == 0:
            continue
        if form == "none":
            raise DamagedBufferError(
                f"{name} keeps data outside the file (field {slot}), which is not supported"
            )
        size = int(form) if form.isdigit() else 4
        field = reader.check_field(table, slot, size)
        if form.isdigit():
            continue
        if form.startswith("u:"):
            _verify_union(reader, table, slot, form[2:])
        else:
            _verify_target(reader, reader.target(field), form)


def _verify_target(reader: FlatReader, position: int, form: str) -> None:
    if form == "s":
        reader.string(position)
    elif form.startswith("v"):
        reader.vector(position, int(form[1:]))
    elif form.startswith("V:"):
        start, count = reader.vector(position, 4)
        for index in range(count):
            _verify_table(reader, reader.target(start + 4 * index), form[2:], TABLES[form[2:]])
    else:
        _verify_table(reader, position, form[2:], TABLES[form[2:]])


def _verify_union(reader: FlatReader, table: Table, slot: int, name: str) -> None:
    kind_position = reader.check_field(table, slot - 1, 1)
    kind = reader.unsigned(kind_position, "B") if kind_position else 0
    if kind == 0:
        return
    if kind not in UNIONS[name]:
        raise DamagedBufferError(f"it uses the member {kind} of {name}, which is not supported")
    _verify_table(reader, reader.target(table.field(slot)), name, UNIONS[name][kind])
