"""README.md: followed from the first command to the last, and compared with the program."""
import re
import subprocess

from documents import Reader, blocks
from routers import ROUTES
from support import ROOT

README = (ROOT / 'README.md').read_text()
SETUP = 'python3 -m venv venv && venv/bin/pip install -q -r requirements.txt && '


def test_the_readme_is_followed_to_the_end(clone, tmp_path):
    reader = Reader(clone, tmp_path)
    try:
        assert reader.read(clone / 'README.md') >= 12
    finally:
        reader.close()
    assert reader.not_run == ['git clone ADDRESS toy-nova-api\ncd toy-nova-api',
                              SETUP + 'venv/bin/python -B -m pytest']


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / '.ci' / 'run').read_text()
    found = re.search(r'^command=(\$\(.*\))$', script, re.M)
    done = subprocess.run(['bash', '-c', f'{found[0]}; echo "$command"'], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.stdout == SETUP + 'venv/bin/python -B -m pytest\n'


def test_the_table_of_the_api_is_that_of_the_router():
    rows = re.findall(r'^\| `([A-Z]+) (/\S*)`.*\| `(\w+)` \|', README, re.M)
    assert rows == [(methods[0], path, action) for path, methods, action in ROUTES]


def test_nothing_runs_off_the_right_edge():
    for block in blocks(ROOT / 'README.md'):
        if block.words != 'mermaid':
            for line in (block.text + block.output).splitlines():
                assert len(line) <= 100, f'{block.place}: {line}'


def test_no_line_numbers_and_no_unpinned_links():
    assert not re.search(r'\bline \d+\b|#L\d+', README)
    for link in re.findall(r'https://github\.com/openstack/nova/\S+', README):
        assert re.match(r'https://github\.com/openstack/nova/(blob|tree)/[0-9a-f]{40}/', link)
    for link in re.findall(r'\]\(([^)#:]+)(?:#[^)]*)?\)', README):
        assert (ROOT / link).exists(), link
