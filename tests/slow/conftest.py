"""Mark all tests in this folder as slow, and give them an environment for the pages."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import follow
import grown
import packages
import pages
import samples
import states

HERE = pathlib.Path(__file__).parent

pytest.register_assert_rewrite('conditions')


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slow)


def skip_or_fail(reason):
    """Skip a test for want of a network, but not in CI."""
    if 'CI' in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def no_download():
    """A context in which "follow.py nova" may fail for want of a network, and for nothing else."""
    @contextlib.contextmanager
    def context(words):
        try:
            yield
        except SystemExit as error:
            if 'could not be downloaded' in str(error):
                skip_or_fail(str(error))
            pytest.fail(f'follow.py nova {" ".join(words)}: {error}')
    return context


@pytest.fixture(scope='session')
def large_venv(tmp_path_factory):
    """Return a function that makes, once, an environment with the packages of all pages."""
    made = []

    def make():
        if not made:
            folder = tmp_path_factory.mktemp('large')
            subprocess.run([sys.executable, '-m', 'venv', folder / 'venv'], check=True)
            done = subprocess.run(
                [folder / 'venv/bin/pip', 'install', '-q', '-r', pages.ROOT / 'requirements.txt',
                 *packages.of_pages()], capture_output=True, text=True)
            made.append(None if done.returncode else folder / 'venv')
        if made[0] is None:
            skip_or_fail('the packages of the pages cannot be installed')
        return made[0]
    return make


@pytest.fixture
def page():
    """The page whose packages "venv" has, where a test names no other."""
    return grown.last_page()


@pytest.fixture
def venv(request, large_venv):
    """An environment for a page: that which runs the tests, if it has all packages."""
    page = request.getfixturevalue('page')
    if not packages.can_run(page):
        pytest.skip(f'{page.name} needs a newer Python')
    names = pages.packages(pages.place(page)) + pages.packages_of(page)
    return pathlib.Path(sys.prefix) if packages.are_installed(names) else large_venv()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache with a very small Nova in it."""
    cache = tmp_path / 'cache' / 'toy-nova-api'
    cache.mkdir(parents=True)
    with zipfile.ZipFile(cache / 'nova-34.0.0-py3-none-any.whl', 'w') as wheel:
        for name, text in samples.NOVA.items():
            wheel.writestr(name, text)
    monkeypatch.setenv('XDG_CACHE_HOME', str(cache.parent))
    monkeypatch.setattr(follow, 'CACHE', cache)
    return cache


@pytest.fixture
def root(tmp_path, cache):
    """A small repository with two pages."""
    root = tmp_path / 'root'
    given = root / 'lessons' / 'given' / '01-area'
    given.mkdir(parents=True)
    for name in states.TOY:
        shutil.copy(pages.ROOT / name, root)
    for path in (pages.ROOT / 'lessons').glob('*.py'):
        shutil.copy(path, root / 'lessons')
    (root / 'lessons' / '01-area.md').write_text(samples.AREA)
    (root / 'lessons' / '02-moved.md').write_text(samples.MOVED)
    (root / 'lessons' / 'README.md').write_text('# Lessons\n')
    (given / 'tools.md').write_text(samples.TOOLS)
    return root
