"""The accessor ``.vzarr`` as soon as both this package and xarray are imported, in whichever order.

xarray has no entry points for accessors, and ``import intake_virtualzarr`` must not cost an import of xarray.
"""

from __future__ import annotations

import sys
from importlib import import_module

TYPE_CHECKING = False
"""As in `typing`, which would cost more at run time than all else that the top package imports."""
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["register_with_xarray"]

ACCESSOR = "intake_virtualzarr.datasets.accessor"


class _AndThen:
    """A loader that imports the accessor after its module."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # from now on the module is what it would have been without us
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        import_module(ACCESSOR)


class _WaitForXarray:
    """Stands aside for every module, and once for xarray."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "xarray" or self not in sys.meta_path:
            return None
        from importlib.util import find_spec  # first needed here

        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _AndThen(spec.loader)  # type: ignore[assignment]
        return spec


def register_with_xarray() -> None:
    """Import the accessor now if xarray is there, else when it is imported."""
    xarray = sys.modules.get("xarray")
    if xarray is None:
        sys.meta_path.insert(0, _WaitForXarray())
    elif hasattr(xarray, "register_dataset_accessor"):  # not while it is half imported
        import_module(ACCESSOR)
