# Copyright (c) mmseg_afa contributors. All rights reserved.
"""Check the commands, files and links in README and docs/."""
import re
import runpy
import shlex
import sys

import pytest

from tests.test_reference.reference import ROOT

PAGES = [*sorted(ROOT.glob('*.md')), *sorted((ROOT / 'docs').glob('*.md'))]
TEXTS = {page: page.read_text(encoding='utf-8') for page in PAGES}
# with the variables of a shell before it, or not
COMMAND = re.compile(
    r'(?:[A-Z_]+=\S+ +)*(?:python )?(tools/[\w/]+\.(?:py|sh))(.*)')


def commands():
    """Collect the documented commands: {script: arguments of each}."""
    found = {}
    for text in TEXTS.values():
        blocks = re.findall(r'^ *```\w*\n(.*?)^ *```', text, re.M | re.S)
        spans = re.findall(r'(?<!`)`([^`]+)`(?!`)', text)
        code = [re.sub(r'\\\n\s*', ' ', block) for block in blocks]
        code += [re.sub(r'\s+', ' ', span) for span in spans]
        for line in '\n'.join(code).splitlines():
            match = COMMAND.fullmatch(line.strip())
            if match and '$' not in line:  # a shell's variable
                found.setdefault(match[1], set()).add(match[2])
    assert len(found) > 5
    return found


COMMANDS = commands()


@pytest.mark.parametrize('script', sorted(COMMANDS))
def test_command(script, monkeypatch):
    """The script is there, and takes the documented arguments."""
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    tool = None
    if not script.endswith('.sh'):
        tool = runpy.run_path(str(ROOT / script))
    for line in sorted(COMMANDS[script]):
        print(script, line)
        arguments = shlex.split(line, comments=True)
        for argument in arguments:
            if argument.startswith('configs/'):
                assert (ROOT / argument).is_file()
        if tool and arguments and '...' not in arguments:
            monkeypatch.setattr(sys, 'argv', [script, *arguments])
            tool['parse_args']()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links(page):
    """Links to files of the repository, and to headings of its pages."""
    for target in re.findall(r'\]\(([^)\s]+)\)', TEXTS[page]):
        if '://' in target:
            continue
        path, _, anchor = target.partition('#')
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r'^#+ (.+)$', TEXTS[file], re.M)
            anchors = [
                re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-')
                for heading in headings
            ]
            assert anchor in anchors, target
