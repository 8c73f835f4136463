"""Attributes and keys that have to be declared, so that a misspelling can not pass unseen."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mltk.models.checks import CHECKS
from mltk.utils.errors import ModelError
from mltk.utils.text import suggestion


class UnknownAttributeError(ModelError, AttributeError):
    """A model has no such attribute; an AttributeError too, so that hasattr() works."""


class DeclaredAttributes:
    """Base of classes whose instances only take the attributes that a class body declares.

    Declared is what a class of the instance names: a default (`epochs = 10`), an annotation (`table:
    dict[str, int]`), a property or a method. Names that begin with an underscore are free.
    """

    if not TYPE_CHECKING:  # a type checker, which sees neither, tells of undeclared attributes by itself

        def __setattr__(self, name: str, value: object) -> None:
            """Set a declared attribute, after its check in `mltk.models.checks` if it has one.

            Raises:
                UnknownAttributeError: no class declares the name.
                ModelError: the value can not be used.

            """
            if not name.startswith("_") and not is_declared(type(self), name):
                raise UnknownAttributeError(unknown_attribute(type(self), name, setting=True))
            check = CHECKS.get(name)
            super().__setattr__(name, value if check is None else check(name, value))

        def __getattr__(self, name: str) -> Any:
            """Tell that an attribute is missing, with the one that was probably meant."""
            declared = getattr(type(self), name, None)
            if isinstance(declared, property) and declared.fget is not None:
                # Python asks here when a property fails with an AttributeError; that one is the true reason.
                return declared.fget(self)
            if is_declared(type(self), name):
                raise UnknownAttributeError(
                    f"The attribute '{name}' of {type(self).__name__} has no value yet: set it"
                )
            raise UnknownAttributeError(unknown_attribute(type(self), name, setting=False))


def is_declared(owner: type, name: str) -> bool:
    """Tell whether a class or one of its bases declares an attribute, by a value or by an annotation."""
    return any(name in vars(base) or name in vars(base).get("__annotations__", ()) for base in owner.__mro__)


def declared_names(owner: type) -> list[str]:
    """List the public attributes that a class and its bases declare, sorted."""
    names: set[str] = set()
    for base in owner.__mro__:
        if base is not object:
            names.update(vars(base), vars(base).get("__annotations__", ()))
    return sorted(name for name in names if not name.startswith("_"))


def unknown_attribute(owner: type, name: str, *, setting: bool) -> str:
    """Return the sentence for an attribute that `owner` does not declare."""
    text = f"{owner.__name__} has no attribute '{name}'"
    mixin = mixin_with(name)
    if mixin:
        return f"{text}: it comes with {mixin}, add mltk.core.{mixin} to the bases of {owner.__name__}"
    meant = suggestion(name, declared_names(owner))
    if meant:
        return text + meant
    if setting:
        return f"{text}: declare your own attributes in the class body, such as '{name}: object = None'"
    return text


def mixin_with(name: str) -> str | None:
    """Return the name of the mixin that declares an attribute, if one does."""
    from mltk.models import mixins

    for mixin in mixins.ALL:
        if is_declared(mixin, name):
            return mixin.__name__
    return None


class KnownKeys(dict[str, Any]):
    """A dict that takes known keys only: `checkpoint['moniter']` is an error that suggests 'monitor'."""

    def __init__(
        self,
        owner: str,
        known: Iterable[str],
        values: Mapping[str, Any] | None = None,
        allowed: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> None:
        """Make the dict.

        Args:
            owner: the attribute's name, for the errors.
            known: the keys it may hold.
            values: what it holds at first.
            allowed: key -> the only values that it may have, for keys that take not just anything.

        Raises:
            ModelError: a key of `values` is not known, or its value not allowed.

        """
        super().__init__()
        self.owner = owner
        self.known = tuple(known)
        self.allowed = dict(allowed or {})
        self.update(values or {})

    def __setitem__(self, key: str, value: Any) -> None:
        """Set a known key; a ModelError else."""
        self._check(key)
        if key in self.allowed and value not in self.allowed[key]:
            raise ModelError(
                f"{self.owner}['{key}'] can not be {value!r}: a training keeps the weights of its best epoch in its log "
                f"folder, so only {', '.join(map(repr, self.allowed[key]))} can be said"
            )
        super().__setitem__(key, value)

    def __missing__(self, key: str) -> Any:
        """Tell apart a misspelt key from a known one that is not set."""
        self._check(key)
        raise KeyError(key)

    def update(self, *args: Any, **values: Any) -> None:
        """Set several known keys at once."""
        for key, value in dict(*args, **values).items():
            self[key] = value

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Set a known key unless it is set, and return its value."""
        if key not in self:
            self[key] = default
        return self[key]

    def __ior__(self, other: Any) -> "KnownKeys":  # type: ignore[override,misc]
        """Set several known keys at once."""
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy with the known keys."""
        return (KnownKeys, (self.owner, self.known, dict(self), self.allowed))

    def _check(self, key: str) -> None:
        if key not in self.known:
            hint = suggestion(str(key), self.known)
            raise ModelError(
                f"{self.owner} has no key '{key}'{hint or ': it takes ' + ', '.join(self.known)}"
            )
