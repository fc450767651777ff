# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Runs the commands that README and docs/ show, on the demo's data.

Configs become the demo's with a schedule of three steps, checkpoints the one
that it ends with, photos and data sets the demo's scenes. What needs more,
such as a cluster or the archives of VOC, is named and left out;
tests/test_docs.py sees that those commands parse, too. From the root of the
repository:

    python -m tests.run_documented FOLDER
"""
import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Iterator, List, Optional

from tests.test_docs import ROOT, commands

CONFIG = """
_base_ = ['mmseg_afa::afa/afa_mit-b0_demo.py']
train_cfg = dict(max_iters=3, val_interval=3)
model = dict(train_cfg=dict(cam_iters=0, switch_iter=1))
val_dataloader = dict(dataset=dict(indices=4))
test_dataloader = dict(dataset=dict(indices=4))
work_dir = 'work'
"""
# What is not run, by a part of the command.
LEFT_OUT = {
    'slurm_': 'needs a cluster; tests/test_tools runs it with a stand-in',
    'NNODES': 'needs several machines',
    'voc_aug.py': 'needs archives; tests/test_tools makes small ones',
    'coco2014.py': 'needs annotations; tests/test_tools makes small ones',
    'msrc.py': 'needs the archive; tests/test_tools makes a small one',
    'voc6.py data': 'needs VOC; tests/test_tools makes a small one',
    'afa2mmseg.py': 'needs a published checkpoint; tests/test_tools makes one',
    'data_prefix.img_path': "names COCO's folders",
    'demo.py --': 'trains the whole demo: make demo',
    'ablation.py': 'trains many networks; tests/test_tools trains small ones',
    'check_versions.py': 'makes environments and runs all tests in them',
    '--refine crf': 'needs the extra crf',
    '...': 'is no whole command',
}
# What a command's words become.
WORDS = [
    (r'(configs/\S+|CONFIG|voc6)(\.py)?', 'config.py'),
    (r'CHECKPOINT|\S+/\S+\.pth', 'work/iter_3.pth'),
    (r'PHOTOS|photos/|data/VOCdevkit/VOC2012/JPEGImages',
     'data/demo/JPEGImages'),
    (r'data/VOCdevkit/VOC2012/pseudo_labels|DIR|masks|out', 'out'),
    (r'data/VOCdevkit/VOC2012/ImageSets/(.*)', r'few.txt'),
    (r'data/VOCdevkit/VOC2012/image_labels.txt', 'data/demo/image_labels.txt'),
    (r'after.json', 'before.json'),
    (r'8', '2'),
]


def substituted(arguments: str) -> List[str]:
    """A command's arguments, with what there is in the folder."""
    words = shlex.split(arguments, comments=True)
    for i, word in enumerate(words):
        for pattern, other in WORDS:
            if re.fullmatch(pattern, word):
                words[i] = re.sub(pattern, other, word)
                break
    return words


def prepare(folder: Path) -> None:
    """Write what the commands name."""
    (folder / 'data/pets/JPEGImages').mkdir(parents=True, exist_ok=True)
    (folder / 'config.py').write_text(CONFIG)
    (folder /
     'data/pets/tags.csv').write_text('image,tags\na.jpg,cat\nb.jpg,dog;cow\n')
    for name in 'ab':
        (folder / f'data/pets/JPEGImages/{name}.jpg').touch()
    run(folder, 'tools/demo/make_demo_data.py', ['data/demo'])
    run(folder, 'tools/train.py', ['config.py'])
    names = (folder / 'data/demo/ImageSets/Segmentation/trainaug.txt')
    few = names.read_text().splitlines()[:4]
    (folder / 'few.txt').write_text('\n'.join(few) + '\n')


def run(folder: Path, script: str, arguments: List[str]) -> None:
    """Run a tool in the folder.

    Raises:
        subprocess.CalledProcessError: With what it printed.
    """
    interpreter = [sys.executable] if script.endswith('.py') else ['bash']
    subprocess.run([*interpreter, str(ROOT / script), *arguments],
                   cwd=folder,
                   env=dict(
                       os.environ,
                       PYTHONPATH=str(ROOT),
                       PYTHON=sys.executable,
                       CUDA_VISIBLE_DEVICES=''),
                   text=True,
                   check=True,
                   stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT)


def left_out(command: str) -> Optional[str]:
    """Why a command is not run."""
    return next((why for part, why in LEFT_OUT.items() if part in command),
                None)


def results(folder: Path) -> Iterator[bool]:
    """Run all; whether each is well."""
    done = {}  # many differ by the config alone
    # what compares two files comes after what writes them
    for script, arguments in sorted(
            commands(), key=lambda c: 'compare' in c[1]):
        command = f'{script} {arguments.strip()}'
        if not arguments.strip():
            continue  # the name of a tool
        why = left_out(re.sub(r'\s+', ' ', command))
        if why:
            print(f'left out  {command}: {why}', flush=True)
            continue
        key = (script, *substituted(arguments))
        if key not in done:
            begun = time.monotonic()
            try:
                # each with an output folder of its own
                run(folder, script, [
                    f'out_{len(done)}' if word == 'out' else word
                    for word in key[1:]
                ])
                done[key] = f'{time.monotonic() - begun:4.0f} s ok'
            except subprocess.CalledProcessError as error:
                print(error.stdout)
                done[key] = 'FAILED'
        print(f'{done[key]:9} {command}', flush=True)
        yield done[key] != 'FAILED'


def main() -> None:
    """Run them in the folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path, help='for data and results')
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    prepare(folder)
    well = list(results(folder))
    print(f'{sum(well)} of {len(well)} ran')
    sys.exit(not all(well))


if __name__ == '__main__':
    main()
