"""The rooms of surftrace.py: what stands where, and what may be done there. Each rule is a function from the source to
the complaints about it, and is tried on a source that breaks it."""
from __future__ import annotations

import ast
import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

import pytest

PATH = Path(__file__).resolve().parents[1] / 'surftrace.py'
ROOMS = ('Errors', 'Architectures', 'Types', 'ELF files', 'DWARF', 'BTF', 'Debug info', 'Expressions', 'Formats',
         'Resolve', 'Events', 'Counting', 'Pairs', 'Decoding', 'Listing', 'Completion', 'Plan', 'Tracefs', 'Recordings',
         'Command line')
BANNER = re.compile(r'^# ---- (.+?) -+$', re.MULTILINE)
LONGEST_FUNCTION, LONGEST_CLASS, WIDEST_LINE = 40, 350, 110

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

OUTSIDE = {   # the process's edges: output, arguments, environment, exit
    'print', 'exit', 'quit', 'SystemExit', 'sys.argv', 'sys.exit', 'sys.stdin', 'sys.stdout', 'sys.stderr',
    'os.environ', 'os.environb', 'os.getenv', 'os.putenv', 'os._exit',
}
WRITING = {   # opening for writing, and writing past Python's files
    'os.O_WRONLY', 'os.O_RDWR', 'os.O_APPEND', 'os.O_CREAT', 'os.O_TRUNC', 'os.write', 'os.chmod',
}
CHANGING = {   # changing the file system
    'os.mkdir', 'os.makedirs', 'os.rmdir', 'os.removedirs', 'os.remove', 'os.unlink', 'os.rename',
    'os.replace', 'os.truncate', 'tempfile.mkstemp', 'os.ftruncate', 'os.link', 'os.symlink', 'os.mkfifo', 'os.mknod', 'os.chown',
    'shutil.rmtree', 'shutil.move', 'shutil.copy', 'shutil.copy2', 'shutil.copyfile', 'shutil.copytree',
}
KEEPERS = {('Debug info', 'Debuginfod'), ('Command line', 'write_file')}    # what keeps files beside tracefs, and in which room
CHANGING_METHODS = {'mount', 'umount', 'umount2', 'mkdir', 'rmdir', 'unlink', 'touch', 'write_text', 'write_bytes'}


class Source:
    """A Python source with rooms."""

    def __init__(self, text: str) -> None:
        self.text, self.tree = text, ast.parse(text)
        self._banners = [(text.count('\n', 0, banner.start()) + 1, banner[1]) for banner in BANNER.finditer(text)]

    @property
    def rooms(self) -> tuple[str, ...]:
        """The names on the banners, from the top."""
        return tuple(name for _, name in self._banners)

    def number(self, line: int) -> int:
        """Which room a line is in; -1 is above the first banner."""
        return sum(start <= line for start, _ in self._banners) - 1

    def room(self, node: ast.AST) -> str:
        """The name of the room that a node is in."""
        number = self.number(node.lineno)
        return self.rooms[number] if number >= 0 else 'the top'

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes that have a place, in the order of their lines."""
        return sorted((node for node in ast.walk(self.tree) if hasattr(node, 'lineno')), key=lambda node: node.lineno)


# ---- the rules

def rooms_stand_in_order(source: Source) -> Iterator[str]:
    """The rooms are those of ROOMS, in that order."""
    if source.rooms != ROOMS:
        yield f'the rooms are {source.rooms}'


def names_come_from_above(source: Source) -> Iterator[str]:
    """A room uses only names of its own and of the rooms above it, in function bodies and annotations too."""
    defined: dict[str, int] = {}
    for name, line in _bound(source.tree):
        defined[name] = min(source.number(line), defined.get(name, len(source.rooms)))
    for name, line in _globals_used(source.tree, frozenset()):
        if defined.get(name, -1) > source.number(line):
            yield f'line {line}: {name} is of a later room, {source.rooms[defined[name]]}'


def names_are_defined_once(source: Source) -> Iterator[str]:
    """No room gives a second meaning to a name of all rooms, which the rooms above it would then have too."""
    defined: dict[str, int] = {}
    for statement in source.tree.body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Assign, ast.AnnAssign)):
            for name, line in _bound(ast.Module([statement], [])):
                if name in defined:
                    yield f'line {line}: {name} is defined in line {defined[name]}'
                defined[name] = line


def edges_are_in_the_command_line(source: Source) -> Iterator[str]:
    """Printing, arguments, environment and exiting belong to the last room; the top ends where Python is too old."""
    for node in source.nodes:
        for name in _named(node, OUTSIDE):
            if source.room(node) != 'Command line' and (source.room(node), name) != ('the top', 'sys.exit'):
                yield f'line {node.lineno}: {name} in {source.room(node)}'


def files_are_written_in_tracefs(source: Source) -> Iterator[str]:
    """Only Tracefs changes anything; Command line may write its pipes; the cache of debuginfod's clients is written by the class
    that is it, the file of -o by the function for that."""
    kept = {node for keeper in source.tree.body if (source.room(keeper), getattr(keeper, 'name', '')) in KEEPERS
            for node in ast.walk(keeper)}
    for node in source.nodes:
        if node in kept:
            continue
        changes = list(_named(node, CHANGING)) + _methods_called(node, CHANGING_METHODS)
        writes = list(_named(node, WRITING)) + _opens_for_writing(node)
        allowed = {'Tracefs': changes + writes, 'Command line': writes}.get(source.room(node), [])
        for name in (name for name in changes + writes if name not in allowed):
            yield f'line {node.lineno}: {name} in {source.room(node)}'


def functions_are_short(source: Source) -> Iterator[str]:
    """No function is longer than LONGEST_FUNCTION lines."""
    for node in source.nodes:
        if isinstance(node, FUNCTIONS) and node.end_lineno - node.lineno >= LONGEST_FUNCTION:
            yield f'line {node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines'


def classes_are_short(source: Source) -> Iterator[str]:
    """No class is longer than LONGEST_CLASS lines."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= LONGEST_CLASS:
            yield f'line {node.lineno}: {node.name} has {node.end_lineno - node.lineno + 1} lines'


def lines_are_narrow(source: Source) -> Iterator[str]:
    """No line has more than WIDEST_LINE columns, but for the rows of the tables in the language's reference."""
    for number, line in enumerate(source.text.split('\n'), 1):
        if len(line) > WIDEST_LINE and not line.startswith('| '):
            yield f'line {number}: {len(line)} columns'


def conditions_are_not_nested(source: Source) -> Iterator[str]:
    """No conditional expression stands in another; statements or a table say it."""
    for node in source.nodes:
        inside = [other for other in ast.walk(node) if isinstance(other, ast.IfExp)] if isinstance(node, ast.IfExp) else []
        if len(inside) > 1:
            yield f'line {node.lineno}: a conditional expression in another'


def elftools_is_imported_late(source: Source) -> Iterator[str]:
    """Only the rooms that read ELF and DWARF import elftools, in functions; the type checker may see it anywhere."""
    lazy = {node for function in source.nodes if isinstance(function, FUNCTIONS) for node in ast.walk(function)}
    checked = {node for test in source.nodes if isinstance(test, ast.If) and ast.unparse(test.test) == 'TYPE_CHECKING'
               for node in ast.walk(test)}
    for node in source.nodes:
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
            [node.module or ''] if isinstance(node, ast.ImportFrom) else []
        if not any(module.split('.')[0] == 'elftools' for module in modules):
            continue
        if node not in checked and (node not in lazy or source.room(node) not in ('ELF files', 'DWARF')):
            where = source.room(node) + ('' if node in lazy else ', not in a function')
            yield f'line {node.lineno}: elftools imported in {where}'


def public_things_have_docstrings(source: Source) -> Iterator[str]:
    """Public functions, classes and methods say what they are; a method may leave that to the one it overrides."""
    classes = {node.name: node for node in source.tree.body if isinstance(node, ast.ClassDef)}

    def inherited(owner: ast.ClassDef, name: str) -> bool:
        for base in (ast.unparse(base).split('[')[0] for base in owner.bases):
            if base in classes:
                known = any(isinstance(thing, FUNCTIONS) and thing.name == name for thing in classes[base].body)
                if known or inherited(classes[base], name):
                    return True
            elif '.' in base and hasattr(getattr(importlib.import_module(base.split('.')[0]), base.split('.')[1]), name):
                return True   # io.RawIOBase
        return False

    things = [(None, thing) for thing in source.tree.body]
    things += [(owner, thing) for name, owner in classes.items() if not name.startswith('_') for thing in owner.body]
    for owner, thing in things:
        if isinstance(thing, (*FUNCTIONS, ast.ClassDef)) and not thing.name.startswith('_') \
                and not ast.get_docstring(thing) and not (owner and inherited(owner, thing.name)):
            yield f'line {thing.lineno}: {thing.name} has no docstring'


def no_test_file_is_imported(source: Source) -> Iterator[str]:
    """What several test files use stands in a file that is no test."""
    for node in source.nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
        yield from (f'line {node.lineno}: {name} is imported' for name in names if name.startswith('test_'))


# ---- what the rules ask of the syntax

def _bound(scope: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a scope binds itself, and where; not those of the scopes inside it."""
    arguments = getattr(scope, 'args', None)
    if isinstance(arguments, ast.arguments):
        yield from ((node.arg, node.lineno) for node in ast.walk(arguments) if isinstance(node, ast.arg))
    inside = list(ast.iter_child_nodes(scope))
    while inside:
        node = inside.pop()
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name.split('.')[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno
        if not isinstance(node, SCOPES):
            inside += ast.iter_child_nodes(node)


def _globals_used(scope: ast.AST, local: frozenset[str]) -> Iterator[tuple[str, int]]:
    """The names used in a scope and in those inside it that no scope in between binds, and where."""
    visible = local
    if not isinstance(scope, ast.Module):
        declared = {name for node in ast.walk(scope) if isinstance(node, ast.Global) for name in node.names}
        local = (local | {name for name, _ in _bound(scope)}) - declared
        visible = visible if isinstance(scope, ast.ClassDef) else local   # methods do not see their class's names
    inside = list(ast.iter_child_nodes(scope))
    while inside:
        node = inside.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in local:
            yield node.id, node.lineno
        for annotation in _text_annotations(node):
            yield from ((name, node.lineno) for name, _ in _globals_used(annotation, local))
        if isinstance(node, SCOPES):
            yield from _globals_used(node, visible)
        else:
            inside += ast.iter_child_nodes(node)


def _text_annotations(node: ast.AST) -> Iterator[ast.AST]:
    """Annotations written as text, x: 'Struct', at this node."""
    for annotation in (getattr(node, 'annotation', None), getattr(node, 'returns', None)):
        for text in ast.walk(annotation) if annotation else ():
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                with contextlib.suppress(SyntaxError):   # of a Literal
                    yield ast.parse(text.value, mode='eval')


def _named(node: ast.AST, names: set[str]) -> Iterator[str]:
    """Which of NAMES a node names; `from os import write` names os.write."""
    if isinstance(node, (ast.Name, ast.Attribute)) and ast.unparse(node) in names:
        yield ast.unparse(node)
    if isinstance(node, ast.ImportFrom):
        yield from (f'{node.module}.{alias.name}' for alias in node.names if f'{node.module}.{alias.name}' in names)


def _methods_called(node: ast.AST, names: set[str]) -> list[str]:
    """Which of NAMES a node calls as a method of anything but a module."""
    method = node.func if isinstance(node, ast.Call) else None
    return [f'.{method.attr}()'] if isinstance(method, ast.Attribute) and method.attr in names \
        and ast.unparse(method) not in CHANGING else []


def _opens_for_writing(node: ast.AST) -> list[str]:
    """A call of open(), or of a method open(), whose mode is not one for reading."""
    function = ast.unparse(node.func) if isinstance(node, ast.Call) else ''
    if function == 'os.open' or not re.fullmatch(r'(.*\.)?(open|fdopen)', function):
        return []
    is_method = function not in ('open', 'io.open', 'os.fdopen')   # path.open(mode) or file.open(path, mode)
    modes = [word.value for word in node.keywords if word.arg == 'mode'] + node.args[0 if is_method else 1:][:1]
    return [f'open(..., {ast.unparse(mode)})' for mode in modes
            if not (isinstance(mode, ast.Constant) and re.fullmatch(r'[rbt]+', str(mode.value)))]


# ---- the tests

RULES = (rooms_stand_in_order, names_come_from_above, names_are_defined_once, edges_are_in_the_command_line, files_are_written_in_tracefs,
         functions_are_short, classes_are_short, lines_are_narrow, conditions_are_not_nested, elftools_is_imported_late,
         public_things_have_docstrings)
LEFT: dict[object, int] = {}         # how often a rule is still broken: only ever less


@pytest.fixture(scope='module')
def source() -> Source:
    """The source of surftrace."""
    return Source(PATH.read_text())


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_surftrace_keeps(rule: Callable[[Source], Iterator[str]], source: Source) -> None:
    complaints = list(rule(source))
    assert complaints[LEFT.get(rule, 0):] == [], complaints


@pytest.mark.parametrize('path', sorted(PATH.parent.glob('tests/test_*.py')), ids=lambda path: path.stem)
def test_a_test_file_imports_no_other(path: Path) -> None:
    assert list(no_test_file_is_imported(Source(path.read_text()))) == []


def rooms(**bodies: str) -> str:
    """A source with all rooms and these BODIES, whose keys are the rooms' names with _ for the blank."""
    return ''.join(f'# ---- {room} ----\n{bodies.get(room.replace(" ", "_"), "")}' for room in ROOMS)


GOOD = rooms(
    Errors='import os, sys\nclass Bad(Exception):\n    "Bad."\n',
    Types='class Type:\n    "A type."\n    size: int = 0\n    def name(self, Later: Bad) -> "Type | None":\n'
          '        "Its name."\n        return [Later for Later in os.listdir(Later)]\n',
    ELF_files='def elf(path, Plan=3):\n    "Reads."\n    from elftools.elf import elffile\n    return open(path, "rb"), Plan\n',
    DWARF='class Dwarf(Type):\n    "The DWARF."\n    def name(self, later):\n        return _private(later)\n'
          'def _private(x):\n    return x\n'
          'class Slice(io.RawIOBase):\n    "A part of a file."\n    def seek(self, x):\n        return x\n',
    Plan='Plan = Later = 1\n',
    Tracefs='def write(path):\n    "Writes."\n    os.mkdir(path)\n    path.open("w")\n    return os.open(path, os.O_WRONLY)\n',
    Command_line='def main():\n    "The command."\n    with open("script", "w") as file:\n        print(Type(), file=file)\n'
                 '    return Plan\nif __name__ == "__main__":\n    sys.exit(main())\n')


@pytest.mark.parametrize('rule', RULES, ids=lambda rule: rule.__name__)
def test_a_good_source_breaks_no_rule(rule: Callable[[Source], Iterator[str]]) -> None:
    assert list(rule(Source(GOOD))) == []


# (the rule, how it is broken, the source, the complaint); the banner of the first room is line 1, that of Plan line 14
BROKEN = (
    (rooms_stand_in_order, 'a room is missing', '# ---- Errors ---\n# ---- Types ---\n', "the rooms are ('Errors', 'Types')"),
    (rooms_stand_in_order, 'the last room is the first', ''.join(f'# ---- {room} ----\n' for room in ROOMS[::-1]),
     f'the rooms are {ROOMS[::-1]}'),

    (names_come_from_above, 'a name of a later room', rooms(Errors='def f(): return [later for x in y]\n', Plan='later = 1\n'),
     'line 2: later is of a later room, Plan'),
    (names_come_from_above, 'an annotation', rooms(Errors='def f(x: Later) -> None: pass\n', BTF='class Later: pass\n'),
     'line 2: Later is of a later room, BTF'),
    (names_come_from_above, 'an annotation as text', rooms(Errors='def f() -> "list[Later]": pass\n', BTF='class Later: pass\n'),
     'line 2: Later is of a later room, BTF'),
    (names_come_from_above, "a method's global, though its class has the name",
     rooms(Errors='class C:\n    NAME = 1\n    def f(self):\n        return NAME\n', Plan='NAME = 1\n'),
     'line 5: NAME is of a later room, Plan'),
    (names_come_from_above, 'a global statement', rooms(Errors='def f():\n    global X\n    X = X + 1\n', Plan='X = 1\n'),
     'line 4: X is of a later room, Plan'),

    (names_are_defined_once, 'a number', rooms(Errors='MOST = 64\n', Plan='MOST = 64\n'), 'line 19: MOST is defined in line 2'),
    (names_are_defined_once, 'a function', rooms(Errors='def f(): pass\nf = 3\n'), 'line 3: f is defined in line 2'),

    (edges_are_in_the_command_line, 'print', rooms(Plan='print(1)\n'), 'line 18: print in Plan'),
    (edges_are_in_the_command_line, 'stdout', rooms(Plan='sys.stdout.write("x")\n'), 'line 18: sys.stdout in Plan'),
    (edges_are_in_the_command_line, 'exit', rooms(Plan='raise SystemExit\n'), 'line 18: SystemExit in Plan'),
    (edges_are_in_the_command_line, 'environ by import', rooms(Plan='from os import environ\n'), 'line 18: os.environ in Plan'),
    (edges_are_in_the_command_line, 'argv above all rooms', 'import sys; sys.argv\n' + rooms(), 'line 1: sys.argv in the top'),

    (files_are_written_in_tracefs, 'open to write', rooms(Plan='open("x", "w")\n'), "line 18: open(..., 'w') in Plan"),
    (files_are_written_in_tracefs, 'open somehow', rooms(Plan='open("x", mode=mode)\n'), 'line 18: open(..., mode) in Plan'),
    (files_are_written_in_tracefs, 'path.open', rooms(Plan='path.open("r+")\n'), "line 18: open(..., 'r+') in Plan"),
    (files_are_written_in_tracefs, 'os.open', rooms(Plan='os.open(x, os.O_RDWR)\n'), 'line 18: os.O_RDWR in Plan'),
    (files_are_written_in_tracefs, 'write_text', rooms(Plan='path.write_text("")\n'), 'line 18: .write_text() in Plan'),
    (files_are_written_in_tracefs, 'mount of libc', rooms(Plan='libc.mount(b"")\n'), 'line 18: .mount() in Plan'),
    (files_are_written_in_tracefs, 'beside the cache', rooms(Debug_info='os.replace(a, b)\n'), 'line 8: os.replace in Debug info'),
    (files_are_written_in_tracefs, 'a cache elsewhere', rooms(Plan='class Debuginfod:\n    os.replace(a, b)\n'),
     'line 19: os.replace in Plan'),
    (files_are_written_in_tracefs, 'a folder removed by the command line', rooms(Command_line='os.rmdir("x")\n'),
     'line 21: os.rmdir in Command line'),

    (functions_are_short, 'a long function', rooms(Errors='def f():\n' + '    pass\n' * 40), 'line 2: f has 41 lines'),

    (classes_are_short, 'a long class', rooms(Errors='class C:\n' + '    pass\n' * 350), 'line 2: C has 351 lines'),

    (lines_are_narrow, 'a comment', rooms(Errors='x = 1  #' + ' x' * 60 + '\n'), 'line 2: 128 columns'),
    (lines_are_narrow, 'a docstring', rooms(Errors='def f():\n    """F.\n\n' + 'x' * 111 + '"""\n'), 'line 5: 114 columns'),
    (conditions_are_not_nested, 'in the branch', rooms(Errors='x = 1 if y else 2 if z else 3\n'),
     'line 2: a conditional expression in another'),
    (conditions_are_not_nested, 'in a text', rooms(Errors='x = f"{1 if y else 2}" if z else 3\n'),
     'line 2: a conditional expression in another'),

    (elftools_is_imported_late, 'at once', rooms(DWARF='import elftools.elf\n'),
     'line 6: elftools imported in DWARF, not in a function'),
    (elftools_is_imported_late, 'elsewhere', rooms(Plan='def f():\n    from elftools import dwarf\n'),
     'line 19: elftools imported in Plan'),

    (public_things_have_docstrings, 'a function', rooms(Errors='def f(): pass\n'), 'line 2: f has no docstring'),
    (no_test_file_is_imported, 'by name', 'import test_show\n', 'line 1: test_show is imported'),
    (no_test_file_is_imported, 'late', 'def f():\n    from test_show import LINES\n', 'line 2: test_show is imported'),

    (public_things_have_docstrings, 'a method', rooms(Errors='class C:\n    "C."\n    def f(self): pass\n'),
     'line 4: f has no docstring'),
)


@pytest.mark.parametrize(('rule', 'text', 'complaint'), [
    pytest.param(rule, text, complaint, id=f'{rule.__name__} - {how}') for rule, how, text, complaint in BROKEN])
def test_a_rule_is_seen_to_be_broken(rule: Callable[[Source], Iterator[str]], text: str, complaint: str) -> None:
    assert list(rule(Source(text))) == [complaint]
