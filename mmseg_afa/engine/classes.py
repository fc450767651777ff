# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compare the classes of config, label file and checkpoint.

Another number, other names or another order would train and score wrong
classes without any error.
"""
from typing import Iterator, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.fileio import exists, join_path
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..datasets import WeakLabelDataset
from ..datasets.label_file import read_classes
from ..utils import IGNORE_INDEX, CheckpointError, UserError


class ConfigError(UserError):
    """A config contradicts itself, or its data."""


def settle_classes(cfg: Config,
                   trained: Optional[tuple] = None) -> Optional[tuple]:
    """Check the classes of a config, and fill in ``num_classes``, in place.

    Args:
        cfg (Config): The config.
        trained (tuple[str], optional): The classes of a checkpoint, for heads
            without ``num_classes`` where no data set names its classes.

    Returns:
        tuple[str], optional: The classes with the background. None if no
        data set names them.
    """
    named = {key: dataset_classes(one) for key, one in all_datasets(cfg)}
    named = {key: classes for key, classes in named.items() if classes}
    source, classes = next(iter(named.items()), (None, None))
    for key, found in named.items():
        if found != classes:
            raise ConfigError(
                f'{key}: other classes than {source}: '
                f'{difference(found, classes)}. Make both the same.')
    for key, head in model_heads(cfg):
        number = head.get('num_classes')
        if number is None:
            if not classes and not trained:
                raise ConfigError(
                    f'{key}.num_classes is not set, and no data set names '
                    'its classes. Set it, or give the data set a label_file '
                    'with a first line such as "# cat,cow,dog".'
                    f'{missing_label_files(cfg)}')
            head.num_classes = len(classes or trained)
        elif classes and number != len(classes):
            raise ConfigError(
                f'{key}.num_classes is {number}, but {source} has '
                f'{shorten(classes)}, background included. Remove '
                'num_classes, or correct the classes.')
        if head.num_classes > IGNORE_INDEX:
            raise ConfigError(
                f'{key}.num_classes: {head.num_classes} classes, but masks '
                f'hold at most {IGNORE_INDEX}: they are 8 bits, and 255 is '
                'ignored. Use fewer classes.')
    return classes


def check_checkpoint_classes(classes: Optional[Sequence[str]],
                             checkpoint: dict, where: str) -> None:
    """Check that a checkpoint was trained for the classes of the config.

    Args:
        classes (Sequence[str], optional): The classes of the config; None
            if they are not known.
        checkpoint (dict): The loaded checkpoint. One without classes passes.
        where (str): The file, for the message.
    """
    trained = checkpoint_classes(checkpoint)
    if classes and trained and tuple(classes) != trained:
        raise CheckpointError(
            f'{where}: trained for other classes than those of the config: '
            f'{difference(trained, classes)}. Use the config of its training.'
            ' To start a training from its weights, set '
            f"model.init_cfg=dict(type='Pretrained', checkpoint='{where}').")


def checkpoint_classes(checkpoint: dict) -> Optional[tuple]:
    """Return the classes that a checkpoint was trained for, if it has any."""
    meta = checkpoint.get('meta') or {}
    return tuple(meta.get('dataset_meta', {}).get('classes', ())) or None


def all_datasets(cfg: Config) -> Iterator[Tuple[str, dict]]:
    """Yield the key and config of each data set, also inside of wrappers."""
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        if cfg.get(key):
            yield from _unwrap(f'{key}.dataset', cfg[key]['dataset'])


def _unwrap(key: str, dataset: dict) -> Iterator[Tuple[str, dict]]:
    if 'dataset' in dataset:
        yield from _unwrap(f'{key}.dataset', dataset['dataset'])
    elif 'datasets' in dataset:
        for i, part in enumerate(dataset['datasets']):
            yield from _unwrap(f'{key}.datasets.{i}', part)
    else:
        yield key, dataset


def dataset_classes(dataset: dict) -> Optional[tuple]:
    """Find the classes of a data set that is not built, if they are named."""
    kind = dataset['type']
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type) or not issubclass(kind, BaseSegDataset):
        return None
    classes = kind._load_metainfo(dataset.get('metainfo')).get('classes')
    if classes or not (issubclass(kind, WeakLabelDataset)
                       and dataset.get('label_file')):
        return tuple(classes or ()) or None
    try:
        listed = read_classes(label_path(dataset))
    except FileNotFoundError:
        return None  # the data set decides whether it needs the file
    return listed and ('background', *listed)


def label_path(dataset: dict) -> str:
    """Return the path of a data set's label file."""
    return join_path(dataset.get('data_root') or '', dataset['label_file'])


def missing_label_files(cfg: Config) -> str:
    """Name the label files of a config that do not exist, as a sentence."""
    paths = {
        label_path(one)
        for _, one in all_datasets(cfg) if one.get('label_file')
    }
    missing = [path for path in sorted(paths) if not exists(path)]
    return f' Not found: {", ".join(missing)}.' if missing else ''


def model_heads(cfg: Config) -> Iterator[Tuple[str, dict]]:
    """Yield the key and config of each decode head and auxiliary head."""
    model = cfg.model.get('module', cfg.model)  # inside of the TTA model
    for name in ('decode_head', 'auxiliary_head'):
        heads = model.get(name) or []
        for head in [heads] if isinstance(heads, dict) else heads:
            yield f'model.{name}', head


def difference(found: Sequence[str], expected: Sequence[str]) -> str:
    """Say in which way two lists of classes differ."""
    if len(found) != len(expected):
        return f'{shorten(found)} in place of {shorten(expected)}'
    i = next(i for i, pair in enumerate(zip(found, expected))
             if pair[0] != pair[1])
    return f'class {i} is {found[i]!r} in place of {expected[i]!r}'


def shorten(classes: Sequence[str]) -> str:
    """Return the number of classes and the first three names."""
    first = ', '.join(classes[:3]) + ', ...' * (len(classes) > 3)
    return f'{len(classes)} classes ({first})'
