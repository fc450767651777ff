# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Load checkpoints as data, and check that they fit a model.

mmengine loads all checkpoints through CheckpointLoader. Three things in the
file of a stranger could do harm:

1. The pickle. weights_only refuses to call anything. torch.hub and an
   environment variable can turn weights_only off.
2. The config, which is Python code. Runner.resume executes meta['config'].
   An inferencer without a config executes the `cfg` of meta or of the
   message hub.
3. The path of the best checkpoint, and the numbers of the kept ones.
   CheckpointHook deletes these files or folders once there are newer ones.
"""
import hashlib
import logging
import os.path as osp
import pickle
import re
from http.client import HTTPException
from pathlib import Path
from typing import Callable, Optional, Union
from urllib.parse import urlparse

import mmengine.runner.checkpoint
import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner import CheckpointLoader
from torch import nn

from .errors import CheckpointError

_load_anything = CheckpointLoader.load_checkpoint


def install() -> None:
    """Make mmengine load every checkpoint as data."""
    torch.serialization.add_safe_globals(checkpoint_globals())
    CheckpointLoader.register_scheme(
        prefixes='', loader=load_from_local, force=True)
    mmengine.runner.checkpoint.load_url = load_from_address
    CheckpointLoader.load_checkpoint = load_checkpoint


def history_statistic(owner: type, name: str) -> Callable:
    """Return a statistic of HistoryBuffer: the only permitted ``getattr``.

    mmengine pickles its statistics as ``getattr(HistoryBuffer, 'mean')``.
    """
    if owner is not HistoryBuffer or name not in ('min', 'max', 'mean',
                                                  'current'):
        raise pickle.UnpicklingError(
            f'Trying to load unsupported GLOBAL getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def checkpoint_globals() -> list:
    """List what to permit besides torch's types; not NumPy's object arrays."""
    # NumPy 2 renamed numpy.core to numpy._core: accept files of both.
    array, scalar = np.zeros(0).__reduce__()[0], np.float64().__reduce__()[0]
    internals = []
    for core in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        internals += [(array, f'{core}._reconstruct'),
                      (scalar, f'{core}.scalar')]
    dtypes = {type(np.dtype(code)) for code in '?bBhHiIlLqQefd'}
    return [
        HistoryBuffer, (history_statistic, 'builtins.getattr'), np.ndarray,
        np.dtype, *dtypes, *internals
    ]


def load_from_local(filename: str, map_location=None) -> dict:
    """Load a file as mmengine does, but always with ``weights_only``.

    Raises:
        CheckpointError: If the file cannot be read, or would call a function.
    """
    try:
        return torch.load(
            osp.expanduser(filename),
            map_location=map_location,
            weights_only=True)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        refused = re.search(r'GLOBAL (\S+(?:\(.*\))?)', str(error))
        if refused:
            raise CheckpointError(
                f'{filename}: refused, because loading it would call '
                f'{refused[1]}. A checkpoint does not need that call; nothing '
                'was run. If you trust the source, keep the tensors only: '
                "torch.save(torch.load(FILE, weights_only=False)['state_dict']"
                ', NEW_FILE).') from error
        reason = ' '.join(str(error).split())[:200]
        raise CheckpointError(
            f'{filename}: not a checkpoint that can be read ({reason}). If '
            'the file is damaged, delete it, and copy or download it again.'
        ) from error


def load_from_address(url: str,
                      model_dir: Optional[str] = None,
                      map_location: Union[str, Callable, None] = None,
                      progress: bool = True) -> dict:
    """Load a file from torch.hub's cache; download it first if necessary.

    Names such as ``mit_b0_20220624-7e0fe6dd.pth`` end with the SHA-256 of the
    file; dates and model names, ``a-20220624.pth`` and ``mit-b0.pth``, do not.
    """
    folder = model_dir or osp.join(torch.hub.get_dir(), 'checkpoints')
    file = Path(folder, Path(urlparse(url).path).name)
    sha = re.search(r'-(?!20\d{6}\.)([0-9a-f]{8,64})\.\w+$', file.name)
    if not file.is_file():
        print_log(f'Downloading {url} to {file}', logger='current')
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), sha and sha[1],
                                           progress)
        except (OSError, HTTPException, RuntimeError) as error:
            raise CheckpointError(
                f'{url}: cannot be downloaded ({error}). Copy the file to '
                f'{file}, or name a local file, for ImageNet weights by '
                '--cfg-options model.backbone.init_cfg.checkpoint=FILE.'
            ) from error
    elif sha and not hashlib.sha256(file.read_bytes()).hexdigest().startswith(
            sha[1]):
        raise CheckpointError(
            f'{file}: damaged, its SHA-256 is not the one in its name. Delete '
            'the file, so that it is downloaded again.')
    return load_from_local(str(file), map_location)


def load_checkpoint(filename: str,
                    map_location: Union[str, Callable, None] = None,
                    logger: str = 'current') -> dict:
    """Load a checkpoint, without the config of its run.

    The arguments are those of mmengine's ``CheckpointLoader``.
    """
    checkpoint = _load_anything(filename, map_location, logger)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(
            f'{filename}: holds a {type(checkpoint).__name__}, and not the '
            'weights of a network. Name another file.')
    drop_executable_parts(checkpoint, osp.abspath(osp.dirname(filename)))
    return checkpoint


def drop_executable_parts(checkpoint: dict, folder: str) -> None:
    """Remove what mmengine would execute or delete, in place.

    The path of the best checkpoint is kept only if it lies in `folder`, and
    numbers of checkpoints only if they are numbers.
    """
    info = (checkpoint.get('message_hub') or {}).get('runtime_info', {})
    for part in (checkpoint.get('meta') or {}, info):
        part.pop('config', None)
        part.pop('cfg', None)
    for key in [key for key in info if key.startswith('best_ckpt')]:
        parent, name = osp.split(str(info[key]))
        if parent != folder or not name.startswith('best_'):
            del info[key]
    numbers = info.get('keep_ckpt_ids')
    if not (isinstance(numbers, list) and {*map(type, numbers)} <= {int}):
        info.pop('keep_ckpt_ids', None)


def latest_checkpoint(folder: str) -> Optional[str]:
    """Return the newest checkpoint of a work folder, by its number.

    mmengine's file ``last_checkpoint`` may be empty after a power cut.
    """
    numbers = {}
    for path in Path(folder).glob('*.pth'):
        match = re.fullmatch(r'(?:iter|epoch)_(\d+)', path.stem)
        if match:
            numbers[int(match[1])] = str(path)
    return numbers[max(numbers)] if numbers else None


def check_weights(model: nn.Module,
                  checkpoint: dict,
                  where: str,
                  strict: bool = True) -> None:
    """Check that a checkpoint has every weight of a model.

    mmengine would log missing weights, and leave them as initialised.

    Args:
        model (nn.Module): The model, without a distributed wrapper.
        checkpoint (dict): The loaded checkpoint.
        where (str): The file, for the message.
        strict (bool): If False, half of the weights suffice. The number of
            those that do not fit is logged.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    weights = {k.removeprefix('module.'): v for k, v in weights.items()}
    own, problems = model.state_dict(), []
    for name, value in own.items():
        if name not in weights:
            problems.append(f'it has no {name}')
        elif weights[name].shape != value.shape:
            problems.append(
                f'{name} has the shape {tuple(weights[name].shape)} in place '
                f'of {tuple(value.shape)}')
    if strict and problems:
        raise CheckpointError(
            f'{where}: not a checkpoint of this config: {problems[0]}. Use '
            'the config of its training. To start a new run from the weights '
            f'that fit, set load_from={where} without --resume.')
    if problems:
        message = (f'{where}: {len(problems)} of {len(own)} weights of the '
                   f'model do not fit: {problems[0]}.')
        if len(problems) > len(own) / 2:
            raise CheckpointError(
                f'{message} Use weights of the same architecture.')
        print_log(message, logger='current', level=logging.WARNING)


def check_pretrained(backbone: nn.Module) -> None:
    """Load the weights that `init_cfg` names, or say what does not fit.

    mmengine would only log it, and train from random weights.
    """
    cfgs = backbone.init_cfg or []
    for cfg in [cfgs] if isinstance(cfgs, dict) else cfgs:
        path, prefix = cfg.get('checkpoint'), cfg.get('prefix') or ''
        if not path:
            continue
        if '://' not in path and not osp.isfile(osp.expanduser(path)):
            raise CheckpointError(
                f'{path}: no such file of pretrained weights. Name another '
                'file by model.backbone.init_cfg.checkpoint. To train from '
                'scratch, set model.backbone.init_cfg=None.')
        weights = CheckpointLoader.load_checkpoint(path, 'cpu')
        weights = weights.get('state_dict', weights)
        start = prefix and prefix.rstrip('.') + '.'
        named = {
            name[len(start):]: value
            for name, value in weights.items() if name.startswith(start)
        }
        parts = tuple(f'{name}.' for name, _ in backbone.named_children())
        try:
            keys = backbone.load_state_dict(named, strict=False)
            problems = [f'the file has no {key}' for key in keys.missing_keys]
            problems += [
                f'the backbone has no {key}' for key in keys.unexpected_keys
                if key.startswith(parts)
            ]
        except (RuntimeError, KeyError) as error:  # other shapes or names
            problems = str(error).rstrip('.').split('\n\t')[:2][-1:]
        if problems:
            raise CheckpointError(
                f'{path}: does not fit the backbone: {problems[0]}. The first '
                f'name in the file is {next(iter(weights), None)}. Correct '
                'checkpoint or prefix of model.backbone.init_cfg.')
