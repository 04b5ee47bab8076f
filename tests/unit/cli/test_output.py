from rich.console import RenderableType

from worker.cli.output import Listing, Screen, ago, listing, pairs, plain, when, whole


def test_control_characters_are_not_printed() -> None:
    assert plain("a\x1b[31mb\u202ec\nd") == "a?[31mb?c?d"


def test_a_missing_value_is_a_dash() -> None:
    assert [plain(None), plain(""), when(None), ago(None, 0)] == ["-"] * 4


def printed(renderable: RenderableType, width: int) -> list[str]:
    screen = Screen(width=width, force_terminal=True, color_system=None, markup=False, highlight=False)
    with screen.capture() as captured:
        screen.print(renderable)
    return captured.get().splitlines()


def table() -> Listing:
    one = listing("ID", "Count", "Reason", right=["Count"], fold=["Reason"])
    one.add_row("dl-1", "7", "the customer id is probably wrong")
    return one


def test_a_table_wraps_sentences_and_becomes_a_stack_where_it_does_not_fit() -> None:
    assert printed(table(), 80) == [
        "ID    Count  Reason",
        "dl-1      7  the customer id is probably wrong",
    ]
    assert printed(table(), 40) == [
        "ID    Count  Reason",
        "dl-1      7  the customer id is probably",
        "             wrong",
    ]
    assert printed(table(), 30) == [
        "ID      dl-1",
        "Count   7",
        "Reason  the customer id is",
        "        probably wrong",
        "",
    ]


def test_an_id_is_never_divided_even_if_it_has_spaces() -> None:
    assert printed(pairs([("account", whole("a b c d e f g h i j k l m n"))]), 20) == [
        "  account  a b c d e f g h i j k l m n"
    ]


def test_a_command_in_a_sentence_is_not_divided() -> None:
    lines = printed("The gate is closed. Later: nightly gate open toolbox", 40)
    assert lines == ["The gate is closed. Later:", "nightly gate open toolbox"]
