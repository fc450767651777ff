# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Bridge the gaps between the versions of the libraries below the package.

``import mmseg_afa`` imports this module first. It checks the versions, and
changes four things for the whole process:

- ``mmcv.ops`` can be imported without compiled operators.
- ``mmseg_afa::afa/afa_mit-b1_voc.py`` resolves as a base config.
- A checkpoint is read as data: nothing in it is executed.
- mmengine writes each file, above all each checkpoint, as a whole.
"""

import functools
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Callable, List

import torch
from packaging.specifiers import SpecifierSet

# The versions that are tested. setup.py has the same ranges.
SUPPORTED = {
    'torch': '>=2.6',  # the first that loads checkpoints with weights_only
    'mmengine': '>=0.10.7,<1.0',
    'mmcv': '>=2.0.0,<2.2.0',  # mmseg 1.2.2 refuses 2.2.0
    'mmseg': '>=1.2.2,<2.0',
}


class MissingOperators(ModuleType):
    """Stand in for ``mmcv._ext``, of which AFA calls no operator."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def operator(*args, **kwargs):
            raise NotImplementedError(
                f'This mmcv does not have the compiled operator {name!r}. '
                'Install a full mmcv as README.md says.')

        return operator


def stand_in_for_operators() -> None:
    """Let ``mmcv.ops`` be imported without the compiled ``mmcv._ext``."""
    name = 'mmcv._ext'
    if name not in sys.modules and find_spec(name) is None:
        module = MissingOperators(name)
        module.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = module


def check_libraries() -> None:
    """Check that every library has a supported version."""
    # mmseg is last: it imports mmcv.
    for name, supported in SUPPORTED.items():
        version = import_module(name).__version__
        if not SpecifierSet(supported).contains(version, prereleases=True):
            raise ImportError(
                f'mmseg_afa needs {name}{supported}, but found {name} '
                f'{version}. Run `make setup`, or install a version in that '
                'range.')
        if name == 'mmcv':
            stand_in_for_operators()
    if find_spec('pkg_resources') is None:
        raise ImportError(
            'mmengine needs pkg_resources to find base configs such as '
            '`mmseg::_base_/default_runtime.py`. setuptools 81 dropped it: '
            'pip install "setuptools<81".')


check_libraries()

# These imports need the libraries that were just checked.
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio import LocalBackend
from mmseg import registry
from mmseg.apis import MMSegInferencer

from .utils import checkpoints, put_atomically

# Without an entry, mmengine looks for the configs of an editable install in
# site-packages. The name of a module makes it ask Python's import system.
MODULE2PACKAGE['mmseg_afa'] = __name__

# mmengine writes in place: a killed process would leave half a checkpoint.
LocalBackend.put = put_atomically
LocalBackend.put_text = lambda self, obj, filepath, encoding='utf-8': self.put(
    obj.encode(encoding), filepath)
checkpoints.install()


def find_transform(self, pipeline: List[dict], name: str) -> int:
    """Find the first transform of a class or its subclass; -1 without one.

    MMSegInferencer finds the transforms to replace by their exact names only.
    """
    wanted = registry.TRANSFORMS.get(name)
    for i, transform in enumerate(pipeline):
        found = registry.TRANSFORMS.get(transform['type'])
        if wanted and isinstance(found, type) and issubclass(found, wanted):
            return i
    return -1


MMSegInferencer._get_transform_idx = find_transform


def no_grad(function: Callable) -> Callable:
    """Run a function of a network in training under ``torch.no_grad``.

    Under autocast, torch before 2.11 caches copies of the weights. Copies
    made without gradients would serve the training pass, too: the weights
    would get no gradients. https://github.com/pytorch/pytorch/issues/65766
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            with torch.no_grad():
                return function(*args, **kwargs)
        finally:
            torch.clear_autocast_cache()

    return wrapper
