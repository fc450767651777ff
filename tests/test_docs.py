# Copyright (c) mmseg_afa contributors. All rights reserved.
"""The commands, files and links that README and docs/ name exist."""
import importlib.util
import re
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
    """Script and arguments of every command in code blocks and code spans."""
    found = set()
    for text in TEXTS.values():
        blocks = re.findall(r'^ *```\w*\n(.*?)^ *```', text, re.M | re.S)
        spans = re.findall(r'(?<!`)`([^`]+)`(?!`)', text)
        code = [re.sub(r'\\\n\s*', ' ', block) for block in blocks]
        code += [re.sub(r'\s+', ' ', span) for span in spans]
        for lines in code:
            for line in lines.splitlines():
                match = COMMAND.fullmatch(line.strip())
                if match and '$' not in line:  # a shell's variable
                    found.add(match.groups())
    assert len(found) > 10
    return sorted(found)


@pytest.mark.parametrize('script, arguments', commands())
def test_command(script, arguments, monkeypatch):
    """The script is there, and takes these arguments."""
    assert (ROOT / script).is_file()
    arguments = shlex.split(arguments, comments=True)
    for argument in arguments:
        if argument.startswith('configs/'):
            assert (ROOT / argument).is_file()
    if script.endswith('.sh') or not arguments or '...' in arguments:
        return
    monkeypatch.syspath_prepend(str((ROOT / script).parent))
    monkeypatch.setattr(sys, 'argv', [script, *arguments])
    spec = importlib.util.spec_from_file_location('documented', ROOT / script)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    tool.parse_args()


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
