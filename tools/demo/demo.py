# Copyright (c) mmseg_afa contributors. All rights reserved.
"""AFA from data to scores in minutes, on two CPU cores.

Draws the demo data set, trains on its tags, evaluates on its masks, draws a
picture and prints a table. Two of its figures are stored ones: of the same
network without affinity and PAR, by --baseline, and of a plain SegFormer
trained on the pseudo labels of the demo's network, by --second-stage.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / 'data' / 'demo'
CONFIG = ROOT / 'configs' / 'afa' / 'afa_mit-b0_demo.py'
BASELINE_CONFIG = ROOT / 'configs' / 'afa' / 'afa_mit-b0_demo-no-affinity.py'
SECOND_STAGE_CONFIG = (
    ROOT / 'configs' / 'afa' / 'segformer_mit-b0_demo_pseudo-labels.py')
STORED = ROOT / 'docs' / 'demo_scores.json'
COMMANDS = dict(  # that store scores, by their names in the file
    baseline='python tools/demo/demo.py --baseline',
    second_stage='python tools/demo/demo.py --second-stage')
PSEUDO_LABELS = DATA / 'pseudo_labels'
NUM_PICTURES = 6

SCORES = (  # of the table: name, key of the evaluation
    ('segmentation mIoU', 'mIoU'),
    ('CAM mIoU, given the tags', 'cam_given_tags/mIoU'),
    ('affinity CAM mIoU, given the tags', 'affinity_cam_given_tags/mIoU'),
    ('classification F1', 'image_label/F1'),
    ('classification mAP', 'image_label/mAP'),
)
SECOND_STAGE = 'second stage, on its pseudo labels: segmentation mIoU'


def run(*command: object) -> None:
    """Run one of the tools; stop with its exit status if it fails."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    status = subprocess.run([sys.executable, *map(str, command)],
                            env=dict(os.environ, PYTHONPATH=path)).returncode
    if status:
        raise SystemExit(status)


def evaluate(config: Path, checkpoint: Path) -> dict:
    """Scores of a checkpoint in percent, by the keys of the evaluation."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    cfg = Config.fromfile(config)
    cfg.load_from = str(checkpoint)
    cfg.work_dir = str(checkpoint.parent)
    scores = Runner.from_cfg(cfg).test()
    return {
        key: round(float(scores[key]), 2)
        for _, key in SCORES if key in scores
    }


def store(name: str, scores: dict) -> None:
    """Keep scores, and the command that made them, for the table."""
    stored = json.loads(STORED.read_text())
    stored[name] = dict(command=COMMANDS[name], scores=scores)
    STORED.write_text(json.dumps(stored, indent=2) + '\n')
    print(f'\n{json.dumps(scores, indent=2)}\n-> {STORED}')


def table(scores: dict, baseline: dict, second_stage: dict) -> str:
    """The scores beside those of the baseline, as Markdown, and a row for
    what learns from the pseudo labels."""
    rows = [(name, scores.get(key), baseline.get(key)) for name, key in SCORES]
    rows.insert(1, (SECOND_STAGE, second_stage.get('mIoU'), None))
    lines = [
        '| held-out demo images, % | AFA | no affinity, no PAR |',
        '| --- | --- | --- |'
    ]
    for name, *values in rows:
        cells = ['–' if value is None else f'{value:.1f}' for value in values]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def train(config: Path) -> Path:
    """Train a config, in mixed precision on a CPU that gains by it; its last
    checkpoint."""
    from mmengine.device import get_device

    amp = ['--amp'] if get_device() == 'cpu' else []
    run('tools/train.py', config, '--work-dir', work_dir(config), *amp)
    return last_checkpoint(config)


def work_dir(config: Path) -> Path:
    """The folder that a config trains in."""
    return ROOT / 'work_dirs' / config.stem


def last_checkpoint(config: Path) -> Path:
    """The checkpoint that training a config ended with."""
    return Path((work_dir(config) / 'last_checkpoint').read_text())


def make_pseudo_labels() -> None:
    """Masks of the training scenes, by the demo's network and the tags."""
    if not (work_dir(CONFIG) / 'last_checkpoint').exists():
        raise SystemExit('The second stage learns from what the first one has '
                         'learned: run `make demo` before.')
    shutil.rmtree(PSEUDO_LABELS, ignore_errors=True)  # of another checkpoint
    run('tools/predict.py', CONFIG, last_checkpoint(CONFIG),
        DATA / 'JPEGImages', '--list',
        DATA / 'ImageSets' / 'Segmentation' / 'trainaug.txt', '--tags',
        DATA / 'image_labels.txt', '--source', 'refined_label', '--out',
        PSEUDO_LABELS)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        '--baseline',
        action='store_true',
        help='train without affinity and PAR, and store the scores')
    other.add_argument(
        '--second-stage',
        action='store_true',
        help="train on the demo's pseudo labels, and store the score")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.time()
    os.chdir(ROOT)  # the configs' paths start here
    run('tools/demo/make_demo_data.py', DATA)
    if args.baseline:
        store('baseline', evaluate(BASELINE_CONFIG, train(BASELINE_CONFIG)))
        return
    if args.second_stage:
        make_pseudo_labels()
        checkpoint = train(SECOND_STAGE_CONFIG)
        store('second_stage', evaluate(SECOND_STAGE_CONFIG, checkpoint))
        return
    checkpoint = train(CONFIG)
    scores = evaluate(CONFIG, checkpoint)
    picture = work_dir(CONFIG) / 'demo.jpg'
    run('tools/analysis_tools/prediction_sheet.py', CONFIG,
        checkpoint, '--num', NUM_PICTURES, '--out', picture, '--work-dir',
        work_dir(CONFIG))
    stored = json.loads(STORED.read_text())
    columns = [stored[name]['scores'] for name in COMMANDS]
    print(f'\n{table(scores, *columns)}\n\n'
          'The last column and the row of the second stage were stored by\n'
          f'`{COMMANDS["baseline"]}` and `{COMMANDS["second_stage"]}`.\n'
          f'Picture: {os.path.relpath(picture)}\n'
          f'{time.time() - start:.0f} seconds in all.')


if __name__ == '__main__':
    main()
