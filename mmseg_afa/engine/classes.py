# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Compare the classes of config, label file and checkpoint.

Another number, other names or another order would train and score wrong
classes without any error.
"""
from typing import Iterator, Optional, Sequence, Tuple

from mmengine.config import Config
from mmengine.fileio import join_path
from mmengine.utils import is_abs
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ..datasets import WeakLabelDataset
from ..datasets.image_files import DataError
from ..datasets.label_file import read_label_file
from ..utils import CheckpointError, UserError


class ConfigError(UserError):
    """A config contradicts itself, or its data."""


def settle_classes(cfg: Config,
                   trained: Optional[tuple] = None) -> Optional[tuple]:
    """Check the classes of a config, and fill in ``num_classes``.

    A head of the model without ``num_classes`` gets the number of classes of
    the data set, in place.

    Args:
        cfg (Config): The config.
        trained (tuple[str], optional): The classes of a checkpoint, for heads
            without ``num_classes`` where no data set names its classes.

    Returns:
        tuple[str], optional: The classes with the background. None if no
        data set names them.

    Raises:
        ConfigError: If data sets, label files or heads contradict each other.
    """
    source = classes = None
    for key, dataset in all_datasets(cfg):
        found = dataset_classes(key, dataset)
        if found and classes and found != classes:
            raise ConfigError(f'{key}: other classes than {source}: '
                              f'{difference(found, classes)}. Make both the '
                              'same.')
        if found and not classes:
            source, classes = key, found
    for key, head in model_heads(cfg):
        number = head.get('num_classes')
        if number is None:
            if not classes and not trained:
                raise ConfigError(
                    f'{key}.num_classes is not set, and no data set names '
                    'its classes. Set it, or give the data set a label_file '
                    'with a first line such as "# cat,cow,dog".')
            head.num_classes = len(classes or trained)
        elif classes and number != len(classes):
            raise ConfigError(
                f'{key}.num_classes is {number}, but {source} has '
                f'{shorten(classes)}, background included. Remove '
                'num_classes, or correct the classes.')
    return classes


def check_checkpoint_classes(classes: Optional[Sequence[str]],
                             checkpoint: dict, where: str) -> None:
    """Check that a checkpoint was trained for the classes of the config.

    Args:
        classes (Sequence[str], optional): The classes of the config; None
            if they are not known.
        checkpoint (dict): The loaded checkpoint. One without classes passes.
        where (str): The file, for the message.

    Raises:
        CheckpointError: If number, names or order of the classes differ.
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
    # mmseg 0.x wrote CLASSES.
    classes = (meta.get('dataset_meta')
               or {}).get('classes') or meta.get('CLASSES')
    return tuple(classes) if classes else None


def all_datasets(cfg: Config) -> Iterator[Tuple[str, dict]]:
    """Yield the key and config of each data set, also inside of wrappers."""
    for split in ('train', 'val', 'test'):
        key = f'{split}_dataloader'
        dataset = (cfg.get(key) or {}).get('dataset')
        if dataset:
            yield from _inner_datasets(f'{key}.dataset', dataset)


def _inner_datasets(key: str, dataset: dict) -> Iterator[Tuple[str, dict]]:
    if 'dataset' in dataset:
        yield from _inner_datasets(f'{key}.dataset', dataset['dataset'])
    elif 'datasets' in dataset:
        for i, part in enumerate(dataset['datasets']):
            yield from _inner_datasets(f'{key}.datasets.{i}', part)
    else:
        yield key, dataset


def dataset_classes(key: str, dataset: dict) -> Optional[tuple]:
    """Return the classes of a data set that is not built.

    Args:
        key (str): The key of the data set, for the message.
        dataset (dict): The config of the data set.

    Returns:
        tuple[str], optional: The classes, or None if type, metainfo and
        label file do not name them.

    Raises:
        ConfigError: If the label file lists other classes than the metainfo.
    """
    kind = dataset.get('type')
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(kind, type) or not issubclass(kind, BaseSegDataset):
        return None
    classes = kind._load_metainfo(dataset.get('metainfo')).get('classes')
    classes = tuple(classes) if classes else None
    listed = issubclass(kind, WeakLabelDataset) and listed_classes(dataset)
    if not listed:
        return classes
    # The metainfo may select some of the classes of a known data set.
    known = tuple(kind.METAINFO.get('classes', ()))
    if classes and listed not in (classes, known):
        raise ConfigError(
            f'{key}: label_file lists other classes than the data set: '
            f'{difference(listed, classes)}. Correct metainfo.classes, or the '
            'first line of the label file.')
    return classes or listed


def listed_classes(dataset: dict) -> Optional[tuple]:
    """Read the classes of a data set's label file, if there is such a file."""
    path = dataset.get('label_file')
    if not path:
        return None
    if dataset.get('data_root') and not is_abs(path):
        path = join_path(dataset['data_root'], path)
    try:
        classes, _ = read_label_file(
            path, backend_args=dataset.get('backend_args'))
    except FileNotFoundError:
        return None  # the data set decides whether it needs the file
    except DataError as error:
        classes, _ = error.rest  # the data set names the problems
    return classes and ('background', *classes)


def model_heads(cfg: Config) -> Iterator[Tuple[str, dict]]:
    """Yield the key and config of each decode head and auxiliary head."""
    model = cfg.model.get('module', cfg.model)  # inside of the TTA model
    for name in ('decode_head', 'auxiliary_head'):
        heads = model.get(name) or []
        if isinstance(heads, dict):
            yield f'model.{name}', heads
        else:
            for i, head in enumerate(heads):
                yield f'model.{name}.{i}', head


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
