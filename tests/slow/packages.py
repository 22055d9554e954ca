"""Print the packages of all pages that this Python can run: .ci/run installs them, once."""
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


if __name__ == '__main__':
    print(*of_pages(), sep='\n')
