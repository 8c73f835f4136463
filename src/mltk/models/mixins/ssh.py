"""Settings of a training on another machine: declared, so that historical specifications load."""

from typing import Any

from mltk.models.base import ModelBase


class SshMixin(ModelBase):
    """Settings for training over SSH. Nothing reads them yet.

    Attributes:
        ssh_remote_dir: folder on the other machine.
        ssh_startup_cmds: shell commands to run there first.
        ssh_shutdown_cmds: shell commands to run there afterwards.
        ssh_environment: environment variables for the commands.
        ssh_upload_files: paths to send.
        ssh_create_venv: train in a virtual environment of its own.

    """

    ssh_remote_dir: str = "."
    ssh_startup_cmds: list[str]
    ssh_shutdown_cmds: list[str]
    ssh_environment: dict[str, Any]
    ssh_upload_files: list[str]
    ssh_create_venv: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.ssh_startup_cmds = []
        self.ssh_shutdown_cmds = []
        self.ssh_environment = {}
        self.ssh_upload_files = []
