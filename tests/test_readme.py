"""README.md, followed from the first command to the last, and what it says of the program."""
import ast
import io
import re
import subprocess
import tokenize

import pytest

from documents import Reader, blocks
from support import MODULES, ROOT

README = (ROOT / 'README.md').read_text()
TEST_COMMAND = 'venv/bin/python -B -m pytest'


def code_lines(source):
    """Count the lines that are neither empty, nor a comment, nor a docstring."""
    no_code = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
               tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in no_code:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            lines.difference_update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_the_readme_is_followed_to_the_end(clone, tmp_path):
    reader = Reader(clone, tmp_path)
    try:
        assert reader.read(clone / 'README.md') >= 30
    finally:
        reader.close()
    assert reader.not_run == [TEST_COMMAND]
    if reader.offline:
        pytest.skip('no network: README.md was followed, but for its "pip install"')


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / '.ci' / 'run').read_text()
    found = re.search(r'^command=(\$\(.*\))$', script, re.M)
    done = subprocess.run(['bash', '-c', f'{found[0]}; echo "$command"'], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout == TEST_COMMAND + '\n'


def test_the_size_that_the_readme_states():
    size = sum(code_lines((ROOT / name).read_text()) for name in MODULES)
    assert size <= 270
    assert set(re.findall(r'(\d+) lines of code', README)) == {str(size)}


def test_nothing_runs_off_the_right_edge():
    for name in MODULES:
        assert max(map(len, (ROOT / name).read_text().splitlines())) <= 100
    for block in blocks(ROOT / 'README.md'):
        for line in (block.text + block.output).splitlines():
            assert len(line) <= 96, f'{block.place}: {line}'


def test_no_line_numbers_and_no_unpinned_links():
    assert not re.search(r'\bline \d+\b|#L\d+', README)
    for link in re.findall(r'https://github\.com/openstack/nova/\S+', README):
        assert re.match(r'https://github\.com/openstack/nova/(blob|tree)/[0-9a-f]{40}/', link)
    for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', README):
        assert (ROOT / link).exists(), link
