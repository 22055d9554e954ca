"""The benchmark runs, and prints its tables. What the figures are is no test."""
import re

import benchmark


def test_the_benchmark_prints_its_tables(monkeypatch, capsys):
    for name, small in [('SIZES', [3, 5]), ('TURNS', 1), ('CALLS', 2), ('SECONDS', 0.1)]:
        monkeypatch.setattr(benchmark, name, small)
    benchmark.main()
    lines = capsys.readouterr().out.splitlines()
    actions = [line.split()[0] for line in lines if re.match(r'\w+ +[\d.,]+ +[\d.,]+ +[\d.,]+$', line)]
    assert actions == ['index', 'show', 'create', 'update', 'delete',
                       'show', 'create', 'update', 'delete', 'index']
    for clients in '1 client', '16 clients':
        assert sum(bool(re.match(rf'.*, {clients} +[\d.]+ ', line)) for line in lines) == 2
    assert lines[-1].endswith('times as much') or 'does not tell' in lines[-1]
