"""Tables in Markdown."""

from vdd import markdown


def test_a_table_has_a_head_a_line_and_rows_of_any_cells():
    text = markdown.table(("", "bits"), iter([("motion", 2), ("content", None)]))
    assert text.splitlines() == [
        "|  | bits |",
        "| --- | --- |",
        "| motion | 2 |",
        "| content | None |",
    ]


def test_rows_may_be_printed_after_the_head():
    whole = markdown.table(iter("ab"), [(1, 2)])
    assert whole == "\n".join([markdown.table("ab"), markdown.row((1, 2))])
