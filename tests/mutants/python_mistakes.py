"""Makes the mutants of one Python module from its syntax tree."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant

_SWAPS: dict[type, list[type]] = {
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.Mult],
    ast.Pow: [ast.Mult],
    ast.BitOr: [ast.BitAnd],
}
_EXTREMES = {"min": "max", "max": "min"}
Change = Callable[[ast.AST], ast.AST | None]


def mutants_of(path: Path) -> list[Mutant]:
    """Return every mutant of a module, in the order of its lines."""
    text = path.read_text("utf-8")
    found = {}
    for number, (node, _) in enumerate(_nodes(ast.parse(text))):
        for change in _changes(node):
            tree = ast.parse(text)
            copy, replace = list(_nodes(tree))[number]
            before = ast.unparse(copy)
            replace(change(copy))
            mutated = ast.unparse(ast.fix_missing_locations(tree))
            after = ast.unparse(_nodes_at(tree, number))
            found[mutated] = Mutant(str(path.relative_to(ROOT)), getattr(node, "lineno", 0), before, after, mutated)
    return sorted(found.values(), key=lambda mutant: mutant.line)


def _nodes_at(tree: ast.AST, number: int) -> ast.AST:
    return list(_nodes(tree))[number][0]


def _nodes(parent: ast.AST) -> Iterator[tuple[ast.AST, Callable[[ast.AST | None], None]]]:
    """Yield each node that decides something, with a function to replace it."""
    for name, value in ast.iter_fields(parent):
        if name in {"annotation", "returns", "decorator_list"}:
            continue
        items = value if isinstance(value, list) else [value]
        for at, child in enumerate(items):
            if not isinstance(child, ast.AST) or _is_prose(child):
                continue

            def replace(new: ast.AST | None, at: int = at, name: str = name, value: object = value) -> None:
                if isinstance(value, list):
                    value[at] = new
                else:
                    setattr(parent, name, new)

            yield child, replace
            yield from _nodes(child)


def _is_prose(node: ast.AST) -> bool:
    """Whether the node is a docstring or a description."""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or (isinstance(node, ast.keyword) and node.arg in {"description", "repr"})


def _changes(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare():
            for at, other in [(at, other) for at, op in enumerate(node.ops) for other in _SWAPS.get(type(op), [])]:
                yield lambda copy, at=at, other=other: _with_operator(copy, at, other())
        case ast.UnaryOp(op=ast.Not()):
            yield lambda copy: copy.operand
        case ast.Constant():
            for value in _other_values(node.value):
                yield lambda copy, value=value: _with(copy, value=value)
        case ast.If() | ast.IfExp():
            for value in (True, False):
                yield lambda copy, value=value: _with(copy, test=ast.Constant(value))
        case _:
            for name, value in _other_fields(node):
                yield lambda copy, name=name, value=value: _with(copy, **{name: value})
            if _can_be_left_out(node):
                yield lambda _: ast.Pass()


def _other_fields(node: ast.AST) -> list[tuple[str, object]]:
    match node:
        case ast.BoolOp() | ast.BinOp():
            return [("op", other()) for other in _SWAPS.get(type(node.op), [])]
        case ast.Return(value=ast.expr()):
            return [("value", ast.Constant(None))]
        case ast.Name(id="min" | "max"):
            return [("id", _EXTREMES[node.id])]
    return []


def _can_be_left_out(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Call()) | ast.Assign(targets=[ast.Name() | ast.Subscript()]):
            return True
    return False


def _other_values(value: object) -> list[object]:
    match value:
        case bool():
            return [not value]
        case int():
            return [value + 1, value - 1]
        case float():
            return [value + 1]
        case str():
            return [value + "X"]
        case bytes():
            return [value + b"X"]
    return []


def _with(node: ast.AST, **fields: object) -> ast.AST:
    for name, value in fields.items():
        setattr(node, name, value)
    return node


def _with_operator(node: ast.AST, at: int, operator: ast.AST) -> ast.AST:
    node.ops[at] = operator
    return node
