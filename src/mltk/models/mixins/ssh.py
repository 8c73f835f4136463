"""Settings of a run on another machine (`mltk ssh`)."""

from typing import Any

from mltk.models.base import ModelBase


class SshMixin(ModelBase):
    """Settings for `mltk ssh`, with the reference toolkit's names. What is not set comes from the settings file.

    Attributes:
        ssh_remote_dir: working folder on the other machine, relative to the home folder there.
        ssh_startup_cmds: shell commands to run there first.
        ssh_shutdown_cmds: shell commands to run there when everything is brought home.
        ssh_environment: environment variables of the commands: a dict, or a list of 'NAME=VALUE'.
        ssh_upload_files: files and folders to send, relative to the specification: patterns, or 'here|there'.
        ssh_download_files: files to bring home, relative to the working folder: patterns, or 'there|here'.
        ssh_create_venv: run in a virtual environment of its own, made when it is missing.

    """

    ssh_remote_dir: str | None = None
    ssh_startup_cmds: list[str]
    ssh_shutdown_cmds: list[str]
    ssh_environment: dict[str, Any] | list[str]
    ssh_upload_files: list[str]
    ssh_download_files: list[str]
    ssh_create_venv: bool | None = None

    def __init__(self) -> None:
        super().__init__()
        self.ssh_startup_cmds = []
        self.ssh_shutdown_cmds = []
        self.ssh_environment = {}
        self.ssh_upload_files = []
        self.ssh_download_files = []
