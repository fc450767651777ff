# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Run the tests with other versions of the libraries below us.

Makes a virtual environment for a stack, with the Python that runs this (3.9 to
3.12) and uv where it is on the PATH, runs the tests in it, and prints a row of
the table in docs/versions.md: the versions as imported, and what the tests
gave. Arguments that it does not know go to pytest:

    python3.9 tools/check_versions.py oldest -n 2 --dist loadfile
"""
import argparse
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Dict, List, Tuple

import setup_env

# What differs from requirements/tested.txt; mmcv is mmcv-lite where nothing
# else is said.
STACKS: Dict[str, Dict[str, str]] = dict(
    tested={},
    oldest={
        'torch': '2.6.0',
        'torchvision': '0.21.0',
        'numpy': '1.26.4',
        'opencv-python': '4.8.1.78',
        'mmcv': '2.0.0'
    },
    middle={
        'torch': '2.9.1',
        'torchvision': '0.24.1',
        'numpy': '2.0.2',
        'opencv-python': '4.12.0.88',
        'mmcv': '2.0.1'
    },
    newest={
        'torch': '2.13.0',
        'torchvision': '0.28.0',
        'numpy': '2.4.6',
        'opencv-python': '5.0.0.93',
        'mmcv': '2.1.0'
    })

# In the environment of a stack: mmcv-lite needs our package before mmcv.ops.
VERSIONS = '''
import importlib, importlib.metadata, json, platform
import mmseg_afa
found = dict(Python=platform.python_version())
for name in ('torch', 'torchvision', 'numpy', 'cv2', 'mmcv', 'mmengine',
             'mmseg', 'mmpretrain'):
    found[name] = importlib.import_module(name).__version__
if any(importlib.metadata.distributions(name='mmcv-lite')):
    found['mmcv'] += ' (lite)'
print(json.dumps(found))
'''


def pinned(tested: str, versions: Dict[str, str]) -> str:
    """A requirements file with other versions of some libraries."""
    kept = [
        line for line in tested.splitlines()
        if line.partition('==')[0] not in versions
    ]
    return '\n'.join(
        kept + [f'{name}=={version}'
                for name, version in versions.items()]) + '\n'


def counts(report: Path) -> Dict[str, int]:
    """How many tests passed, failed and were skipped, of a JUnit report."""
    suite = ET.parse(report).getroot().find('testsuite')
    total, skipped, *failed = [
        int(suite.get(name))
        for name in ('tests', 'skipped', 'failures', 'errors')
    ]
    return dict(
        passed=total - skipped - sum(failed),
        failed=sum(failed),
        skipped=skipped)


def row(cells: list) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def set_up(name: str, folder: Path, operators: bool) -> Path:
    """Make the environment of a stack; its Python."""
    versions = dict(STACKS[name])
    setup_env.VENV = folder / f'{name}-{setup_env.PYTHON_X_Y}'
    setup_env.MMCV = versions.pop('mmcv', setup_env.MMCV)
    tested = setup_env.TESTED.read_text()
    setup_env.TESTED = setup_env.VENV.with_name(f'{setup_env.VENV.name}.txt')
    setup_env.TESTED.parent.mkdir(parents=True, exist_ok=True)
    setup_env.TESTED.write_text(pinned(tested, versions))
    setup_env.set_up(operators)
    return setup_env.VENV / 'bin/python'


def run_tests(python: Path, arguments: List[str]) -> Dict[str, int]:
    """Run pytest with an environment's Python; what it counted."""
    report = python.parents[1] / 'report.xml'
    report.unlink(missing_ok=True)
    environment = dict(os.environ)
    environment.setdefault('OMP_NUM_THREADS', '1')
    begin = time.time()
    subprocess.run(
        [python, '-m', 'pytest', '-q', f'--junitxml={report}', *arguments],
        cwd=setup_env.ROOT,
        env=environment)
    if not report.exists():
        sys.exit('pytest stopped before it had run the tests, see above.')
    return dict(counts(report), seconds=round(time.time() - begin))


def parse_args() -> Tuple[argparse.Namespace, List[str]]:
    """The options, and those of pytest."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('stack', choices=STACKS)
    parser.add_argument(
        '--folder',
        type=Path,
        default=setup_env.ROOT / 'build/versions',
        help='where the environments are made, 5 to 7 GB each')
    parser.add_argument(
        '--operators',
        action='store_true',
        help='take mmcv with its compiled operators in place of mmcv-lite')
    return parser.parse_known_args()


def main() -> None:
    args, pytest_arguments = parse_args()
    python = set_up(args.stack, args.folder.resolve(), args.operators)
    versions = json.loads(
        subprocess.check_output([python, '-c', VERSIONS],
                                cwd=setup_env.ROOT,
                                text=True).splitlines()[-1])
    result = run_tests(python, pytest_arguments)
    command = f"{setup_env.PYTHON_X_Y} {' '.join(sys.argv)}"
    print(row(['stack', *versions, *result, 'command']))
    print(
        row([args.stack, *versions.values(), *result.values(),
             f'`{command}`']))
    sys.exit(result['failed'] > 0)


if __name__ == '__main__':
    main()
