# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The set-up of the virtual environment, without its long downloads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

import setup_env  # noqa: E402  # isort: skip


@pytest.fixture
def env(tmp_path) -> setup_env.Environment:
    """An environment whose Python is the one that runs the tests."""
    env = setup_env.Environment(tmp_path / 'venv')
    env.python.parent.mkdir(parents=True)
    env.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    env.python.chmod(0o755)
    return env


class Recorder(setup_env.Environment):
    """Runs no command, notes it, and has the modules of a list of answers."""

    def __init__(self, folder: Path, answers: list):
        super().__init__(folder)
        self.answers = iter(answers)
        self.commands = []

    def runs(self, code):
        return next(self.answers)

    def run(self, *command, **variables):
        self.commands.append(' '.join(map(str, command)))


class TestWhatTheMachineMustHave:

    @pytest.mark.parametrize('version', [(3, 8), (3, 13)])
    def test_python(self, version):
        with pytest.raises(SystemExit, match=r'not supported.*PYTHON=python3'):
            setup_env.check_python(version)
        setup_env.check_python()

    def test_no_venv_module(self, monkeypatch):
        monkeypatch.setattr(setup_env, 'find_spec', lambda name: None)
        with pytest.raises(SystemExit, match='venv or ensurepip.*-venv'):
            setup_env.check_python()

    def test_no_compiler(self, tmp_path, monkeypatch):
        monkeypatch.setenv('PATH', str(tmp_path))
        monkeypatch.delenv('CXX', raising=False)
        with pytest.raises(SystemExit, match=r'none found.*apt install g\+\+'):
            setup_env.find_compiler()

    def test_compiler_of_another_name(self, tmp_path, monkeypatch):
        compiler = tmp_path / 'my-c++'
        compiler.write_text('')
        compiler.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path))
        monkeypatch.setenv('CXX', 'my-c++ -O1')
        (tmp_path / 'Python.h').write_text('')
        monkeypatch.setattr(setup_env.sysconfig, 'get_paths',
                            lambda: dict(include=tmp_path))
        assert setup_env.find_compiler() == 'my-c++ -O1'
        (tmp_path / 'Python.h').unlink()
        with pytest.raises(SystemExit, match='Python.h: install'):
            setup_env.find_compiler()


class TestSetUp:

    def test_all_steps_and_then_none(self, tmp_path, capsys):
        env = Recorder(tmp_path, [True] * 3)
        env.python = Path(sys.executable)
        setup_env.set_up(env)
        assert len(env.commands) == 2
        assert '[3/3] mend opencv' in capsys.readouterr().out
        setup_env.set_up(env)  # there are no answers left
        assert capsys.readouterr().out == ''
        assert not env.is_ready(operators=True)

    def test_with_operators(self, tmp_path):
        env = Recorder(tmp_path, [True] * 4)
        env.python = Path(sys.executable)
        setup_env.set_up(env, operators=True)
        assert env.is_ready() and env.is_ready(operators=True)

    @pytest.mark.parametrize('change', ['python', 'requirements', 'stamp'])
    def test_done_again(self, env, tmp_path, monkeypatch, change):
        env.stamp.write_text(env.fingerprint())
        assert env.is_ready()
        if change == 'python':
            env.python.unlink()
        elif change == 'requirements':
            monkeypatch.setattr(setup_env, 'REQUIREMENTS', tmp_path)
        else:
            env.stamp.write_text('')
        assert not env.is_ready()

    def test_not_ready_after_a_failure(self, tmp_path):
        env = Recorder(tmp_path, [True, True, False])
        env.python = Path(sys.executable)
        env.stamp.write_text('of last week')
        with pytest.raises(SystemExit, match='cannot be imported.*says why'):
            setup_env.set_up(env)
        assert not env.stamp.exists()

    def test_create_only_where_needed(self, env, monkeypatch):
        setup_env.create(env)
        assert 'exec' in env.python.read_text()
        env.python.write_text('#!/bin/sh\nexit 1\n')
        monkeypatch.setattr(setup_env.sys, 'executable', 'false')
        with pytest.raises(SystemExit, match='-m venv .* failed'):
            setup_env.create(env)

    def test_failed_install(self, env, tmp_path, monkeypatch):
        monkeypatch.setenv('PATH', str(tmp_path))  # without uv
        with pytest.raises(SystemExit) as error:
            env.install('--no-index', str(tmp_path / 'no_such_folder'))
        assert '\n' not in str(error.value)
        assert 'no_such_folder' in str(error.value)
        assert str(env.log) in str(error.value)
        assert 'ERROR' in env.log.read_text()

    def test_error_of_uv(self, env, tmp_path, monkeypatch):
        uv = tmp_path / 'uv'
        uv.write_text('#!/bin/sh\necho "  × No solution found"\nexit 1\n')
        uv.chmod(0o755)
        monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
        with pytest.raises(SystemExit, match='stopped: × No solution found'):
            env.install('anything')


class TestMMCV:

    @pytest.mark.parametrize('full', [False, True])
    def test_lite_is_not_written_over_a_full_one(self, tmp_path, full):
        packages = tmp_path / 'lib/python3.11/site-packages'
        (packages / 'mmcv_lite-2.0.0.dist-info').mkdir(parents=True)
        if full:
            (packages / 'mmcv-2.1.0.dist-info').mkdir()
        env = Recorder(tmp_path, [])
        setup_env.install_libraries(env)
        assert ('mmcv-lite' in env.commands[0]) == (not full)

    @pytest.mark.parametrize(
        'answers, ways',
        [
            ([True], []),  # there already
            ([False, True, True], ['mim']),
            ([False, False, True], ['mim', 'build']),
            # the wheel in pip's cache is of another torch
            ([False, False, False], ['mim', 'build', 'no-cache'])
        ])
    def test_operators(self, tmp_path, monkeypatch, answers, ways):
        monkeypatch.setattr(setup_env, 'find_compiler', lambda: 'c++')
        env = Recorder(tmp_path, answers)
        setup_env.install_operators(env)
        tried = [command for command in env.commands if 'mmcv==' in command]
        assert len(tried) == len(ways)
        assert all(way in command for way, command in zip(ways, tried))


def test_opencv_without_libgl(tmp_path):
    env = Recorder(tmp_path, [True, False])
    setup_env.mend_opencv(env)
    assert env.commands == []
    setup_env.mend_opencv(env)
    removed, installed = env.commands
    assert removed.endswith(' opencv-python')
    assert 'opencv-python-headless==' in installed


def test_make_keeps_the_python_of_the_environment(tmp_path):
    """`make setup PYTHON=...` must not be undone by `make demo`."""
    shutil.copy(ROOT / 'Makefile', tmp_path)
    clean = {
        key: value
        for key, value in os.environ.items()
        if key not in ('PYTHON',
                       'OPERATORS') and not key.startswith(('MAKE', 'MFLAGS'))
    }

    def command(*variables):
        return subprocess.check_output(['make', '-n', 'setup', *variables],
                                       cwd=tmp_path,
                                       env=clean,
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
