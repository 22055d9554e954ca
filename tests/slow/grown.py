"""The grown toy: as the pages leave it before the real Nova comes."""
import pages
import states

PAGE = 35       # at the start of this page


def make(folder):
    """Write the grown toy to a folder."""
    states.make(PAGE, folder)


def last_page():
    """Return the last page that changes the grown toy."""
    return pages.pages_before(PAGE)[-1]
