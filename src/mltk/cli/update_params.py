"""`mltk update_params`: change the settings that a trained model carries."""

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from pathlib import Path


class _Wanted(NamedTuple):
    settings: list[str]
    params: str | None
    description: str | None


def update_params(
    model: Annotated[str, typer.Argument(help="Name or archive of a trained model, or a .tflite file.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE...", help="Such as detection_threshold=200.")
    ] = None,
    *,
    params: Annotated[
        str | None, typer.Option(help="Take settings from this .json or .yaml file too.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="Set the model's description.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Write here; leave the model as it is.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Use the dry run's model.")] = False,
) -> None:
    """Change settings inside a model's .tflite; everything that is not named stays as it is."""
    from mltk.utils.files import read_bytes, write_bytes

    wanted = _Wanted(settings or [], params, description)
    if model.endswith(".tflite"):
        changed, report = _change(read_bytes(model, ".tflite model"), model, wanted)
        written = write_bytes(output or model, changed)
    else:
        written, report = _change_archive(model, wanted, output, test)
    print("\n".join([*report, f"Updated {written}"]))


def _change_archive(model: str, wanted: _Wanted, output: str | None, test: bool) -> "tuple[Path, list[str]]":
    from mltk.models.archive import ModelArchive
    from mltk.models.loading import find_archive
    from mltk.utils.files import write_bytes

    archive = ModelArchive.open(find_archive(model, test))
    data = archive.tflite_bytes()
    member = str(archive.tflite_member())
    changed, report = _change(data, str(archive.path), wanted)
    if output is None:
        archive.update({member: changed})
    elif output.endswith(".zip"):
        members = {name: archive.read(name) for name in archive.names}
        return ModelArchive.create(output, {**members, member: changed}).path, report
    else:
        return write_bytes(output, changed), report
    return archive.path, report


def _change(data: bytes, source: str, wanted: _Wanted) -> tuple[bytes, list[str]]:
    """Return the changed .tflite and a line for each change."""
    from mltk.tflite.model import TfliteModel
    from mltk.tflite.settings import parse_settings, read_settings_file
    from mltk.utils.errors import MltkError

    model = TfliteModel(data, source)
    parameters = model.parameters
    changes: dict[str, Any] = read_settings_file(wanted.params) if wanted.params else {}
    changes |= parse_settings(wanted.settings, parameters)
    if wanted.description is not None:
        changes["description"] = wanted.description
    if not changes:
        raise MltkError(f"Nothing to change in {source}: give key=value, --params FILE or --description TEXT")
    text = changes.get("description")
    if text is not None and "description" not in parameters:
        # Models of the reference toolkit keep it in the flatbuffer's own field only.
        del changes["description"]
    report = [f"{key}: {parameters.get(key, '(new)')} -> {value}" for key, value in changes.items()]
    if text is not None and "description" not in changes:
        report.append(f"description: {model.description} -> {text}")
    parameters.update(changes)
    return parameters.add_to_tflite_flatbuffer(data, description=None if text is None else str(text)), report
