"""What can go wrong with another machine."""

from mltk.utils.errors import MltkError


class RemoteError(MltkError):
    """The other machine can not be used as asked; trying again would not help."""


class UnreachableError(RemoteError):
    """The other machine can not be reached now: the connection was cut, refused or not answered.

    A run that goes on there is worth another try later.
    """
