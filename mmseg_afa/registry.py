# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The scope ``mmseg_afa``, in the module in which mmengine looks for it.

A base config such as ``mmseg_afa::afa/afa_mit-b1_voc.py`` gives all it builds
this scope. The components are in mmseg's registries: an empty registry below
each of them has the scope, and passes on what it is asked.
"""

from mmengine.registry import Registry
from mmseg import registry


class ScopeRegistry(Registry):
    """A registry that finds all that its parent finds."""

    def import_from_location(self) -> None:
        """Also import the parent's modules, which mmengine leaves out."""
        super().import_from_location()
        self.parent.import_from_location()


for parent in (getattr(registry, name) for name in registry.__all__):
    ScopeRegistry(
        parent.name, parent=parent, scope='mmseg_afa', locations=['mmseg_afa'])
