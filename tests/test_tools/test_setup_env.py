# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The set-up of the virtual environment, without its long downloads."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import setup_env  # noqa: E402  # isort: skip


@pytest.fixture
def venv(tmp_path, monkeypatch) -> Path:
    """An environment whose Python is the one that runs the tests."""
    venv = tmp_path / 'venv'
    (venv / 'bin').mkdir(parents=True)
    python = venv / 'bin/python'
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(setup_env, 'VENV', venv)
    return venv


@pytest.fixture
def commands(venv, monkeypatch) -> list:
    """What would be run, and is not."""
    commands = []
    monkeypatch.setattr(
        setup_env, 'run',
        lambda *command, **variables: commands.append(' '.join(
            map(str, command))))
    return commands


def answer(monkeypatch, *answers):
    """What is found to work in the environment, one question at a time."""
    answers = iter(answers)
    monkeypatch.setattr(setup_env, 'works', lambda code: next(answers))


@pytest.mark.parametrize('version', [(3, 8), (3, 13)])
def test_python(version):
    with pytest.raises(SystemExit, match='not supported.*PYTHON=python3'):
        setup_env.check_python(version)
    setup_env.check_python()


def test_no_venv_module(monkeypatch):
    monkeypatch.setattr(setup_env, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match='venv or ensurepip.*-venv'):
        setup_env.check_python()


def test_compiler_and_headers(tmp_path, monkeypatch):
    monkeypatch.setattr(setup_env.sysconfig, 'get_paths',
                        lambda: dict(include=tmp_path))
    monkeypatch.setattr(setup_env, 'CXX', ['my-c++', '-O1'])
    monkeypatch.setenv('PATH', str(tmp_path))
    for name in ('my-c++', 'Python.h'):
        with pytest.raises(
                SystemExit,
                match=r'no command my-c\+\+, or no .*Python.h: install '
                r'.*g\+\+ python3'):
            setup_env.check_compiler()
        (tmp_path / name).write_text('')
        (tmp_path / name).chmod(0o755)
    setup_env.check_compiler()


def test_all_steps_and_then_none(commands, monkeypatch, capsys):
    answer(monkeypatch, True, True, True)  # Python, cv2, mmseg_afa
    setup_env.set_up()
    assert len(commands) == 2
    assert '[3/3] mend opencv' in capsys.readouterr().out
    answer(monkeypatch, True)
    setup_env.set_up()
    assert len(commands) == 2 and capsys.readouterr().out == ''


@pytest.mark.parametrize('change', ['python', 'version', 'operators'])
def test_done_again(commands, monkeypatch, change):
    answer(monkeypatch, True, True, True)
    setup_env.set_up()
    if change == 'version':
        monkeypatch.setattr(setup_env, 'MMCV', '2.0.0')
    monkeypatch.setattr(setup_env, 'create_environment', lambda: None)
    answer(monkeypatch, change != 'python', True, True, True)
    setup_env.set_up(operators=change == 'operators')
    assert len(commands) == 4


def test_not_ready_after_a_failure(venv, commands, monkeypatch):
    (venv / 'mmseg_afa_setup').write_text('of last week')
    answer(monkeypatch, True, True, True, False)
    with pytest.raises(SystemExit, match='import mmseg_afa.* says why'):
        setup_env.set_up()
    assert not (venv / 'mmseg_afa_setup').exists()


def test_create_only_where_needed(venv, monkeypatch):
    setup_env.create_environment()
    (venv / 'bin/python').write_text('#!/bin/sh\nexit 1\n')
    broken = str(venv / 'bin/python')
    monkeypatch.setattr(setup_env.sys, 'executable', broken)
    with pytest.raises(SystemExit, match='-m venv .* failed'):
        setup_env.create_environment()


def test_failed_install(venv, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', '')  # without uv
    with pytest.raises(SystemExit) as error:
        setup_env.install('--no-index', 'no_such_folder/')
    message = str(error.value)
    assert 'no_such_folder' in message and '\n' not in message
    assert str(venv / 'setup.log') in message
    assert 'ERROR' in (venv / 'setup.log').read_text()
    uv = tmp_path / 'uv'
    uv.write_text('#!/bin/sh\necho "  × No solution found"\nexit 1\n')
    uv.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(SystemExit, match='stopped: × No solution found'):
        setup_env.install('anything')


@pytest.mark.parametrize('full', [False, True])
def test_lite_is_not_written_over_a_full_one(venv, commands, full):
    packages = venv / 'lib/python3.11/site-packages'
    (packages / 'mmcv_lite-2.0.0.dist-info').mkdir(parents=True)
    if full:
        (packages / 'mmcv-2.1.0.dist-info').mkdir()
    setup_env.install_libraries()
    assert ('mmcv-lite' in commands[0]) == (not full)


@pytest.mark.parametrize(
    'answers, ways',
    [
        ([True], []),  # there already
        ([False, True], ['mim']),
        ([False, False], ['mim', 'compile'])
    ])
def test_operators(commands, monkeypatch, answers, ways):
    monkeypatch.setattr(setup_env, 'check_compiler', lambda: None)
    monkeypatch.setattr(setup_env, 'compile_mmcv',
                        lambda *args: commands.append('compile mmcv=='))
    answer(monkeypatch, *answers)
    setup_env.install_operators()
    tried = [command for command in commands if 'mmcv==' in command]
    assert len(tried) == len(ways)
    assert all(way in command for way, command in zip(ways, tried))


def test_compile(venv, commands):
    (venv / 'lib/python3.11/site-packages/torch/include').mkdir(parents=True)
    setup_env.compile_mmcv('install', 'mmcv==2.1.0')
    header, build = commands
    assert header.endswith('torch.h.gch') and ' -O2 -g0 -w ' in header
    assert ' pip install mmcv==2.1.0 --no-build-isolation' in build


def test_opencv_without_libgl(commands, monkeypatch):
    answer(monkeypatch, True, False)
    setup_env.mend_opencv()
    assert commands == []
    setup_env.mend_opencv()
    removed, installed = commands
    assert removed.endswith(' opencv-python')
    assert 'opencv-python-headless==' in installed


def test_make_keeps_the_python_of_the_environment(tmp_path, monkeypatch):
    """`make setup PYTHON=...` must not be undone by `make demo`."""
    shutil.copy(ROOT / 'Makefile', tmp_path)
    for name in ('PYTHON', 'OPERATORS', 'MAKEFLAGS', 'MAKELEVEL', 'MFLAGS'):
        monkeypatch.delenv(name, raising=False)

    def command(*variables):
        return subprocess.check_output(['make', '-n', 'setup', *variables],
                                       cwd=tmp_path,
                                       stderr=subprocess.STDOUT,
                                       text=True).strip()

    assert command() == 'python3 tools/setup_env.py'
    assert command('OPERATORS=1') == 'python3 tools/setup_env.py --operators'
    python = tmp_path / '.venv/bin/python'
    python.parent.mkdir(parents=True)
    python.symlink_to('/no/such/python')  # removed since
    assert command() == 'python3 tools/setup_env.py'
    python.unlink()
    python.symlink_to(sys.executable)
    assert command() == '.venv/bin/python tools/setup_env.py'
    assert command('PYTHON=py') == 'py tools/setup_env.py'
