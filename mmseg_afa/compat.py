# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Every gap between the versions of the libraries below us, in one place.

Importing this module (``import mmseg_afa`` does) checks the versions once and
sets up what holds for the whole process:

- ``mmseg_afa::afa/afa_mit-b1_voc.py`` resolves as a base config;
- mmengine's own checkpoints load under torch's ``weights_only``.

The tools call the rest, because it depends on the config that is run:
:func:`prepare_for_cpu`, :func:`enable_amp`, :func:`set_output_dir`.
The segmentor's label passes run under :func:`no_grad`.
"""

import datetime
import functools
import inspect
import logging
import pickle
import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Callable, List, Optional, Union

import numpy as np
import torch
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from torch import nn

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
                'it: run `make setup OPERATORS=1`, or install a full mmcv, '
                'see docs/installation.md.')

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
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.device import get_device
from mmengine.logging import HistoryBuffer, print_log
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS, Registry
from mmengine.runner import CheckpointLoader
from mmseg import registry
from mmseg.apis import MMSegInferencer

# mmengine asks pkg_resources where the package is, and that answers with
# site-packages for an editable install, where no config lies. A name that is a
# module in the package, but no distribution, makes mmengine ask Python's
# import system instead: right for a wheel, an editable install and a clone.
MODULE2PACKAGE['mmseg_afa'] = __name__


def add_scope() -> None:
    """Make ``mmseg_afa`` a scope, which what such a base config builds gets.

    The components are in mmseg's registries: an empty one below each of them
    has the scope, and passes what it is asked on to its parent.
    """
    for parent in (getattr(registry, name) for name in registry.__all__):
        Registry(
            parent.name,
            parent=parent,
            scope='mmseg_afa',
            locations=['mmseg_afa'])


add_scope()

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


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str,
                    map_location: Union[str, Callable, None] = None) -> dict:
    """Load a checkpoint file; mmengine's loader with a readable refusal.

    Args:
        filename (str): Path of the checkpoint.
        map_location: Same as :func:`torch.load`.

    Returns:
        dict: The checkpoint.
    """
    try:
        return torch.load(
            filename, map_location=map_location, weights_only=True)
    except FileNotFoundError as error:
        raise CheckpointError(f'{filename}: no such checkpoint.') from error
    except (pickle.UnpicklingError, EOFError) as error:
        raise CheckpointError(explain(filename, str(error))) from error
    except RuntimeError as error:
        # torch's reader of zip files has no exception of its own
        if 'PytorchStreamReader' not in str(error):
            raise
        raise CheckpointError(explain(filename, str(error))) from error


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

# -- running without a GPU ---------------------------------------------------


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """DistributedDataParallel between processes on the CPU.

    mmengine's Runner always names a GPU for the wrapper, and SyncBatchNorm
    refuses to run without one.

    Args:
        module (nn.Module): The model. Its SyncBatchNorm layers become
            BatchNorm, which normalises over the samples of one process.
        device_ids (list, optional): Ignored, there are none on the CPU.
        **kwargs: See
            :class:`mmengine.model.MMDistributedDataParallel`.
    """

    def __init__(self,
                 module: nn.Module,
                 device_ids: Optional[List[int]] = None,
                 **kwargs) -> None:
        if any(isinstance(m, nn.SyncBatchNorm) for m in module.modules()):
            print_log(
                'SyncBN needs a GPU: on the CPU each process normalises over '
                'its own samples (BN).',
                logger='current',
                level=logging.WARNING)
            module = revert_sync_batchnorm(module)
        super().__init__(module, device_ids=None, **kwargs)


def prepare_for_cpu(cfg) -> None:
    """Make a config run where there is no GPU.

    Call it before the Runner is built: mmengine's own set-up of
    ``--launcher pytorch`` asks CUDA for a device. Nothing is done where there
    is a GPU.

    Args:
        cfg (mmengine.Config): The config to run; its ``model_wrapper_cfg``
            and its data loaders are changed in place.
    """
    if get_device() == 'cpu':
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            # torch warns of memory that is pinned for no GPU
            if cfg.get(name):
                cfg[name].pop('pin_memory', None)
    if cfg.launcher == 'none' or get_device() != 'cpu':
        return
    if cfg.launcher != 'pytorch':
        raise SystemExit(
            f'--launcher {cfg.launcher} needs a GPU, and this machine has '
            'none: on the CPU use tools/dist_train.sh or tools/dist_test.sh.')
    dist_cfg = cfg.get('env_cfg', {}).get('dist_cfg', {})
    timeout = dist_cfg.get('timeout')
    torch.distributed.init_process_group(
        'gloo',
        timeout=None if timeout is None else datetime.timedelta(
            seconds=timeout))
    cfg.model_wrapper_cfg = {
        'broadcast_buffers':
        False,  # as mmengine's default wrapper
        'find_unused_parameters':
        cfg.get('find_unused_parameters', False),
        **(cfg.get('model_wrapper_cfg') or {}),
        'type':
        CPUDistributedDataParallel.__name__,
    }


def enable_amp(cfg, dtype: str = 'bfloat16') -> None:
    """Turn on automatic mixed precision, in place.

    Args:
        cfg (mmengine.Config): A config whose optimizer wrapper is
            OptimWrapper or AmpOptimWrapper; the latter keeps its settings.
        dtype (str): 'bfloat16' or 'float16'. Only the latter needs its loss
            scaled, which waits for the GPU in each step.
    """
    wrapper = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if wrapper == 'AmpOptimWrapper':
        return
    if wrapper != 'OptimWrapper':
        raise SystemExit('--amp goes with optim_wrapper.type OptimWrapper, '
                         f'not {wrapper}: leave it out.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.dtype = dtype
    cfg.optim_wrapper.loss_scale = ('dynamic' if dtype == 'float16' else dict(
        enabled=False))


def check_amp(cfg) -> None:
    """Stop, naming the remedy, if mixed precision is asked for on the CPU.

    mmengine's AmpOptimWrapper asserts an accelerator.

    Args:
        cfg (mmengine.Config): The config to train.
    """
    wrapper = cfg.get('optim_wrapper') or {}
    if wrapper.get('type') == 'AmpOptimWrapper' and get_device() == 'cpu':
        raise SystemExit(
            'Mixed precision needs a GPU, and this machine has none: leave '
            'out --amp, or give the config an optim_wrapper of type '
            'OptimWrapper.')


def no_grad(function: Callable) -> Callable:
    """``torch.no_grad`` for a function that runs a network that is trained.

    Under autocast, torch before 2.11 keeps the copies of the weights that
    were made without gradients, and computes the training pass with them: the
    weights get no gradients. https://github.com/pytorch/pytorch/issues/65766

    Args:
        function (Callable): Called amid passes with gradients.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            with torch.no_grad():
                return function(*args, **kwargs)
        finally:
            torch.clear_autocast_cache()

    return wrapper


# -- predictions as files ----------------------------------------------------


def takes_output_dir(metric: dict) -> bool:
    """Whether a metric can write predictions.

    Args:
        metric (dict): Config of the metric.

    Returns:
        bool: True if its class, or a parent, has the argument ``output_dir``.
    """
    classes = inspect.getmro(registry.METRICS.get(metric['type']))
    return any('output_dir' in inspect.signature(c.__init__).parameters
               for c in classes if c is not object)


def set_output_dir(cfg, output_dir: str) -> None:
    """Have the test metrics write the predictions to a folder, in place.

    mmseg's tools/test.py takes ``test_evaluator`` for a single metric, and
    fails where it is a list of them.

    Args:
        cfg (mmengine.Config): The config to test.
        output_dir (str): The folder.
    """
    evaluator = cfg.test_evaluator
    metrics = evaluator if isinstance(evaluator,
                                      (list, tuple)) else [evaluator]
    writers = [metric for metric in metrics if takes_output_dir(metric)]
    if not writers:
        raise SystemExit(
            '--out: none of the test metrics '
            f'{[metric["type"] for metric in metrics]} writes predictions. '
            "Add dict(type='IoUMetric') to test_evaluator.")
    # One writer is enough: the others would write the same files again.
    writers[0]['output_dir'] = output_dir
