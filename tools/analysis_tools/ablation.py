# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Train and score the rows of AFA's ablation, and draw up their table.

    python tools/analysis_tools/ablation.py configs/afa/afa_mit-b0_voc6.py \\
        --supervised configs/afa/supervised_mit-b0_voc6.py --seeds 0 1 2

Each row is the config under overrides (TRAININGS). The phase of classification
is the same in all: it is trained once a seed, and the rows go on from there.
Called again, it goes on where it was: what is trained and scored is not done
again, so seeds may also be started one by one, side by side. The table, as
ablation.json and ablation.md, is of whatever is there.
"""
import argparse
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

import numpy as np
from mmengine.config import Config

from mmseg_afa.engine.launch import add_cfg_options, latest_checkpoint
from mmseg_afa.utils import replacing

ROOT = Path(__file__).resolve().parents[2]
TRAIN_IMAGES = 400  # whose masks score pseudo labels, at most
NEVER = 10**9  # iterations
# CAM labels throughout; the head is there, so that a row can go on from AFA's
# checkpoint, but teaches the backbone nothing.
NO_AFFINITY = {
    'model.train_cfg.switch_iter': NEVER,
    'model.affinity_head.loss_aff.loss_weight': 0.
}
TRAININGS: Dict[str, dict] = dict(  # overrides of AFA's config
    afa={},
    cam={
        'model.labeler.refiner': None,
        **NO_AFFINITY
    },
    par=NO_AFFINITY,
    affinity={'model.labeler.refiner': None})
TESTS: Dict[str, List[str]] = dict(  # options of tools/test.py
    val=[],
    tta=['--tta'],
    par=['--refine', 'par'],
    crf=['--refine', 'crf'])
# At the end PAR sees whole photographs: its reach is the paper's again.
FULL_REACH = {'model.labeler.refiner.dilations': (1, 2, 4, 8, 12, 24)}


class Row(NamedTuple):
    """A row of the table: a score of a report of a trained network."""
    title: str
    training: str
    test: str
    score: str = 'segmentation'
    tags: str = 'none'


ROWS = (
    Row('segmentation, full supervision', 'supervised', 'val'),
    Row('CAM, given tags', 'afa', 'val', 'CAM', 'given'),
    Row('CAM, predicted tags', 'afa', 'val', 'CAM', 'predicted'),
    Row('affinity CAM, given tags', 'afa', 'val', 'affinity CAM', 'given'),
    Row('segmentation, CAM labels', 'cam', 'val'),
    Row('segmentation, CAM labels with PAR', 'par', 'val'),
    Row('segmentation, affinity labels without PAR', 'affinity', 'val'),
    Row('segmentation, AFA', 'afa', 'val'),
    Row('AFA, multi-scale test', 'afa', 'tta'),
    Row('AFA, PAR at the end', 'afa', 'par'),
    Row('AFA, CRF at the end', 'afa', 'crf'),
    Row("second stage on AFA's pseudo labels", 'second_stage', 'val'),
    Row('training photographs: CAM label', 'afa', 'train', 'CAM label',
        'given'),
    Row('training photographs: affinity label', 'afa', 'train',
        'affinity label', 'given'),
)


def run(tool: str, *arguments: object) -> None:
    """Run a tool; stop with its exit status if it fails."""
    command = [sys.executable, ROOT / 'tools' / tool, *arguments]
    status = subprocess.run(
        list(map(str, command)),
        env=dict(
            os.environ,
            PYTHONPATH=os.pathsep.join(
                [str(ROOT), os.environ.get('PYTHONPATH', '')]))).returncode
    if status:
        raise SystemExit(status)


def written(overrides: dict) -> List[str]:
    """Overrides as --cfg-options takes them."""
    return ['--cfg-options', *(f'{k}={v}' for k, v in overrides.items())]


class Seed:
    """The networks of one seed, each in a folder of its own.

    Args:
        folder (Path): Of the seed.
        seed (int): The seed.
        configs (dict[str, str]): The config files 'afa' and, perhaps,
            'supervised'.
        overrides (dict): Of both configs.
        long_side (int): Of photographs, for pseudo labels.
    """

    def __init__(self, folder: Path, seed: int, configs: Dict[str, str],
                 overrides: dict, long_side: int) -> None:
        self.folder = folder
        self.configs = configs
        self.overrides = {'randomness.seed': seed, **overrides}
        self.long_side = long_side
        self.afa = Config.fromfile(configs['afa'])
        self.afa.merge_from_dict(overrides)

    def train(self,
              name: str,
              config: str,
              overrides: dict,
              start: Optional[str] = None) -> str:
        """Train a network to its end; its checkpoint.

        Args:
            name (str): Of its folder.
            config (str): 'afa' or 'supervised'.
            overrides (dict): What differs.
            start (str, optional): A checkpoint to go on from.
        """
        folder = self.folder / name
        cfg = Config.fromfile(self.configs[config])
        cfg.merge_from_dict(self.overrides)
        end = folder / f'iter_{cfg.train_cfg.max_iters}.pth'
        if not end.exists():
            newest = latest_checkpoint(str(folder)) or start
            run(
                'train.py', self.configs[config], '--amp', '--work-dir',
                folder, *(['--resume', newest] if newest else []),
                *written({
                    **self.overrides, 'train_cfg.val_interval': NEVER,
                    **overrides
                }))
        return str(end)

    def test(self, name: str, config: str, test: str, checkpoint: str,
             overrides: dict) -> None:
        """Score a network, unless it is done."""
        folder = self.folder / name / test
        if not (folder / 'report.json').exists():
            run('test.py', self.configs[config], checkpoint, '--work-dir',
                folder, *TESTS.get(test, []),
                *written({
                    **self.overrides,
                    **overrides
                }))

    @property
    def classified(self) -> int:
        """How many steps classification takes."""
        return self.afa.model.train_cfg.cam_iters + 1  # counted from 0

    def branch(self) -> str:
        """AFA's checkpoint where classification ends."""
        return str(self.folder / 'afa' / f'iter_{self.classified}.pth')

    def train_all(self) -> None:
        """Train and score all networks of the seed."""
        keep = {
            'default_hooks.checkpoint.interval': self.classified,
            'default_hooks.checkpoint.max_keep_ckpts': -1
        }
        checkpoints = {}
        for name, changes in TRAININGS.items():
            checkpoints[name] = self.train(
                name, 'afa', {
                    **keep,
                    **changes
                }, None if name == 'afa' else self.branch())
            self.test(name, 'afa', 'val', checkpoints[name], changes)
        afa = checkpoints['afa']
        for test in ('tta', 'par', 'crf'):
            if test != 'crf' or find_spec('pydensecrf'):
                self.test('afa', 'afa', test, afa,
                          FULL_REACH if test == 'par' else {})
        train_set = self.afa.train_dataloader.dataset
        self.test(
            'afa', 'afa', 'train', afa, {
                'test_dataloader.dataset.ann_file': train_set.ann_file,
                'test_dataloader.dataset.indices': TRAIN_IMAGES
            })
        if 'supervised' in self.configs:
            checkpoint = self.train('supervised', 'supervised', {})
            self.test('supervised', 'supervised', 'val', checkpoint, {})
            self.second_stage(afa)

    def second_stage(self, checkpoint: str) -> None:
        """Train the supervised config on AFA's pseudo labels."""
        data = self.afa.train_dataloader.dataset
        root, labels = Path(data.data_root), self.folder / 'pseudo_labels'
        if not (self.folder / 'second_stage/val/report.json').exists():
            run('predict.py', self.configs['afa'], checkpoint,
                root / data.data_prefix.img_path, '--list',
                root / data.ann_file, '--tags', root / data.label_file,
                '--source', 'affinity_label', '--long-side', self.long_side,
                '--out', labels, *written(self.overrides))
        masks = (labels / 'affinity_label').resolve()
        trained = self.train(
            'second_stage', 'supervised',
            {'train_dataloader.dataset.data_prefix.seg_map_path': masks})
        self.test('second_stage', 'supervised', 'val', trained, {})


def scores_of(folder: Path, row: Row) -> Optional[float]:
    """The score of a row in a seed's folder, if it is there."""
    report = folder / row.training / row.test / 'report.json'
    if not report.exists():
        return None
    for found in json.loads(report.read_text())['rows']:
        if (found['score'], found['tags']) == (row.score, row.tags):
            return found['mIoU']
    return None


def collect(out: Path) -> Dict[str, Dict[str, float]]:
    """The scores in percent, by title and seed."""
    folders = {
        folder.name.partition('_')[2]: folder
        for folder in sorted(out.glob('seed_*'))
    }
    table = {}
    for row in ROWS:
        scores = {
            seed: scores_of(folder, row)
            for seed, folder in folders.items()
        }
        table[row.title] = {k: v for k, v in scores.items() if v is not None}
    return table


def to_markdown(table: Dict[str, Dict[str, float]]) -> str:
    """The table with mean and standard deviation over the seeds."""
    seeds = sorted({seed for scores in table.values() for seed in scores})
    lines = [
        '| mIoU, % | ' + ' | '.join(f'seed {seed}' for seed in seeds) +
        ' | mean | deviation |', '| --- ' * (len(seeds) + 3) + '|'
    ]
    for title, scores in table.items():
        values = list(scores.values())
        cells = [
            f'{scores[seed]:.1f}' if seed in scores else '–' for seed in seeds
        ]
        cells.append(f'{np.mean(values):.1f}' if values else '–')
        cells.append(f'{np.std(values, ddof=1):.1f}' if values[1:] else '–')
        lines.append(f'| {title} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def write_table(out: Path) -> str:
    """Write ablation.json and ablation.md; the latter's text."""
    table = collect(out)
    text = to_markdown(table)
    for name, content in (('ablation.json', json.dumps(table, indent=2)),
                          ('ablation.md', text)):
        with replacing(out / name) as unfinished:
            unfinished.write_text(content)
    return text


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help="AFA's config")
    add('--supervised', help='the config for masks, and the second stage')
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--out', type=Path, metavar='DIR', help='work_dirs/ablation/CONFIG')
    add('--long-side',
        type=int,
        default=200,
        metavar='PIXELS',
        help='of photographs for pseudo labels (default: %(default)s)')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Train and score what the command line names."""
    args = parse_args(argv)
    out = args.out or Path('work_dirs/ablation') / Path(args.config).stem
    configs = dict(afa=args.config)
    if args.supervised:
        configs['supervised'] = args.supervised
    for seed in args.seeds:
        Seed(out / f'seed_{seed}', seed, configs, args.cfg_options or {},
             args.long_side).train_all()
        print(write_table(out))


if __name__ == '__main__':
    main()
