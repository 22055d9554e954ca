"""The layers of the toy as it is after the last page: a module imports only what is below it."""
import ast

import pytest

import grown
import states

# What knows HTTP. Nothing outside api/ may import any of it, or api itself.
HTTP = {'webob', 'routes', 'simplejson', 'jsonschema'}
# What each package, or module at the top, may import of the others. A name with a dot is one
# module of a package.
COMMON = {'context', 'exception', 'log', 'policy', 'rpc'}
MAY_IMPORT = {
    'exception': set(),
    'log': set(),
    'policy': {'exception'},
    'context': {'policy', 'log'},
    'rpc': {'context', 'log'},
    'db': {'exception'},
    'virt': {'exception', 'compute.flavors'},
    'compute': {'exception', 'context', 'rpc'},
    'conductor': {'exception', 'context', 'rpc', 'compute.task_states', 'compute.utils',
                  'compute.vm_states'},
    'service': COMMON | {'compute', 'conductor', 'db', 'virt'},
    'api': COMMON | {'compute.flavors', 'compute.task_states', 'compute.vm_states', 'service'},
    'manage': {'context', 'db', 'compute.vm_states'},
    'server': {'log'},
    'gunicorn.conf': {'log'},
}


@pytest.fixture(scope='module')
def imports(tmp_path_factory):
    """Return {path: the dotted names that it imports} for the modules of the grown toy."""
    folder = tmp_path_factory.mktemp('layers') / 'end'
    grown.make(folder)
    return {path: imported(text) for path, text in states.files(folder).items()
            if path.endswith('.py')}


def imported(text):
    """Return the dotted names that a module imports. "from a import b" is a.b."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, 'a relative import: the test does not know where it leads'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


def part(path):
    """Return the package, or the module at the top, that a path is in."""
    return path.partition('/')[0].removesuffix('.py')


def within(name, parts):
    """Say whether a dotted name is one of some parts, or below one."""
    return any(name == other or name.startswith(f'{other}.') for other in parts)


def found(imports, is_wrong):
    """Return which module imports what it should not."""
    return [f'{path} imports {name}' for path, names in sorted(imports.items())
            for name in sorted(names) if is_wrong(part(path), name)]


def test_only_the_api_knows_http(imports):
    assert any(within(name, HTTP) for names in imports.values() for name in names)
    assert found(imports, lambda its, name: its != 'api' and within(name, HTTP | {'api'})) == []


def test_only_the_database_knows_sqlalchemy(imports):
    assert found(imports, lambda its, name: its not in ('db', 'manage')
                 and within(name, {'sqlalchemy'})) == []


def test_a_module_imports_only_what_is_below_it(imports):
    own = {part(path) for path in imports}
    assert own <= set(MAY_IMPORT), 'a part of the toy has no rule'
    assert found(imports, lambda its, name: name.partition('.')[0] in own
                 and not within(name, MAY_IMPORT[its] | {its})) == []
