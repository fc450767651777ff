# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The set-up of the virtual environment, without its long downloads."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .run_tool import ROOT

sys.path.insert(0, str(ROOT / 'tools'))

import setup_env  # noqa: E402  # isort: skip


def write_command(path: Path, script: str) -> None:
    path.write_text(f'#!/bin/sh\n{script}\n')
    path.chmod(0o755)


@pytest.fixture
def venv(tmp_path, monkeypatch) -> Path:
    """Make an environment whose Python is the one that runs the tests."""
    venv = tmp_path / 'venv'
    (venv / 'bin').mkdir(parents=True)
    write_command(venv / 'bin/python', f'exec {sys.executable} "$@"')
    monkeypatch.setattr(setup_env, 'VENV', venv)
    return venv


@pytest.fixture
def commands(venv, monkeypatch) -> list:
    """Collect the commands that would run."""
    commands = []
    monkeypatch.setattr(
        setup_env, 'run',
        lambda *command: commands.append(' '.join(map(str, command))))
    return commands


def set_up_until_ready(monkeypatch, python_works=True, cv2_works=True):
    monkeypatch.setattr(setup_env, 'create_environment', lambda: None)
    monkeypatch.setattr(
        setup_env, 'works',
        lambda code: dict([('', python_works),
                           ('import cv2', cv2_works)]).get(code, True))
    setup_env.set_up()


def test_python(monkeypatch):
    for version in ((3, 8), (3, 14)):
        with pytest.raises(SystemExit, match='not supported.*PYTHON=python3'):
            setup_env.check_python(version)
    setup_env.check_python()
    monkeypatch.setattr(setup_env, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match='venv or ensurepip.*-venv'):
        setup_env.check_python()


@pytest.mark.parametrize('change', [None, 'python', 'version'])
def test_repeats_only_after_a_change(commands, monkeypatch, capsys, change):
    set_up_until_ready(monkeypatch)
    assert len(commands) == 2
    assert 'mend opencv' in capsys.readouterr().out
    if change == 'version':
        monkeypatch.setattr(setup_env, 'MMCV', '2.0.0')
    set_up_until_ready(monkeypatch, python_works=change != 'python')
    assert len(commands) == (4 if change else 2)
    assert bool(capsys.readouterr().out) == bool(change)


def test_not_ready_after_a_failure(venv, commands, monkeypatch):
    (venv / 'mmseg_afa_setup').write_text('of last week')
    monkeypatch.setattr(setup_env, 'works',
                        lambda code: code != 'import mmseg_afa')
    with pytest.raises(SystemExit, match='import mmseg_afa.* fails'):
        setup_env.set_up()
    assert not (venv / 'mmseg_afa_setup').exists()


def test_failed_install(venv, tmp_path, monkeypatch, capfd):
    """Use uv where it is installed; show its errors or those of pip."""
    for path, error in (('', 'no_such_folder'), (str(tmp_path),
                                                 'no solution')):
        write_command(tmp_path / 'uv', 'echo no solution\nexit 1')
        monkeypatch.setenv('PATH', path)
        with pytest.raises(SystemExit, match='stopped, see above'):
            setup_env.install('--no-index', 'no_such_folder/')
        assert error in ''.join(capfd.readouterr())


@pytest.mark.parametrize('full', [False, True])
def test_mmcv_lite_does_not_overwrite_a_full_mmcv(venv, commands, full):
    packages = venv / 'lib/python3.11/site-packages'
    (packages / 'mmcv_lite-2.0.0.dist-info').mkdir(parents=True)
    if full:
        (packages / 'mmcv-2.1.0.dist-info').mkdir()
    setup_env.install_libraries()
    assert ('mmcv-lite' in commands[0]) == (not full)


def test_opencv_without_libgl(commands, monkeypatch):
    set_up_until_ready(monkeypatch, cv2_works=False)
    removed, installed = commands[-2:]
    assert removed.endswith(' opencv-python')
    assert 'opencv-python-headless==' in installed


def test_make_keeps_the_python_of_the_environment(tmp_path, monkeypatch):
    """`make demo` must not undo `make setup PYTHON=...`."""
    shutil.copy(ROOT / 'Makefile', tmp_path)
    for name in ('PYTHON', 'MAKEFLAGS', 'MAKELEVEL', 'MFLAGS'):
        monkeypatch.delenv(name, raising=False)

    def command(*variables):
        return subprocess.check_output(['make', '-n', 'setup', *variables],
                                       cwd=tmp_path,
                                       stderr=subprocess.STDOUT,
                                       text=True).strip()

    assert command() == 'python3 tools/setup_env.py'
    python = tmp_path / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    python.symlink_to('/no/such/python')  # removed since
    assert command() == 'python3 tools/setup_env.py'
    python.unlink()
    python.symlink_to(sys.executable)
    assert command() == '.venv/bin/python tools/setup_env.py'
    assert command('PYTHON=py') == 'py tools/setup_env.py'
