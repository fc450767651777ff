# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Every gap between the versions of the libraries below us, in one place.

Importing this module (``import mmseg_afa`` does) checks the versions and sets
up, for the whole process, that

- ``mmcv.ops`` can be imported without compiled operators;
- ``mmseg_afa::afa/afa_mit-b1_voc.py`` resolves as a base config;
- a checkpoint is read as data: mmengine's own load under torch's
  ``weights_only``, and nothing in any of them is executed;
- what mmengine writes, checkpoints above all, is there whole or not at all.
"""

import functools
import os
import os.path as osp
import pickle
import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Callable, List, Union

import numpy as np
import torch
from packaging.specifiers import SpecifierSet

# What the package is known to run with. setup.py has the same ranges.
SUPPORTED = {
    'torch': '>=2.6',  # the first that loads checkpoints with weights_only
    'mmengine': '>=0.10.7,<1.0',
    'mmcv': '>=2.0.0,<2.2.0',  # mmseg 1.2.2 refuses 2.2.0
    'mmseg': '>=1.2.2,<2.0',
}


class MissingOperators(ModuleType):
    """Stands in for ``mmcv._ext`` where mmcv has no compiled operators.

    ``mmcv.ops``, which mmseg imports, looks up its operators there when it is
    imported; AFA calls none of them.
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
            version = import_module(name).__version__
        except ModuleNotFoundError as error:
            raise ImportError(
                f'mmseg_afa needs {name}{supported}, but importing it fails: '
                f'{error}. Run `make setup`, or install it.') from error
        if not SpecifierSet(supported).contains(version, prereleases=True):
            raise ImportError(
                f'mmseg_afa needs {name}{supported} and found {name} '
                f'{version}: install a version in that range, or run '
                '`make setup`.')
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
from mmengine.fileio import LocalBackend
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmseg import registry
from mmseg.apis import MMSegInferencer

from .utils import replacing

# mmengine asks pkg_resources where the package is, and that answers with
# site-packages for an editable install, where no config lies. A name that is a
# module in the package, but no distribution, makes mmengine ask Python's
# import system instead: right for a wheel, an editable install and a clone.
MODULE2PACKAGE['mmseg_afa'] = __name__

# -- checkpoints -------------------------------------------------------------
# All of mmengine loads its checkpoints through CheckpointLoader. Three things
# in a file of a stranger could do harm:
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


class CheckpointError(ValueError):
    """A checkpoint file cannot be written, or cannot or must not be loaded."""


def history_statistic(owner: type, name: str) -> Callable:
    """The only ``getattr`` a checkpoint may call.

    mmengine pickles its message hub with the statistics of HistoryBuffer,
    which are pickled as ``getattr(HistoryBuffer, 'mean')``. ``getattr`` itself
    would open every attribute of every allowed object to the file.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean',
                                                  'current'):
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
    internals = [(value.__reduce__()[0], f'numpy.{core}.multiarray.{name}')
                 for value, name in [(np.zeros(0),
                                      '_reconstruct'), (np.float64(),
                                                        'scalar')]
                 for core in ('core', '_core')]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    return [
        HistoryBuffer, (history_statistic, 'builtins.getattr'), np.ndarray,
        np.dtype, *dtypes, *internals
    ]


torch.serialization.add_safe_globals(checkpoint_globals())


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location=None) -> dict:
    """mmengine's loader of files, always with ``weights_only``."""
    return torch.load(
        osp.expanduser(filename), map_location=map_location, weights_only=True)


mmengine.runner.checkpoint.load_url = functools.partial(
    torch.hub.load_state_dict_from_url, weights_only=True)
load_anything = CheckpointLoader.load_checkpoint


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
        checkpoint = load_anything(filename, map_location, logger)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        refused = re.search(r'GLOBAL (\S+(?:\(.*\))?)', str(error))
        if refused:
            raise CheckpointError(
                f'{filename}: refused, because loading it would call '
                f'{refused[1]}, which no checkpoint needs; nothing in it was '
                'run. If you trust where it comes from, keep its tensors only:'
                " torch.save(torch.load(FILE, weights_only=False)['state_dict'"
                '], NEW_FILE).') from error
        reason = ' '.join(str(error).split())[:200] or 'it is empty'
        raise CheckpointError(
            f'{filename}: not a checkpoint that can be read ({reason}). If it '
            'is damaged, copy or download it again.') from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'{filename}: not a checkpoint, but a '
                              f'{type(checkpoint).__name__}.')
    only_data(checkpoint, osp.abspath(osp.dirname(filename)))
    return checkpoint


CheckpointLoader.load_checkpoint = load_checkpoint


def only_data(checkpoint: dict, folder: str) -> None:
    """Remove from a checkpoint what mmengine would execute or delete.

    Args:
        checkpoint (dict): What was loaded; changed in place.
        folder (str): Where the checkpoint lies. The best checkpoint of its
            run is known again if it lies there, too.
    """
    info = (checkpoint.get('message_hub') or {}).get('runtime_info', {})
    for part in (checkpoint.get('meta') or {}, info):
        part.pop('config', None)
        part.pop('cfg', None)
    for key in [key for key in info if key.startswith('best_ckpt')]:
        parent, name = osp.split(info[key])
        if parent != folder or not name.startswith('best_'):
            del info[key]


def put_whole(self, obj: bytes, filepath: Union[str, Path]) -> None:
    """Stands in for mmengine's :meth:`LocalBackend.put`, which writes in
    place: a process killed meanwhile would leave half a checkpoint.
    https://github.com/open-mmlab/mmengine/blob/v0.10.7/mmengine/fileio/backends/local_backend.py
    """
    folder = Path(filepath).parent
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(filepath) as unfinished, open(unfinished, 'wb') as file:
        file.write(obj)
        file.flush()
        os.fsync(file.fileno())  # else a machine that stops may rename only


LocalBackend.put = put_whole


def check_weights(model: torch.nn.Module, checkpoint: dict,
                  where: str) -> None:
    """Refuse a checkpoint that is not of this model.

    mmengine leaves weights that do not fit as they were initialised, with a
    line in the log: right to begin a training with, wrong to predict with.

    Args:
        model (nn.Module): The model, without a distributed wrapper.
        checkpoint (dict): As loaded.
        where (str): The file, for the message.

    Raises:
        CheckpointError: If weights are missing or have other shapes.
    """
    weights = {
        name[len('module.'):] if name.startswith('module.') else name: value
        for name, value in checkpoint.get('state_dict', checkpoint).items()
    }
    remedy = 'Take the config that it was trained with.'
    for name, value in model.state_dict().items():
        if name not in weights:
            # torch's own loading does without it, too
            if name.endswith('num_batches_tracked'):
                continue
            raise CheckpointError(f'{where}: has no {name}, which the model '
                                  f'of the config has. {remedy}')
        found, expected = tuple(weights[name].shape), tuple(value.shape)
        if found != expected:
            reason = 'another network'
            if 'conv_seg' in name or 'classifier' in name:
                reason = (f'another number of classes, {found[0]} in place '
                          f'of {expected[0]}')
            raise CheckpointError(
                f'{where}: is of {reason}: {name} has the shape {found}, that '
                f'of the config {expected}. {remedy}')


# -- inference by mmseg's own functions --------------------------------------


def find_transform(self, pipeline: List[dict], name: str) -> int:
    """Index of the first transform of a class or a child of it, else -1.

    MMSegInferencer looks for the very name 'LoadImageFromFile', to put its
    own loader in the place, and for 'LoadAnnotations', to take it out; see
    `_init_pipeline` in
    https://github.com/open-mmlab/mmsegmentation/blob/v1.2.2/mmseg/apis/mmseg_inferencer.py
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
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            with torch.no_grad():
                return function(*args, **kwargs)
        finally:
            torch.clear_autocast_cache()

    return wrapper
