"""README.md, followed from the first command to the last."""
import ast
import io
import re
import subprocess
import tokenize

import pytest

from documents import Block, Reader, blocks, plain, replace_sections
from support import MODULES, ROOT

TEST_COMMAND = re.search(r'^\$ (.*-m pytest)$', (ROOT / 'README.md').read_text(), re.M)[1]


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
    done = 0
    try:
        for block in blocks(ROOT / 'README.md'):
            reader.follow(block)
            done += 1
    finally:
        reader.close()
    assert done >= 10
    assert reader.not_run == [TEST_COMMAND]
    if reader.offline:
        pytest.skip('no network: README.md was followed, but for its "pip install"')


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / '.ci' / 'run').read_text()
    assert 'README.md' in script
    found = subprocess.run(['bash', '-c', re.search(r'^command=(\$\(.*\))$', script, re.M)[0]
                            + '; echo "$command"'], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == TEST_COMMAND + '\n'


def test_the_size_that_the_readme_states():
    size = sum(code_lines((ROOT / name).read_text()) for name in MODULES)
    assert f'four modules with {size} lines of code' in (
        (ROOT / 'README.md').read_text().replace('\n', ' '))


def test_no_line_numbers_and_no_unpinned_links():
    for path in ROOT.glob('*.md'):
        text = path.read_text()
        assert not re.search(r'\bline \d+\b|#L\d+', text)
        for link in re.findall(r'https://github\.com/openstack/nova/\S+', text):
            assert re.match(r'https://github\.com/openstack/nova/(blob|tree)/[0-9a-f]{40}/', link)


# What follows tests the tests: a document that is wrong must be red.

@pytest.fixture
def reader(checkout, tmp_path):
    reader = Reader(checkout, tmp_path)
    yield reader
    reader.close()


def block(words, text, before=''):
    return Block(words, text.splitlines(), before, '', 1)


@pytest.mark.parametrize('words, text, before', [
    ('console', '$ echo one\ntwo', ''),
    ('console', '$ echo one', ''),
    ('console', '$ true\none', ''),
    ('console', 'no command', ''),
    ('console', '$ echo {a}\n{a}\n$ echo {b}\n{a}', ''),
    ('pycon', '>>> 1 + 1\n3', ''),
    ('python', 'ROUTES = {}', 'See `routers.py`:'),
    ('python', 'HERE', 'See `server.py`:'),
    ('ini', '[pipeline:main]\npipeline = instance', 'See `configure.ini`:'),
    ('python', 'pass', 'New file `auth.py`:'),
    ('diff', '--- a/auth.py\n+++ b/auth.py\n@@ -1,1 +1,1 @@\n-no such line\n+x', ''),
    ('bash', 'echo', ''),
    ('', 'plain', ''),
])
def test_a_wrong_block_is_red(reader, words, text, before):
    ids = {'a': '55c4db64-87b7-4ddb-b46f-d268d47e6cfb', 'b': '55c4db64-87b7-4ddb-b46f-d268d47e6cfc'}
    for name, value in ids.items():
        text = text.replace('{%s}' % name, value)
    with pytest.raises(AssertionError):
        reader.follow(block(words, text, before))


def test_a_wrong_log_is_red(reader):
    reader.follow(block('console', '$ venv/bin/python server.py\n'
                        'Listening on http://localhost:8000/instances, until Ctrl-C. Try, with the'
                        ' token in configure.ini:\n'
                        "curl -H 'X-Auth-Token: TOKEN' http://localhost:8000/instances"))
    reader.follow(block('console', '$ curl -o /dev/null localhost:8000/instances'))
    line = '127.0.0.1 - - [22/Nov/2026 03:21:52] "GET /instances HTTP/1.1" %s 100'
    reader.follow(block('text log', line % 403))
    with pytest.raises(AssertionError):
        reader.follow(block('text log', line % 200))


def test_two_ids_that_should_be_one_are_red(reader):
    one, other = '55c4db64-87b7-4ddb-b46f-d268d47e6cfb', '65c4db64-87b7-4ddb-b46f-d268d47e6cfb'
    reader.compare(f'{one} {other} {one}', f'{other} {one} {other}')
    with pytest.raises(AssertionError, match='is two ids'):
        reader.compare(one, one)
    with pytest.raises(AssertionError, match='is also another id'):
        reader.compare('75c4db64-87b7-4ddb-b46f-d268d47e6cfb', one)


def test_only_what_must_differ_may_differ():
    text = 'a\r\nDate: Sun, 22 Nov 2026 03:21:47 GMT at 0x7f3 in CPython/3.11.7 on :4711'
    other = 'a\nDate: Mon, 23 Nov 2026 13:21:47 GMT at 0x8a in CPython/3.12 on :8000'
    assert plain(text, '4711') == plain(other)
    assert plain('201 Created')[0] != plain('200 OK')[0]


def test_a_section_takes_the_place_of_its_namesake():
    ini = '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 2\nz = 3\n'
    assert replace_sections(ini, '[b]\ny = 5\n') == '# one\n[a]\nx = 1\n\n# two\n[b]\ny = 5\n'
    assert replace_sections(ini, '[c]\nw = 4\n\n[a]\nx = 6\n') == (
        '# one\n[a]\nx = 6\n\n# two\n[b]\ny = 2\nz = 3\n\n[c]\nw = 4\n')
