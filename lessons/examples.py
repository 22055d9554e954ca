"""Run examples on the code in the current folder. follow.py starts this with the folder's Python.

It reads a list of [title, examples] as JSON, and imports nothing of the lessons, so that the
modules of the folder may have any names.
"""
import builtins
import doctest
import json
import os
import re
import signal
import sys
import textwrap
import traceback

HERE = os.getcwd()
PRINT = print


def quiet_print(*args, **kwargs):
    """Print, unless it is the reader's own code that prints, to find a mistake."""
    if not sys._getframe(1).f_code.co_filename.startswith(f'{HERE}/'):
        PRINT(*args, **kwargs)


def shortened(got):
    """Leave only the lines about the reader's own files in a traceback."""
    others = rf'^  File "(?!{re.escape(HERE)}/(?!venv/|lessons/)).*\n(?:    .*\n)*'
    got = re.sub(others, '', got, flags=re.M).replace(f'{HERE}/', '')
    lines = got.splitlines(True)
    return got if len(lines) <= 40 else ''.join([*lines[:10], '  ...\n', *lines[-20:]])


class Runner(doctest.DocTestRunner):
    """Run examples up to the first that fails, and keep that one."""

    failure = None

    def report_failure(self, out, test, example, got):
        """Keep an example that gives something else."""
        self.failure = example, shortened(got)

    def report_unexpected_exception(self, out, test, example, exc_info):
        """Keep an example that raises an exception."""
        self.failure = example, shortened(''.join(traceback.format_exception(*exc_info)))


def stop_if_it_hangs(title):
    """Say so, and stop, if an example still runs after half a minute."""
    def stop(number, frame):
        PRINT(f'  hangs     {title}\n\nIs there an endless loop, or a thread that waits for a lock'
              ' which it holds already?', file=sys.__stdout__, flush=True)
        os._exit(1)
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)


def run(examples):
    """Run the examples in one session; return the title and the failure of the first that fails."""
    runner = Runner(verbose=False, optionflags=doctest.ELLIPSIS | doctest.FAIL_FAST)
    names, first = {'__name__': '__main__'}, None
    for title, text in examples:
        test = doctest.DocTestParser().get_doctest(text, {}, title, None, None)
        test.globs, runner.failure = names, None
        stop_if_it_hangs(title)
        runner.run(test, clear_globs=False)
        PRINT('  not yet ' if runner.failure else '  holds   ', title, flush=True)
        if runner.failure and not first:
            first = title, *runner.failure
    return first


def explain(title, example, got):
    """Say which line of an example fails, and how."""
    name = title.partition('.')[0]
    for words, text, nothing in [
            (f'{name} stops at this line:', example.source, ''),
            ('It should give', example.want, 'nothing, and run without an error'),
            ('With your code, it gives', got, 'nothing')]:
        PRINT(f'\n{words}\n\n{textwrap.indent(text.rstrip() or nothing, "    ")}')


def main():
    examples = json.load(sys.stdin)
    sys.path[0] = HERE
    sys.dont_write_bytecode = True
    builtins.print = quiet_print
    try:
        failed = run(examples)
        if failed:
            explain(*failed)
        sys.stdout.flush()
    except BrokenPipeError:         # the output goes to a program such as "head"
        failed = True
    os._exit(1 if failed else 0)    # even if threads of the reader's code go on


if __name__ == '__main__':
    main()
