# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Running tools: in this process, which is quick, or as commands."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict

ROOT = Path(__file__).parents[2]
NUMBERS = itertools.count()


def run_here(main: Callable, work_dir: Path, options: list, *arguments) -> str:
    """Run a tool's main() in this process; what it logged.

    The run gets a name of its own: mmengine keeps the loggers of a process by
    name and second.
    """
    main([
        *map(str, arguments), '--work-dir',
        str(work_dir), '--cfg-options', *options,
        f'experiment_name=run_{next(NUMBERS)}'
    ])
    return '\n'.join(log.read_text() for log in work_dir.glob('*/*.log'))


def run(*command) -> str:
    """Run a command in the repository; its output, if it succeeds."""
    environment = dict(os.environ, PYTHON=sys.executable, PYTHONPATH=str(ROOT))
    environment.pop('PORT', None)
    process = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert process.returncode == 0, process.stdout[-5000:]
    return process.stdout


def scalars(work_dir: Path) -> Dict[str, Dict[int, float]]:
    """{name: {step: value}} of the losses and scores of the one run in a work
    folder."""
    path, = work_dir.glob('*/vis_data/scalars.json')
    out = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        for name, value in row.items():
            out.setdefault(name, {})[row['step']] = value
    return out
