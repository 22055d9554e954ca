"""Two small pages made up for the tests, wrong solutions for one, and a very small Nova."""

AREA = '''\
# 1. Area

```bash
python3 lessons/follow.py start 1 ../page-1
cd ../page-1
```

## Build it

The class. New file `shapes.py`:

```python
"""Shapes."""


class Square:
    def __init__(self, side):
        self.side = side

    def area(self):
        return 0


def unit():
    return Square(1)
```

```bash
python3 lessons/follow.py apply tools
python3 lessons/follow.py check
python3 lessons/follow.py nova nova/wsgi.py
git diff --stat
```

**Example 1. A square has an area.**

```pycon example
>>> import shapes
>>> square = shapes.Square(3)
>>> square.area()
9
```

**Example 2. The square stays as it was.**

```pycon example
>>> square.side
3
```

**Example 3. Half a square is none.** At least here.

```pycon example
>>> shapes.Square('a').area()
Traceback (most recent call last):
    ...
TypeError: can't multiply sequence by non-int of type 'str'
```

<details><summary>The solution</summary>

In `shapes.py`, in place of `Square.area`:

```python solution area
    def area(self):
        """Return the area."""
        return self.side * self.side
```

</details>

```bash
python3 lessons/follow.py check
```

```text
The examples of page 1, with your code:

  holds    Example 1. A square has an area.
  holds    Example 2. The square stays as it was.
  holds    Example 3. Half a square is none.

All examples hold.
```

`shapes.py` has now:

```python
    def area(self):
        """Return the area."""
```

## Break it

In `shapes.py`, in place of `unit`:

```python given broken
def unit():
    return Square()
```

```bash
python3 lessons/follow.py apply broken
```

```text
Changed: shapes.py
```

```pycon
>>> import shapes
>>> shapes.unit()
Traceback (most recent call last):
  ...
TypeError: Square.__init__() missing 1 required positional argument: 'side'
```

```bash
python3 lessons/follow.py apply broken -R
```

```text
Changed: shapes.py
```

## Your turn

**Task 1. A cube.**

```pycon turn
>>> import shapes
>>> shapes.Cube(2).volume()
8
```

<details><summary>An answer</summary>

In `shapes.py`, after `Square`:

```python given cube
class Cube:
    def __init__(self, side):
        self.side = side

    def volume(self):
        return self.side ** 3
```

```bash
python3 lessons/follow.py apply cube
grep Cube shapes.py
```

```text
Changed: shapes.py
class Cube:
```

</details>
'''

TOOLS = '''\
# Tools

New file `tools.py`:

```python
"""Tools, at localhost:8000."""
from shapes import unit

ONE = unit()
TWO = 2
```

In `auth.py`, the docstring:

```python
"""The filter."""
```

Sections of `configure.ini`:

```ini
[server:main]
paste.server_factory = server:server_factory
host = localhost
port = 8000
new = yes
```
'''

MOVED = '''\
# 2. Moved

This page needs Python 3.10 or newer.

```bash
python3 lessons/follow.py start 2 ../page-2
cd ../page-2
```

```bash
mkdir sub
git mv tools.py sub/tools.py
venv/bin/pip install -q 'PasteDeploy>=3' \\
    WebOb
venv/bin/pip install -q -r requirements.txt
```

Remove from `sub/tools.py`:

```text
TWO
```
'''

WRONG = '''\
# Wrong solutions

## It changes the square

Instead of area, stopped by example 2.

In `shapes.py`, in place of `Square.area`:

```python
    def area(self):
        self.side *= self.side
        return self.side
```

## It catches too much

Instead of `area`, stopped by example 3.

In `shapes.py`, in place of `Square.area`:

```python
    def area(self):
        try:
            return self.side * self.side
        except TypeError:
            return None
```

## It squares

Instead of cube, stopped by turn 1.

In `shapes.py`, after `Square`:

```python
class Cube(Square):
    volume = Square.area
```
'''

NOVA = {
    'nova/wsgi.py': '''\
# WSGI.
ROUTES = []


class Loader:
    """Load."""

    # Twice.
    @staticmethod
    def load(name):
        return name


def main():
    pass
''',
    'nova-34.0.0.data/data/etc/nova/api-paste.ini': '''\
############
# Metadata #
############
[composite:metadata]
use = egg:Paste#urlmap
/: meta

#############
# OpenStack #
#############

[pipeline:meta]
pipeline = cors metaapp
''',
}
