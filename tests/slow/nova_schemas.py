"""Hold responses to Nova's own schemas: python nova_schemas.py NOVA.whl

It reads a JSON list of [file, method, version, content] from stdin, and writes a JSON list with
the errors of each. file is one of nova/api/openstack/compute, and method one of its methods,
"ServersController.show", whose decorators say which schema is that of which microversions.

Nova's modules come from the wheel. What they need of Nova besides is very little, and stands
in here, because all of Nova needs a hundred packages more.
"""
import ast
import importlib
import json
import sys
import types
import zipfile

COMPUTE = 'nova/api/openstack/compute'
# Packages whose own __init__ imports the greater part of Nova.
BARE = ['nova', 'nova.api', 'nova.api.validation', 'nova.api.openstack',
        'nova.api.openstack.compute', 'nova.api.openstack.compute.schemas']
STAND_INS = {
    'nova.i18n': {'_': str},
    'nova.exception': {'InvalidName': type('InvalidName', (Exception,), {}),
                       'ValidationError': type('ValidationError', (Exception,), {})},
    'nova.objects': {},
    'nova.objects.instance': {'MAX_TAG_COUNT': 50},
    'nova.objects.tag': {'MAX_TAG_LENGTH': 60},
}


def prepare(wheel):
    """Let Nova's modules be imported from its wheel."""
    for name in BARE:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [f'{wheel}/{name.replace(".", "/")}']
    for name, values in STAND_INS.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(values)
    for name in [*BARE, *STAND_INS]:
        outside, _, last = name.rpartition('.')
        if outside:
            setattr(sys.modules[outside], last, sys.modules[name])


def schema_of(source, name, version):
    """Return the module and the name of the schema of a method's responses."""
    tree = ast.parse(source)
    outside, inside = name.split('.')
    body = next(node for node in tree.body if getattr(node, 'name', '') == outside).body
    method = next(node for node in body if getattr(node, 'name', '') == inside)
    for decorator in method.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(
                '.response_body_schema'):
            schema, *limits = decorator.args
            if covers([limit.value for limit in limits], version):
                return module_of(tree, schema.value.id), schema.attr
    raise LookupError(f'{name} has no schema for {version}')


def covers(limits, version):
    """Return whether a version is within limits: a first one, and perhaps a last one."""
    numbers = [tuple(map(int, text.split('.'))) for text in [version, *limits]]
    return numbers[1:2] <= numbers[:1] and (len(numbers) < 3 or numbers[0] <= numbers[2])


def module_of(tree, alias):
    """Return the module that a file imports by a name."""
    for node in tree.body:
        for name in getattr(node, 'names', []):
            if (name.asname or name.name) == alias:
                return f'{node.module}.{name.name}'
    raise LookupError(alias)


def main(wheel):
    prepare(wheel)
    validators = importlib.import_module('nova.api.validation.validators')
    archive, found = zipfile.ZipFile(wheel), []
    for file, method, version, content in json.load(sys.stdin):
        source = archive.read(f'{COMPUTE}/{file}').decode()
        module, name = schema_of(source, method, version)
        schema = getattr(importlib.import_module(module), name)
        validator = validators._SchemaValidator(schema).validator
        found.append([f'{name}: {"/".join(map(str, error.absolute_path))}: {error.message[:300]}'
                      for error in validator.iter_errors(content)])
    json.dump(found, sys.stdout)


if __name__ == '__main__':
    main(sys.argv[1])
