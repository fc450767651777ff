# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Read the config of a tool, and build its Runner."""
import logging
import os
import os.path as osp
from argparse import ArgumentParser, Namespace
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Iterator, List, Optional, Sequence

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import CheckpointLoader, Runner
from mmengine.utils.dl_utils import set_multi_processing

from ..datasets.image_files import IMAGE_SUFFIXES
from ..models.utils import unwrap
from ..utils import UserError, checkpoints, expand_home
from .classes import check_checkpoint_classes, settle_classes
from .cpu import cpu_has_bfloat16, prepare_for_cpu
from .options import check_options

CONFIGS = Path(__file__).parents[1] / '.mim' / 'configs'


def read_config(path: str, options: Optional[Sequence[str]] = None) -> Config:
    """Read a config, and override settings by KEY=VALUE pairs.

    Args:
        path (str): A file, or the name of a config that ships, such as
            'afa_mit-b1_voc'.
        options (Sequence[str], optional): The pairs.
    """
    if not osp.isfile(path):
        shipped = {one.stem: one for one in CONFIGS.glob('[a-z]*/*.py')}
        if path not in shipped:
            raise UserError(
                f'{path}: no such config file, and none that ships has this '
                f'name: {", ".join(sorted(shipped))}.')
        path = shipped[path]
    for option in options or ():
        if '=' not in option:
            raise UserError(f'--cfg-options: found {option!r}, expected '
                            'KEY=VALUE without white space.')
    parser = ArgumentParser()
    parser.add_argument('--options', nargs='*', action=DictAction)
    try:
        parsed = parser.parse_args(['--options', *(options or ())]).options
    except RecursionError as error:
        raise UserError(
            f'--cfg-options: cannot read {" ".join(options)}. Write the items '
            'of a dict one by one: KEY.ITEM=VALUE.') from error
    cfg = Config.fromfile(path)
    for warning in check_options(cfg, options or ()):
        print_log(warning, logger='current', level=logging.WARNING)
    try:
        cfg.merge_from_dict(parsed)
    except (KeyError, TypeError) as error:
        raise UserError(f'--cfg-options: {error.args[0]}') from error
    for key, value in cfg.items():
        cfg[key] = expand_home(value)
    for loader in (cfg.get(f'{key}_dataloader')
                   for key in ('train', 'val', 'test')):
        if loader and not loader.get('num_workers'):
            # torch refuses settings of workers without workers
            loader.persistent_workers = False
            loader.pop('prefetch_factor', None)
    return cfg


def test_pipeline(cfg: Config) -> List[dict]:
    """Find the transforms of prediction in a config."""
    loader = cfg.get('test_dataloader')
    return loader.dataset.pipeline if loader else cfg.test_pipeline


def image_suffixes(cfg: Config) -> Sequence[str]:
    """Return the `img_suffix` of the data set of a config."""
    loader = cfg.get('test_dataloader') or cfg.get('train_dataloader') or {}
    found = loader.get('dataset', {}).get('img_suffix', IMAGE_SUFFIXES)
    return [found] if isinstance(found, str) else found


def load_config(args: Namespace) -> Config:
    """Read the config that the command line of a tool names."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config, args.cfg_options)
    cfg.work_dir = expand_home(
        args.work_dir or cfg.get('work_dir')
        or f'work_dirs/{Path(args.config).stem}')
    cfg.launcher = args.launcher
    return cfg


def resume(cfg: Config, checkpoint: str) -> None:
    """Let a run resume from a checkpoint, in place.

    Args:
        cfg (Config): The config, with the work folder.
        checkpoint (str): A file, a URL, or 'auto' for the newest checkpoint
            of the work folder. Without one, training starts anew.
    """
    if checkpoint == 'auto':
        checkpoint = checkpoints.latest_checkpoint(cfg.work_dir)
    else:
        check_checkpoint(checkpoint)
    cfg.resume = checkpoint is not None
    if checkpoint:
        cfg.load_from = expand_home(checkpoint)
    else:
        print_log(
            f'{cfg.work_dir} has no checkpoint to resume from. Training '
            'starts from the beginning.',
            logger='current',
            level=logging.WARNING)


def check_checkpoint(path: str) -> None:
    """Check that a checkpoint is a file or a URL."""
    if '://' not in path and not osp.isfile(osp.expanduser(path)):
        raise UserError(f'{path}: no such checkpoint file. Training writes '
                        'its checkpoints to work_dirs/NAME_OF_THE_CONFIG.')


def check_loader(cfg: Config, key: str) -> None:
    """Check that a config has a loader of images with masks."""
    if not cfg.get(key):
        raise UserError(f'{key} is not set in the config, so there are no '
                        'masks to compare with. To make masks of photos, use '
                        'tools/predict.py.')


def check_weights(runner: Runner, path: str, strict: bool = True) -> None:
    """Check that a checkpoint fits the Runner's config and model.

    Args:
        runner (Runner): The Runner, before it loads the checkpoint.
        path (str): A file or a URL.
        strict (bool): Whether every weight must be there. A new training may
            start from a part of the weights, at least the half.
    """
    check_checkpoint(path)
    checkpoint = CheckpointLoader.load_checkpoint(path, 'cpu')
    check_checkpoint_classes(settle_classes(runner.cfg), checkpoint, path)
    model = unwrap(runner.model)
    model = getattr(model, 'module', model)  # of test-time augmentation
    checkpoints.check_weights(model, checkpoint, path, strict)


def refiner_config(cfg: Config, name: str) -> Optional[dict]:
    """Return the config of ``--refine par|crf``, None for other names.

    'par' is the paper's PAR, unless `model.test_cfg.refiner` is set. The PAR
    of the labeler, which works on small crops, is another one.
    """
    par = (cfg.model.get('test_cfg') or {}).get('refiner') or dict(type='PAR')
    return dict(par=par, crf=dict(type='DenseCRF')).get(name)


def enable_amp(cfg: Config, dtype: str = 'bfloat16') -> None:
    """Turn on automatic mixed precision, in place.

    A CPU without instructions for bfloat16 keeps float32.

    Args:
        cfg (Config): The config, whose optimizer wrapper is OptimWrapper.
        dtype (str): 'bfloat16' or 'float16'. Only float16 needs a scaled
            loss, which waits for the GPU in each step.
    """
    wrapper = cfg.optim_wrapper
    kind = wrapper.get('type', 'OptimWrapper')
    on_cpu = get_device() == 'cpu'
    if kind != 'OptimWrapper':
        raise UserError('--amp needs optim_wrapper.type OptimWrapper, found '
                        f'{kind}. Leave out --amp.')
    if dtype == 'float16' and on_cpu:
        raise UserError('float16 needs a GPU, and this machine has none. '
                        'Train with --amp bfloat16.')
    if dtype == 'float16':
        wrapper.update(type='AmpOptimWrapper', dtype=dtype)
    elif on_cpu and not cpu_has_bfloat16():
        print_log(
            'This CPU has no bfloat16 instructions (AVX512_BF16), so mixed '
            'precision would be slower. Training in float32.',
            logger='current',
            level=logging.WARNING)
    else:
        wrapper.type = 'BFloat16OptimWrapper'


def start_processes(cfg: Config) -> None:
    """Connect the processes of a launcher, before the Runner would."""
    prepare_for_cpu(cfg)
    if cfg.launcher != 'none' and not is_distributed():
        env_cfg = cfg.get('env_cfg', {})
        set_multi_processing(**env_cfg.get('mp_cfg', {}), distributed=True)
        init_dist(cfg.launcher, **env_cfg.get('dist_cfg', {}))


def build_runner(cfg: Config) -> Runner:
    """Build the Runner of a config, with or without a GPU."""
    start_processes(cfg)
    settle_classes(cfg)
    return RUNNERS.get(cfg.get('runner_type', 'Runner')).from_cfg(cfg)


@contextmanager
def loaded_runner(cfg: Config, checkpoint: str) -> Iterator[Runner]:
    """Build the Runner of a config with a checkpoint, and no work folder."""
    cfg.launcher = 'none'
    with TemporaryDirectory() as cfg.work_dir:
        runner = build_runner(cfg)
        check_weights(runner, checkpoint)
        runner.load_checkpoint(checkpoint)
        yield runner


def shorten_log(runner: Runner) -> None:
    """Leave out mmengine's lines about each parameter and about itself."""
    skipped = ('paramwise_options', '"FileClient" will',
               '"HardDiskBackend" is', 'The prefix is not set')
    runner.logger.addFilter(
        lambda record: not str(record.msg).startswith(skipped))
    unwrap(runner.model)._dump_init_info = lambda: None
