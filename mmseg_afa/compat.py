# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Bridge the gaps between the versions of the libraries below the package.

``import mmseg_afa`` imports this module first. It checks the versions, and
changes five things for the whole process:

- ``mmcv.ops`` can be imported without compiled operators.
- ``mmseg_afa::afa/afa_mit-b1_voc.py`` resolves as a base config.
- mmengine works without pkg_resources and pkgutil.find_loader, which later
  versions of setuptools and Python do not have.
- A checkpoint is read as data: nothing in it is executed.
- mmengine writes each file, above all each checkpoint, as a whole.
"""

import functools
import os.path as osp
import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import distributions
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Callable, List

import torch
from packaging.specifiers import SpecifierSet

# The versions that are tested. setup.py has the same ranges.
SUPPORTED = {
    'torch': '>=2.6',  # the first that loads checkpoints with weights_only
    'mmengine': '>=0.10.7,<1.0',
    'mmcv': '>=2.0.0,!=2.2.*,<2.4',  # mmseg 1.2.2 refuses 2.2
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


# Of libraries: invalid escapes, which Python 3.12 and later report, and what
# mmseg says of its own calls and defaults.
warnings.filterwarnings(
    'ignore', category=SyntaxWarning, module='.*site-packages')
for message in 'would be deprecated soon', 'The draw is False':
    warnings.filterwarnings(
        'ignore', f'.*{message}', UserWarning, module='mmseg\\.')
check_libraries()

# These imports need the libraries that were just checked.
import mmengine.config.config
import mmengine.hub.hub
import mmengine.utils.dl_utils.misc
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.fileio import LocalBackend
from mmseg import registry
from mmseg.apis import MMSegInferencer

from .utils import checkpoints, put_atomically

MODULE2PACKAGE['mmseg_afa'] = 'mmseg_afa'
MODULES = {package: module for module, package in MODULE2PACKAGE.items()}


def is_installed(package: str) -> bool:
    """Return whether a module or a distribution is installed."""
    return (any(distributions(name=package))
            or find_spec(MODULES.get(package, package)) is not None)


def get_installed_path(package: str) -> str:
    """Find the folder of a package, also of an editable install."""
    spec = find_spec(MODULES.get(package, package))
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f'{package} is not installed.')
    return osp.dirname(spec.origin)


def find_loader(name: str) -> object:
    """Do what pkgutil.find_loader did."""
    return getattr(find_spec(name), 'loader', None)


# setuptools 82 dropped pkg_resources.
for module in (mmengine.utils, mmengine.utils.package_utils,
               mmengine.config.config, mmengine.hub.hub):
    module.is_installed = is_installed
    module.get_installed_path = get_installed_path
# Python 3.14 dropped pkgutil.find_loader, which mmcv_full_available calls.
mmengine.utils.dl_utils.misc.pkgutil = SimpleNamespace(find_loader=find_loader)

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
