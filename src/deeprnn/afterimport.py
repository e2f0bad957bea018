"""Something to do as soon as a module has been imported: at once where it has been, else right after its import."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def after_import(name: str, action: Callable[[], object]) -> None:
    """Calls `action` once the module `name` is whole: now, or at the end of its import if that comes later.

    Args:
        name: a module without a parent, such as "torch"; it is not imported here.
        action: takes nothing; an exception of it reaches whoever imports the module.
    """
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Finder(name, action))


class _Finder:
    """Finds one module as the finders behind it do, and has an action follow its import.

    A program may look for the module without importing it (`importlib.util.find_spec`), so the finder stays in place
    until the import.
    """

    def __init__(self, name: str, action: Callable[[], object]) -> None:
        self._name = name
        self._action = action

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> "ModuleSpec | None":
        if fullname != self._name:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Following(spec.loader, self._finish)  # pyright: ignore[reportAttributeAccessIssue]
                return spec
        return None

    def _finish(self) -> None:
        sys.meta_path.remove(self)
        self._action()


class _Following:
    """A loader, and what follows its work."""

    def __init__(self, loader: Any, action: Callable[[], object]) -> None:
        self._loader = loader
        self._action = action

    def create_module(self, spec: "ModuleSpec") -> "ModuleType | None":
        return self._loader.create_module(spec)

    def exec_module(self, module: "ModuleType") -> None:
        assert module.__spec__ is not None
        # The module keeps the loader that it would have had.
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action()
