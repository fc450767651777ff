# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Every gap between the versions of the libraries below us, in one place.

Importing this module (``import mmseg_afa`` does) checks the versions and sets
up, for the whole process, that

- ``mmcv.ops`` can be imported without compiled operators;
- ``mmseg_afa::afa/afa_mit-b1_voc.py`` resolves as a base config;
- a checkpoint is read as data: mmengine's own load under torch's
  ``weights_only``, and nothing in any of them is executed.

The segmentor's label passes run under :func:`no_grad`.
"""

import functools
import os.path as osp
import pickle
import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Callable, List, Union

import numpy as np
import torch
from packaging.specifiers import SpecifierSet
from packaging.version import Version

# What the package is known to run with. setup.py has the same ranges.
SUPPORTED = {
    'torch': '>=2.6',  # the first that loads checkpoints with weights_only
    'mmengine': '>=0.10.7,<1.0',
    'mmcv': '>=2.0.0,<2.2.0',  # mmseg 1.2.2 refuses 2.2.0
    'mmseg': '>=1.2.2,<2.0',
}


def check_version(name: str, version: str, supported: str) -> None:
    """Raise ImportError if a library's version lies outside a range.

    Args:
        name (str): Name of the library, as it is imported.
        version (str): The version found.
        supported (str): The supported range, like ``'>=2.0.0,<2.2.0'``.
    """
    # A local build says '2.11.0+cu128': the range is about the release.
    if Version(Version(version).public) not in SpecifierSet(
            supported, prereleases=True):
        raise ImportError(
            f'mmseg_afa needs {name}{supported} and found {name} {version}: '
            f'install a version in that range, or run `make setup`.')


class MissingOperators(ModuleType):
    """Stands in for ``mmcv._ext`` where mmcv has no compiled operators.

    mmseg imports ``mmcv.ops``, which looks its operators up in that module
    when it is imported; AFA calls none of them.
    """

    def __getattr__(self, name: str) -> Callable:
        if name.startswith('__'):
            raise AttributeError(name)

        def operator(*args, **kwargs):
            raise NotImplementedError(
                f'mmcv has no compiled operator {name!r} here (mmcv-lite, or '
                'a build that left the operators out), and this model calls '
                'it: run `make setup OPERATORS=1`, or build a full mmcv as '
                'README.md says.')

        return operator


def stand_in_for_operators() -> None:
    """Let ``mmcv.ops`` be imported without the compiled ``mmcv._ext``."""
    name = 'mmcv._ext'
    if name not in sys.modules and find_spec(name) is None:
        module = MissingOperators(name)
        module.__spec__ = ModuleSpec(name, None)
        sys.modules[name] = module


def check_libraries() -> None:
    """Raise ImportError, naming the remedy, if a library does not fit."""
    # mmseg comes last: it imports mmcv and fails with a less helpful message.
    for name, supported in SUPPORTED.items():
        try:
            module = import_module(name)
        except ModuleNotFoundError as error:
            raise ImportError(
                f'mmseg_afa needs {name}{supported}, but importing it fails: '
                f'{error}. Run `make setup`, or install it.') from error
        check_version(name, module.__version__, supported)
        if name == 'mmcv':
            stand_in_for_operators()
    if find_spec('pkg_resources') is None:
        raise ImportError(
            'mmengine finds base configs such as '
            '`mmseg::_base_/default_runtime.py` through pkg_resources, which '
            'setuptools 81 dropped: pip install "setuptools<81".')


check_libraries()

# Only now that the libraries are known to be there.
import mmengine.runner.checkpoint
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmseg import registry
from mmseg.apis import MMSegInferencer

# mmengine asks pkg_resources where the package is, and that answers with
# site-packages for an editable install, where no config lies. A name that is a
# module in the package, but no distribution, makes mmengine ask Python's
# import system instead: right for a wheel, an editable install and a clone.
MODULE2PACKAGE['mmseg_afa'] = __name__

# -- checkpoints under weights_only -----------------------------------------
# mmengine 0.10.7 puts its message hub into the checkpoint: HistoryBuffers with
# numpy arrays, and the buffers' statistics methods, pickled as
# getattr(HistoryBuffer, 'mean'). torch >= 2.6 refuses all of these by default.

STATISTICS = ('min', 'max', 'mean', 'current')


def history_statistic(owner: type, name: str) -> Callable:
    """The only ``getattr`` a checkpoint may call.

    ``getattr`` itself would open every attribute of every allowed object to
    the file.

    Args:
        owner (type): Must be :class:`mmengine.logging.HistoryBuffer`.
        name (str): Name of one of its statistics methods.

    Returns:
        Callable: The method.
    """
    if owner is not HistoryBuffer or name not in STATISTICS:
        raise pickle.UnpicklingError(
            f'Trying to load unsupported GLOBAL getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def checkpoint_globals() -> list:
    """What mmengine's checkpoints hold besides tensors and plain containers.

    Returns:
        list: For :func:`torch.serialization.add_safe_globals`. No object
        arrays: of numpy, only numbers and booleans.
    """
    # numpy 2 moved its internals from numpy.core to numpy._core; a file
    # written with either loads with either.
    reconstruct = np.zeros(0).__reduce__()[0]
    scalar = np.float64().__reduce__()[0]
    numpy_internals = [
        (function, f'numpy.{core}.multiarray.{name}')
        for function, name in [(reconstruct, '_reconstruct'), (scalar,
                                                               'scalar')]
        for core in ('core', '_core')
    ]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    return [
        HistoryBuffer, (history_statistic, 'builtins.getattr'), np.ndarray,
        np.dtype, *dtypes, *numpy_internals
    ]


torch.serialization.add_safe_globals(checkpoint_globals())


class CheckpointError(ValueError):
    """A checkpoint file cannot be, or must not be, loaded."""


# -- checkpoints of strangers ------------------------------------------------
# All of mmengine loads its checkpoints through CheckpointLoader. Three things
# in a file could do harm:
#
# 1. The pickle. weights_only refuses what would call anything. It is torch's
#    default, but an environment variable can turn it off, and torch.hub, which
#    downloads, has it off.
# 2. The config, which is Python code. Runner.resume passes meta['config'] to
#    Config.fromstring, which executes it, and so does an inferencer that gets
#    weights only with the `cfg` of the message hub or of meta. A config of
#    mere literals is no safer: the registry builds dict(type='os.system').
# 3. The path of the best checkpoint so far. CheckpointHook deletes what lies
#    there, a file or a whole folder, once there is a better one.


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str,
                    map_location: Union[str, Callable, None] = None) -> dict:
    """Load a checkpoint file, always with ``weights_only``.

    Args:
        filename (str): Path of the checkpoint.
        map_location: Same as :func:`torch.load`.

    Returns:
        dict: The checkpoint.
    """
    return torch.load(
        osp.expanduser(filename), map_location=map_location, weights_only=True)


mmengine.runner.checkpoint.load_url = functools.partial(
    torch.hub.load_state_dict_from_url, weights_only=True)


def only_data(checkpoint: dict, folder: str) -> dict:
    """Remove from a checkpoint what mmengine would execute or delete.

    Args:
        checkpoint (dict): What was loaded; changed in place.
        folder (str): Where the checkpoint lies. The best checkpoint of its
            run is known again if it lies there, too.

    Returns:
        dict: The same checkpoint.
    """
    hub = checkpoint.get('message_hub')
    info = hub.get('runtime_info') if isinstance(hub, dict) else None
    for part in (checkpoint.get('meta'), info):
        if isinstance(part, dict):
            part.pop('config', None)
            part.pop('cfg', None)
    if isinstance(info, dict):
        for key in [key for key in info if key.startswith('best_ckpt')]:
            parent, name = osp.split(info[key])
            if parent != osp.abspath(folder) or not name.startswith('best_'):
                del info[key]
    return checkpoint


def load_checkpoint(filename: str,
                    map_location: Union[str, Callable, None] = None,
                    logger: str = 'current') -> dict:
    """Stands in for mmengine's :meth:`CheckpointLoader.load_checkpoint`.

    Args:
        filename (str): Path or address of the checkpoint.
        map_location: Same as :func:`torch.load`.
        logger (str): Same as :func:`mmengine.logging.print_log`.

    Returns:
        dict: The checkpoint, without the config of its run.

    Raises:
        CheckpointError: If the file cannot be read, is none, or would call
            something.
    """
    try:
        checkpoint = MMENGINE_LOAD(filename, map_location, logger)
    except OSError as error:
        raise CheckpointError(f'{filename}: cannot be read '
                              f'({error.strerror or error}).') from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(explain(filename, str(error))) from error
    except RuntimeError as error:
        # torch's reader of zip files has no exception of its own
        if 'PytorchStreamReader' not in str(error):
            raise
        raise CheckpointError(explain(filename, str(error))) from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{filename}: not a checkpoint, but a {type(checkpoint).__name__}.'
        )
    return only_data(checkpoint, osp.dirname(filename))


MMENGINE_LOAD = CheckpointLoader.load_checkpoint
CheckpointLoader.load_checkpoint = load_checkpoint


def explain(filename: str, error: str) -> str:
    """Say in one line why torch did not load a checkpoint.

    Args:
        filename (str): Path of the checkpoint.
        error (str): torch's message.

    Returns:
        str: What was found, and what to do.
    """
    found = re.search(r'GLOBAL (\S+(?:\(.*\))?)', error)
    if found is None:
        reason = re.sub(r'\s+', ' ', error)[:200] or 'it is empty'
        return (f'{filename}: not a checkpoint, or a damaged one ({reason}). '
                'Copy or download it again.')
    return (f'{filename}: refused, because loading it would call '
            f'{found.group(1)}, which no checkpoint needs; nothing in it was '
            'run. If you trust where it comes from, keep its tensors only: '
            "torch.save(torch.load(FILE, weights_only=False)['state_dict'], "
            'NEW_FILE).')


# -- inference by mmseg's own functions --------------------------------------


def find_transform(self, pipeline: List[dict], name: str) -> int:
    """Index of the first transform of a class or of a class derived from it.

    MMSegInferencer looks for the very name 'LoadImageFromFile', to put its
    own loader in the place, and for 'LoadAnnotations', to take it out; see
    `_init_pipeline` in
    https://github.com/open-mmlab/mmsegmentation/blob/v1.2.2/mmseg/apis/mmseg_inferencer.py

    Args:
        pipeline (list[dict]): Configs of transforms.
        name (str): Name of the class.

    Returns:
        int: -1 if there is none.
    """
    wanted = registry.TRANSFORMS.get(name)
    for i, transform in enumerate(pipeline):
        found = registry.TRANSFORMS.get(transform['type'])
        if wanted and isinstance(found, type) and issubclass(found, wanted):
            return i
    return -1


MMSegInferencer._get_transform_idx = find_transform


def no_grad(function: Callable) -> Callable:
    """``torch.no_grad`` for a function that runs a network that is trained.

    Under autocast, torch before 2.11 keeps the copies of the weights that
    were made without gradients, and computes the training pass with them: the
    weights get no gradients. https://github.com/pytorch/pytorch/issues/65766

    Args:
        function (Callable): Called between passes with gradients.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            with torch.no_grad():
                return function(*args, **kwargs)
        finally:
            torch.clear_autocast_cache()

    return wrapper
