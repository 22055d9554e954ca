"""The packages of the pages. As a program, print those that this Python can install."""
import importlib.metadata
import re
import sys

import pages


def can_run(page):
    """Say whether a page is for this Python."""
    return sys.version_info >= (pages.python_needed(page) or (3,))


def of_pages():
    """Return the packages without those of pages that need a newer Python."""
    names = [name for page in [*pages.pages(), *pages.side_roads()] if can_run(page)
             for name in pages.packages_of(page)]
    return list(dict.fromkeys(names))


def are_installed(names):
    """Say whether the Python that runs the tests has packages."""
    try:
        for name in names:
            importlib.metadata.version(re.match(r'[\w.-]+', name)[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


if __name__ == '__main__':
    print(*of_pages(), sep='\n')
