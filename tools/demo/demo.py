# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run AFA from data to scores in minutes, on two CPU cores.

Draw the demo data set, train on its tags, evaluate on its masks, draw a
picture and print a table. The table compares with two stored results. Make
them anew by --baseline (the same network without affinity and PAR) and
--second-stage (a plain SegFormer, trained on the demo's pseudo labels).
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
DATA = ROOT / 'data/demo'
CONFIG = ROOT / 'configs/afa/afa_mit-b0_demo.py'
BASELINE_CONFIG = ROOT / 'configs/afa/afa_mit-b0_demo-no-affinity.py'
SECOND_STAGE_CONFIG = (
    ROOT / 'configs/afa/segformer_mit-b0_demo_pseudo-labels.py')
PSEUDO_LABELS = DATA / 'pseudo_labels'
STORED = ROOT / 'docs/demo_scores.json'
COMMANDS = dict(  # that store scores, by their names in the file
    baseline='python tools/demo/demo.py --baseline',
    second_stage='python tools/demo/demo.py --second-stage')

SCORES = {  # rows of the table, by the keys of the evaluation
    'mIoU': 'segmentation mIoU',
    'cam_given_tags/mIoU': 'CAM mIoU, given the tags',
    'affinity_cam_given_tags/mIoU': 'affinity CAM mIoU, given the tags',
    'image_label/F1': 'classification F1',
    'image_label/mAP': 'classification mAP'
}
SECOND_STAGE = 'second stage, on its pseudo labels: segmentation mIoU'


def run(*command: object) -> None:
    """Run a tool, and exit with its status if it fails."""
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    status = subprocess.run([sys.executable, *map(str, command)],
                            env=dict(os.environ, PYTHONPATH=path)).returncode
    if status:
        raise SystemExit(status)


def work_dir(config: Path) -> Path:
    """Return the folder that a config trains in."""
    return ROOT / 'work_dirs' / config.stem


def last_checkpoint(config: Path) -> Path:
    """Return the checkpoint that the training of a config ended with."""
    return Path((work_dir(config) / 'last_checkpoint').read_text())


def train(config: Path) -> Path:
    """Train a config, on a CPU in mixed precision; return its checkpoint."""
    from mmengine.device import get_device

    amp = ['--amp'] if get_device() == 'cpu' else []
    run('tools/train.py', config, '--work-dir', work_dir(config), *amp)
    return last_checkpoint(config)


def evaluate(config: Path, checkpoint: Path) -> dict:
    """Return the scores of a checkpoint in percent, by their keys."""
    from mmseg_afa.engine import launch

    cfg = launch.read_config(str(config))
    cfg.load_from, cfg.work_dir = str(checkpoint), str(checkpoint.parent)
    cfg.launcher = 'none'
    scores = launch.build_runner(cfg).test()
    return {k: round(float(scores[k]), 2) for k in SCORES if k in scores}


def make_pseudo_labels() -> None:
    """Predict masks of the training scenes from the demo's checkpoint."""
    if not (work_dir(CONFIG) / 'last_checkpoint').exists():
        raise SystemExit('The second stage needs the checkpoint of the first '
                         'one: run `make demo` before.')
    shutil.rmtree(PSEUDO_LABELS, ignore_errors=True)  # of another checkpoint
    run('tools/predict.py', CONFIG, last_checkpoint(CONFIG),
        DATA / 'JPEGImages', '--list',
        DATA / 'ImageSets/Segmentation/trainaug.txt', '--tags',
        DATA / 'image_labels.txt', '--source', 'refined_label', '--out',
        PSEUDO_LABELS)


def store(name: str, scores: dict) -> None:
    """Store scores, and the command that made them, for the table."""
    stored = json.loads(STORED.read_text())
    stored[name] = dict(command=COMMANDS[name], scores=scores)
    STORED.write_text(json.dumps(stored, indent=2) + '\n')
    print(f'\n{json.dumps(scores, indent=2)}\n-> {STORED}')


def table(scores: dict, baseline: dict, second_stage: dict) -> str:
    """Compare the scores with the stored ones, as Markdown."""
    rows = [(name, scores.get(key), baseline.get(key))
            for key, name in SCORES.items()]
    rows.insert(1, (SECOND_STAGE, second_stage.get('mIoU'), None))
    lines = [
        '| held-out demo images, % | AFA | no affinity, no PAR |',
        '| --- | --- | --- |'
    ]
    for name, *values in rows:
        cells = ['–' if value is None else f'{value:.1f}' for value in values]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return '\n'.join(lines)


def run_demo() -> None:
    """Train and evaluate AFA, draw the picture and print the table."""
    start = time.time()
    checkpoint = train(CONFIG)
    scores = evaluate(CONFIG, checkpoint)
    picture = work_dir(CONFIG) / 'demo.jpg'
    run('tools/analysis_tools/prediction_sheet.py', CONFIG, checkpoint,
        '--num', 6, '--out', picture)
    stored = json.loads(STORED.read_text())
    columns = [stored[name]['scores'] for name in COMMANDS]
    print(f'\n{table(scores, *columns)}\n\n'
          'The last column and the row of the second stage are stored by\n'
          f'`{COMMANDS["baseline"]}` and `{COMMANDS["second_stage"]}`.\n'
          f'Picture: {os.path.relpath(picture)}\n'
          f'{time.time() - start:.0f} seconds in all.')


def main(argv=None) -> None:
    """Run the demo, or make one of the stored results anew."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    other = parser.add_mutually_exclusive_group()
    other.add_argument('--baseline', action='store_true')
    other.add_argument('--second-stage', action='store_true')
    args = parser.parse_args(argv)
    os.chdir(ROOT)  # the paths in the configs start here
    run('tools/demo/make_demo_data.py', DATA)
    if args.baseline:
        store('baseline', evaluate(BASELINE_CONFIG, train(BASELINE_CONFIG)))
    elif args.second_stage:
        make_pseudo_labels()
        checkpoint = train(SECOND_STAGE_CONFIG)
        store('second_stage', evaluate(SECOND_STAGE_CONFIG, checkpoint))
    else:
        run_demo()


if __name__ == '__main__':
    main()
