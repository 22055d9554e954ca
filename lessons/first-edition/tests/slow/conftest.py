"""The reader whom the tests of the lessons share."""
import shutil

import pytest

from documents import Reader, follow
from support import ROOT


@pytest.fixture(scope='session')
def reader(tmp_path_factory, network):
    """A reader who begins in a clone of the repository."""
    if not network:
        pytest.skip('no network: the lessons need packages of their own')
    folder = tmp_path_factory.mktemp('lessons') / 'clone'
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns('venv', '__pycache__', 'hello*.py'))
    reader = Reader(folder, tmp_path_factory.mktemp('scratch'))
    reader.done = []
    yield reader
    reader.close()


@pytest.fixture(scope='session')
def followed(reader):
    """The same reader, after the last lesson: the toy and the real Nova are in one folder."""
    if reader.done != [page.name for page in follow.pages()]:
        pytest.skip('the lessons have not been followed to their end')
    return reader
