# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the project's virtual environment with the tested libraries.

`make setup` runs this script, which needs the standard library only. A second
run returns at once if nothing has changed. An interrupted run continues.

AFA needs none of mmcv's compiled operators. For a model that does, run
`.venv/bin/pip uninstall mmcv-lite`, then `.venv/bin/mim install mmcv==2.1.0`.
"""
import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
TESTED = REQUIREMENTS / 'tested.txt'
MMCV = '2.1.0'
VENV = ROOT / '.venv'
PYTHON_X_Y = f'python{sys.version_info[0]}.{sys.version_info[1]}'


def check_python(version=sys.version_info):
    """Exit with a remedy if this Python cannot make the environment."""
    if not (3, 9) <= tuple(version[:2]) <= (3, 12):
        sys.exit(f'Python {version[0]}.{version[1]} is not supported. Install '
                 'a version from 3.9 to 3.12 and name it: '
                 '`make setup PYTHON=python3.11`.')
    if not (find_spec('venv') and find_spec('ensurepip')):
        sys.exit('This Python lacks the module venv or ensurepip. Install '
                 "your system's package for it. Debian and Ubuntu: "
                 f'`apt install {PYTHON_X_Y}-venv`.')


def fingerprint():
    """Return a hash of everything that the environment depends on."""
    # An editable install points to the folder of the repository.
    digest = hashlib.sha256(f'{PYTHON_X_Y} {MMCV} {ROOT}'.encode())
    for path in [ROOT / 'setup.py', *sorted(REQUIREMENTS.glob('*.txt'))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def works(code):
    """Return whether the environment's Python runs some code."""
    command = [VENV / 'bin/python', '-c', code]
    return command[0].exists() and subprocess.run(
        command, cwd=VENV, capture_output=True).returncode == 0


def run(*command):
    """Run a command with its output in the log; exit with its first error."""
    path = VENV / 'setup.log'
    with path.open('a+', encoding='utf-8', errors='replace') as log:
        begin = log.tell()
        status = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT).returncode
        log.seek(begin)
        error = re.search(r'(?im)^.*(\berror:|×).*', log.read())
    if status:
        what = error[0].strip() if error else f'exit status {status}'
        sys.exit(f'Set-up stopped: {what}. See {path}. Check the network (uv '
                 "does not read pip's settings) and the disk (up to 12 GB), "
                 'then run this again to continue.')


def install(*requirements):
    """Install with uv if it is available, otherwise with pip."""
    # --no-compile saves 15 s: Python compiles what it imports.
    command = ['pip', 'install', '--no-compile', *requirements]
    if shutil.which('uv'):
        run('uv', *command, '--python', VENV / 'bin/python')
    else:
        run(VENV / 'bin/python', '-m', *command)


def create_environment():
    """Make the environment, unless it works with this version of Python."""
    version = tuple(sys.version_info[:2])
    if not works(f'import pip, sys; assert sys.version_info[:2] == {version}'):
        command = [sys.executable, '-m', 'venv', '--clear', VENV]
        if subprocess.run(command).returncode:
            sys.exit(f'python -m venv {VENV} failed, see above.')


def install_libraries():
    """Install the tested libraries, and this repository in place."""
    # mmcv-lite would overwrite the files of a full mmcv.
    full = any(VENV.glob('lib/*/site-packages/mmcv-*.dist-info'))
    requirements = [] if full else [f'mmcv-lite=={MMCV}']
    more = [REQUIREMENTS / f'{name}.txt' for name in ('data', 'tests', 'lint')]
    for path in [TESTED, *more]:
        requirements += ['-r', path]
    install(*requirements)
    # openmim's own requirements would downgrade libraries that we need.
    install('--no-deps', '--no-build-isolation', 'openmim==0.3.9',
            '--editable', ROOT)


def mend_opencv():
    """Replace OpenCV by its build without windows if libGL is missing."""
    if not works('import cv2'):
        version = re.search(r'^opencv-python(==\S+)', TESTED.read_text(),
                            re.M)[1]
        # Both builds write the same folder.
        run(VENV / 'bin/python', '-m', 'pip', 'uninstall', '--yes',
            'opencv-python')
        install('--no-deps', '--force-reinstall',
                f'opencv-python-headless{version}')


def set_up():
    """Run the steps that are left to do."""
    stamp = VENV / 'mmseg_afa_setup'
    if stamp.is_file() and works('') and stamp.read_text() == fingerprint():
        return
    check_python()
    stamp.unlink(missing_ok=True)
    begin = time.time()
    print(f'Setting up {VENV}; setup.log in it has the details.')
    steps = [create_environment, install_libraries, mend_opencv]
    for number, step in enumerate(steps, 1):
        name = step.__name__.replace('_', ' ')
        seconds = time.time() - begin
        print(f'[{number}/{len(steps)}] {name} ({seconds:.0f} s)', flush=True)
        step()
    if not works('import mmseg_afa'):
        sys.exit(f'Set-up stopped: `{VENV}/bin/python -c "import mmseg_afa"` '
                 'fails. Run it to see why, or start anew by `make '
                 'distclean`.')
    stamp.write_text(fingerprint())
    print(f'Ready after {time.time() - begin:.0f} s.')


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        set_up()
    except KeyboardInterrupt:
        sys.exit('Set-up was interrupted. Run it again to continue.')
