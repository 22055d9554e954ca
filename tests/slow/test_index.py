"""lessons/README.md and WHERE-TO-GO.md: "The end first" is followed, and no page is missing."""
import re

import pytest

import conditions
import follow
import pages
from documents import Reader

INDEX = pages.ROOT / 'lessons' / 'README.md'
WHERE_TO_GO = pages.ROOT / 'lessons' / 'WHERE-TO-GO.md'


@pytest.fixture
def page():
    """The page whose packages and Python "The end first" needs."""
    return follow.page_named('real', pages.ROOT)


def title(path):
    return path.read_text().partition('\n')[0].removeprefix('# ')


def test_the_end_first(page, venv, checkout, tmp_path):
    reader = Reader(checkout, tmp_path, venv=venv)
    reader.patience = 60
    assert reader.read(INDEX) >= 4


def test_the_index_has_all_pages():
    text = INDEX.read_text()
    for path in [*pages.pages(), *pages.side_roads()]:
        assert f'\n| [{pages.number(path)}. {title(path)}]({path.name}) |' in text, path.name


def test_pages_lead_to_one_another():
    road = pages.pages()
    for path, following in zip(road, road[1:]):
        back = f'[← {pages.number(path)}. {title(path)}]({path.name})'
        on = f'[{pages.number(following)}. {title(following)} →]({following.name})'
        assert following.read_text().count(back) == 2, following.name
        assert path.read_text().count(on) == 2, path.name


@pytest.mark.parametrize('path', [INDEX, WHERE_TO_GO], ids=['index', 'where-to-go'])
def test_links_have_an_end(path):
    conditions.links_have_an_end(path)


def test_what_where_to_go_prints_of_nova_is_there(no_download):
    commands = conditions.nova_commands(WHERE_TO_GO)
    assert len(commands) >= 4
    for words in commands:
        with no_download(words):
            assert follow.main(['nova', *words]) == 0


def test_the_roads_name_pages():
    rows = re.findall(r'^\| an? (?:evening|weekend|few).*\| (.*) \|$', INDEX.read_text(), re.M)
    numbers = [int(number) for row in rows for number in re.findall(r'\b\d+\b', row)]
    assert len(rows) == 3
    assert set(numbers) <= {int(pages.number(path)) for path in pages.pages()}
