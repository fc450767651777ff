# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Make the project's virtual environment with the tested libraries.

`make setup` runs this script, which needs the standard library only. A second
run returns at once if nothing has changed.

AFA needs none of mmcv's compiled operators. For a model that does, run
`.venv/bin/pip uninstall mmcv-lite`, then `.venv/bin/mim install mmcv==2.1.0`.
That needs Python 3.12 or older: mmcv's source does not build on 3.13.
"""
import argparse
import hashlib
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
MMCV = '2.1.0'
VENV = ROOT / '.venv'
PYTHON_X_Y = f'python{sys.version_info[0]}.{sys.version_info[1]}'


def check_python(version=sys.version_info):
    """Exit with a remedy if this Python cannot make the environment."""
    if not (3, 9) <= tuple(version[:2]) <= (3, 13):
        sys.exit(f'Python {version[0]}.{version[1]} is not supported. Install '
                 'a version from 3.9 to 3.13 and name it: '
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
    """Run a command; exit if it fails."""
    if subprocess.run(command).returncode:
        sys.exit('Set-up stopped, see above. Check the network (uv does not '
                 "read pip's settings) and the disk (up to 12 GB), then run "
                 'this again.')


def install(*requirements):
    """Install with uv if it is available, otherwise with pip."""
    # --no-compile saves 15 s: Python compiles what it imports.
    command = ['pip', 'install', '--quiet', '--no-compile', *requirements]
    if shutil.which('uv'):
        run('uv', *command, '--python', VENV / 'bin/python')
    else:
        run(VENV / 'bin/python', '-m', *command)


def create_environment():
    """Make the environment, unless it works with this version of Python."""
    version = tuple(sys.version_info[:2])
    if not works(f'import pip, sys; assert sys.version_info[:2] == {version}'):
        run(sys.executable, '-m', 'venv', '--clear', VENV)


def install_libraries():
    """Install the tested libraries, and this repository in place."""
    # mmcv-lite would overwrite the files of a full mmcv.
    full = any(VENV.glob('lib/*/site-packages/mmcv-*.dist-info'))
    requirements = [] if full else [f'mmcv-lite=={MMCV}']
    for name in ('tested', 'data', 'tests', 'lint'):
        requirements += ['-r', REQUIREMENTS / f'{name}.txt']
    install(*requirements)
    # openmim's own requirements would downgrade libraries that we need.
    install('--no-deps', '--no-build-isolation', 'openmim==0.3.9',
            '--editable', ROOT)


def mend_opencv():
    """Replace OpenCV by its build without windows if libGL is missing."""
    if not works('import cv2'):
        tested = (REQUIREMENTS / 'tested.txt').read_text()
        version = re.search(r'^opencv-python(==\S+)', tested, re.M)[1]
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
    for step in (create_environment, install_libraries, mend_opencv):
        print(f'{VENV}: {step.__name__.replace("_", " ")}', flush=True)
        step()
    if not works('import mmseg_afa'):
        sys.exit(f'Set-up stopped: `{VENV}/bin/python -c "import mmseg_afa"` '
                 'fails. Run it to see why, or start anew by `make '
                 'distclean`.')
    stamp.write_text(fingerprint())


if __name__ == '__main__':
    argparse.ArgumentParser(description=__doc__).parse_args()
    set_up()
