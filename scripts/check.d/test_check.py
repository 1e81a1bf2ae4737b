"""Tests of the rules, on small trees: python3 -m unittest discover -s scripts/check.d"""

import pathlib
import tempfile
import unittest

import citations
import files
import imports
import scratch
import words
from tree import Swift, Tree

TABLE = "| module | job | may import |\n|---|---|---|\n| `A` | | |\n| `B` | | `A` |\n\nEvery module may import `Glibc`.\n"


class RuleTests(unittest.TestCase):
    def tree(self, contents: dict[str, str]) -> Tree:
        """A tree of files, by their paths."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        for path, text in contents.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Tree(root)

    def assertPlaces(self, problems, *places: str) -> None:
        self.assertEqual([f"{problem.file}:{problem.line}" for problem in problems], list(places))


class SwiftTests(unittest.TestCase):
    def test_comments_and_strings_are_no_code(self):
        source = Swift('let a = "b // c" // d\n/* e /* f */ g */ let h = #"i"j"#\n')
        self.assertEqual([line.split() for line in source.code], [["let", "a", "="], ["let", "h", "="], []])
        self.assertEqual([line.strip() for line in source.comments], ["// d", "/* e /* f */ g */", ""])

    def test_an_interpolation_is_code_and_the_string_goes_on_behind_it(self):
        source = Swift('let a = "b \\(c(d["e"])) // f" + g // h\nlet i = """\n  j \\(k)\n  // l\n  """\n')
        self.assertEqual(" ".join(source.code).split(), ["let", "a", "=", "c(d[", "])", "+", "g", "let", "i", "=", "k"])
        self.assertEqual("".join(source.comments).strip(), "// h")


class ImportTests(RuleTests):
    def test_an_import_that_the_table_does_not_have_is_found_with_its_line(self):
        tree = self.tree({
            "Sources/README.md": TABLE, "Sources/A/README.md": "", "Sources/B/README.md": "",
            "Sources/A/A.swift": "// A.\nimport Glibc\n@testable import B\n// import C\n", "Sources/B/B.swift": "// B.\nimport A\n"})
        self.assertPlaces(imports.problems(tree), "Sources/A/A.swift:3")

    def test_a_module_needs_a_row_and_a_readme_and_a_row_needs_its_module(self):
        tree = self.tree({"Sources/README.md": TABLE, "Sources/A/A.swift": "// A.\n", "Sources/C/C.swift": "// C.\n"})
        self.assertPlaces(imports.problems(tree), "Sources/A:1", "Sources/C:1", "Sources/README.md:4")

    def test_dependencies_that_lead_back_are_found(self):
        table = TABLE.replace("| `A` | | |", "| `A` | | `B` |")
        tree = self.tree({
            "Sources/README.md": table, "Sources/A/README.md": "", "Sources/B/README.md": "", "Sources/A/A.swift": "", "Sources/B/B.swift": ""})
        self.assertPlaces(imports.problems(tree), "Sources/README.md:3", "Sources/README.md:4")


class FileTests(RuleTests):
    def test_a_file_opens_with_an_ordinary_comment_of_one_line_or_more(self):
        tree = self.tree({
            "Sources/A/A.swift": "// What it is for.\nimport Glibc\n", "Sources/A/B.swift": "import Glibc\n",
            "Sources/A/C.swift": "/// A declaration's.\n", "Tests/ATests/D.swift": "\n// Too late.\n"})
        self.assertPlaces(files.openings(tree), "Sources/A/B.swift:1", "Sources/A/C.swift:1", "Tests/ATests/D.swift:1")

    def test_400_lines_are_allowed_and_401_are_not(self):
        tree = self.tree({"Sources/A/A.swift": "//\n" * 400, "Sources/A/B.swift": "//\n" * 401})
        self.assertPlaces(files.lengths(tree), "Sources/A/B.swift:401")


class WordTests(RuleTests):
    LIST = "# why\nLookout all DeferredDecoder\nGate code ConcurrencyLimiter  # why\n"

    def test_a_name_is_found_as_a_whole_word_only_where_its_row_says(self):
        tree = self.tree({
            "Sources/A/A.swift": '// A Lookout at the Gate.\nlet gate = Gate()\nlet a = "Gate", LookoutTower = 1\n',
            "README.md": "The Gate\nthe Lookout\n", "Tests/a.py": '"""Lookout"""\n'})
        self.assertPlaces(
            words.problems(tree, self.LIST), "Sources/A/A.swift:2", "Sources/A/A.swift:1", "README.md:2", "Tests/a.py:1")

    def test_the_list_in_the_repository_can_be_read(self):
        anywhere, code = words.read_list(words.LIST.read_text())
        self.assertIn("Lookout", anywhere)
        self.assertIn("Gate", code)
        self.assertFalse(anywhere.keys() & code.keys())


class ScratchTests(RuleTests):
    def test_scratch_is_named_by_its_owners_only(self):
        tree = self.tree({"Sources/A/Worker.swift": "worker.buffer\n", "Sources/A/Other.swift": "// worker.buffer\n\nmy.worker.buffer\n"})
        self.assertPlaces(scratch.problems(tree, r"worker\.buffer\b Sources/A/Worker.swift"), "Sources/A/Other.swift:3")


class CitationTests(RuleTests):
    ARTICLE = "# Metrics\n\n## Clocks\n\n## Counting tokens\n\n| 7 | a |\n| 8 | b |\n"

    def test_a_cited_document_heading_and_case_must_be_there(self):
        tree = self.tree({
            "Sources/tachograph/Documentation.docc/Metrics.md": self.ARTICLE,
            "Sources/A/A.swift": "// metrics.md\n"
            '/// See Documentation.docc/Metrics.md, "Clocks" and\n/// "Counting\n/// tokens".\n\n'
            '// Metrics.md, "Words".\n// Metrics.md, cases 7 to 9.\nlet a = "None.md"\n'})
        self.assertPlaces(citations.problems(tree), "Sources/A/A.swift:1", "Sources/A/A.swift:6", "Sources/A/A.swift:7")

    def test_a_source_file_that_is_named_must_be_there(self):
        tree = self.tree({"Sources/A/A.swift": "// Beside A.swift and B.swift.\n", "Sources/A/README.md": "A.swift\nC.swift\n"})
        self.assertPlaces(citations.problems(tree), "Sources/A/A.swift:1", "Sources/A/README.md:2")

    def test_a_link_must_lead_to_a_file_and_a_heading(self):
        tree = self.tree({
            "a/README.md": "[a](../b.md#two-words) [b](https://example.org/c.md)\n[c](../b.md#three)\n[d](d.md)\n", "b.md": "# Two Words\n"})
        self.assertPlaces(citations.problems(tree), "a/README.md:2", "a/README.md:3")


if __name__ == "__main__":
    unittest.main()
