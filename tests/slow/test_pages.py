"""The pages of the lessons, each by itself. One of them: pytest -m slow -k pagination"""
import pytest

import conditions
import follow
import pages

PAGES = [*pages.pages(), *pages.side_roads()]
WRONG = [(page, heading) for page in PAGES for heading in conditions.headings_of_wrong(page)]


def each(wanted):
    return pytest.mark.parametrize('page', wanted, ids=[page.stem for page in wanted])


def with_examples(flag):
    return [page for page in PAGES if f'\n```pycon {flag}\n' in page.read_text()]


@each(PAGES)
def test_a_page_does_what_it_says(page, venv, tmp_path):
    conditions.follow_to_the_end(page, tmp_path, venv)


@each(with_examples('example'))
def test_the_examples_hold_with_the_solution_alone(page, venv, tmp_path):
    conditions.examples_hold_with_the_solution_alone(page, tmp_path, venv)


@each(with_examples('turn'))
def test_your_turn_holds_with_the_answer_alone(page, venv, tmp_path):
    conditions.turn_holds_with_the_answer_alone(page, tmp_path, venv)


@pytest.mark.parametrize('page, heading', WRONG,
                         ids=[f'{page.stem}: {heading}' for page, heading in WRONG])
def test_a_wrong_solution_is_stopped(page, heading, venv, tmp_path):
    conditions.is_stopped(page, heading, tmp_path, venv)


def test_every_file_of_wrong_solutions_is_about_a_page():
    assert {path.name for path in conditions.WRONG.glob('*')} <= {page.name for page in PAGES}


@each(PAGES)
def test_a_page_has_the_form(page):
    conditions.has_the_form(page)
    conditions.links_have_an_end(page)


@each(PAGES)
def test_what_a_page_prints_of_nova_is_there(page, capsys, no_download):
    for words in conditions.nova_commands(page):
        with no_download(words):
            assert follow.main(['nova', *words]) == 0
    assert 'Traceback' not in capsys.readouterr().err
