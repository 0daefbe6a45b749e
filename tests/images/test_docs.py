import doctest
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pictures.md"


def test_the_examples_of_the_page_run():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False)
    assert tried > 3
    assert failed == 0
