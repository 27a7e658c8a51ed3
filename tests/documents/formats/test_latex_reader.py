"""LaTeX gives the cells LaTeX prints: merged cells, rules, the author's macros, bold, symbols; with lines."""

import time

import pytest

from trimtab.documents import reader
from trimtab.documents.formats import latex_table
from trimtab.documents.formats.cell_grid import RawCell

TABLE = r"""\documentclass{article}
\newcommand{\qwen}[1]{Qwen2.5-Coder-#1B} % a macro of the author's
\newcommand{\best}[1]{\textbf{#1}}
\begin{document}
\begin{table*}[t]
\centering\small
\caption{Earlier.}\label{tab:earlier}
\begin{tabular}{lr} \toprule a & b \\ \midrule x & 1 \\ \bottomrule \end{tabular}
\end{table*}
\begin{table}
\caption{Greedy pass@1 (\%) of open and closed models.}
\label{tab:main}
\resizebox{\linewidth}{!}{
\begin{tabular}{l|cc|cc}
\toprule
\multirow{2}{*}{Model} & \multicolumn{2}{c|}{\textsc{HumanEval Pro}} & \multicolumn{2}{c}{MBPP Pro} \\
\cmidrule(lr){2-3} \cmidrule(lr){4-5}
 & 0-shot & 1-shot & 0-shot & 1-shot \\ % a remark & more
\midrule
\multicolumn{5}{c}{\textit{Open models}} \\
\qwen{7} & $54.9 \pm 0.3$ & 61.0 & 61.4 & --- \\[2pt]
\rowcolor{gray!10} \qwen{32} & {\bf 61.6} (58.2) & 67.1 & 65.6
  & 70.10 \\
\midrule
\multicolumn{5}{c}{Closed models} \\
o1-mini & 76.2 & \best{84.8} & \cellcolor{red!5}68.3 & 81.2 \\
\bottomrule
\end{tabular}}
\end{table}
\end{document}
"""


def only_second_table(text):
    start = text.index(r"\begin{table*}")
    return text[:start] + text[text.index(r"\end{table*}") + 12 :]


def test_the_table(check_table):
    numbered = only_second_table(TABLE).replace(r"\caption", r"\caption", 1)
    document = check_table(numbered.replace("\\caption{Greedy", "\\caption{Table 2: Greedy"), "paper.tex")
    assert document.cells[0].position.line == numbered[: numbered.index("$54.9")].count("\n") + 1
    assert document.cells[7].position.line == document.cells[6].position.line + 1


def test_tables_are_numbered_as_latex_numbers_them(read_text):
    document = read_text(TABLE, "paper.tex")
    assert {(cell.table, cell.label) for cell in document.cells} == {(1, "Table 1"), (2, "Table 2")}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\'{e}l\`eve na\"ive", "élève naïve"),
        (r"50\,\% of \emph{all} $x_i^2$", "50 % of all x_i²"),
        (r"``quoted''--- \textbf{bold} {\it it}~and", "“quoted”— bold it and"),
        (r"$95.7^{2}$ and 95.7\textsuperscript{a}", "95.7² and 95.7ᵃ"),
        (r"$54.9_{\pm 0.3}$", "54.9 ± 0.3"),
        (r"$\frac{1}{2}$, $\times$, \url{http://x.y}", "1/2, ×, http://x.y"),  # noqa: RUF001
        (r"a\footnote{note \cite{k}.} b", "a b\nnote [k]."),
        (r"a\vspace{2cm} % not this" + "\nb", "a b"),
        (r"\iffalse not this \fi a \begin{comment}nor this\end{comment}", "a"),
        (r"see Table~\ref{t} \begin{table}\caption{C.}\label{t}\end{table}", "see Table 1"),
        (r"\newcommand{\m}[2][x]{#1-#2}\m{1} \m[y]{2}", "x-1 y-2"),
        (r"\def\m#1{<#1>}\m{a}", "<a>"),
        (r"\begin{itemize}\item one \item two\end{itemize}", "one\ntwo"),
    ],
)
def test_text_is_what_is_printed(read_text, source, text):
    assert read_text(source, "a.tex").text == text


def test_paragraphs_have_lines_and_sections(read_text):
    source = "\\title{T}\n\\section{A}\\label{s}\nOne. Two\nof it.\n\nThree.\n\\subsection*{B}\nFour.\n"
    document = read_text(source, "a.tex")
    assert [(span.section, span.text, span.position.line) for span in document.spans] == [
        ("", "A", 2),
        ("A", "One.", 3),
        ("A", "Two of it.", 3),
        ("A", "Three.", 6),
        ("A", "B", 7),
        ("A > B", "Four.", 8),
    ]
    assert document.title == "T"


def test_citations_say_who_and_when(read_text):
    source = r"""As \citet{zheng} say; \citep[see][]{zheng,yu}.
\begin{thebibliography}{2}
\bibitem[Zheng et~al.(2023)Zheng, Xia]{zheng} Q. Zheng. CodeGeeX, 2023.
\bibitem[{Yu}(2024)]{yu} Z. Yu. HumanEval Pro.
\end{thebibliography}"""
    document = read_text(source, "a.tex")
    assert document.spans[0].text == "As Zheng et al. (2023) say; (see Zheng et al., 2023; Yu, 2024)."
    assert [span.text for span in document.spans if span.kind == "reference"] == [
        "[zheng] Q. Zheng. CodeGeeX, 2023.",
        "[yu] Z. Yu. HumanEval Pro.",
    ]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (r"\textcolor{white}{X}", "white"),
        (r"{\color{white} X}", "white"),
        (r"\textcolor[rgb]{1,1,1}{X}", "white"),
        (r"{\fontsize{0.5pt}{1pt}\selectfont X}", "tiny"),
        (r"{\fontsize{.5pt}{1pt}\selectfont X}", "tiny"),
        (r"\phantom{X}", "phantom"),
    ],
)
def test_hidden_text_is_removed_and_reported(read_text, source, reason):
    document = read_text(f"seen {source} too \\colorbox{{black}}{{\\textcolor{{white}}{{on black}}}}", "a.tex")
    assert document.text == "seen too on black"
    assert [(text.reason, text.text, text.position.line) for text in document.hidden] == [(reason, "X", 1)]


def test_rows_kept_in_macros_nested_tabulars_and_rules_everywhere(read_text):
    source = r"""\newcommand{\rowof}[2]{#1 & #2 \\ \hline}
\begin{tabular}{|l|c|} \hline
\begin{tabular}{@{}l@{}}Model\\name\end{tabular} & \makecell{Score \\ (\%)} \\ \hline
\rowof{a}{1.0} \rowof{b}{2.0}
\end{tabular}"""
    document = read_text(source, "a.tex")
    assert [(cell.row_path, cell.column_path, cell.text, cell.unit) for cell in document.cells] == [
        (("a",), ("Score (%)",), "1.0", "%"),
        (("b",), ("Score (%)",), "2.0", "%"),
    ]


def test_a_macro_that_names_itself_ends(read_text):
    assert read_text(r"\newcommand{\m}{\m\m x}\m done", "a.tex").text.endswith("done")
    pairs = zip("abcdefghij", "bcdefghijk", strict=True)
    bomb = "".join(f"\\newcommand{{\\{name}}}{{{9 * (chr(92) + inner)}}}" for name, inner in pairs)
    assert read_text(bomb + r"\newcommand{\k}{lol} \a done", "a.tex").text.endswith("done")


def read(source):
    return reader.read_bytes(source.encode(), "paper.tex")


def values(source):
    return [(cell.table, *cell.row_path, *cell.column_path, cell.text) for cell in read(source).cells]


def test_a_table_in_a_cell_costs_only_its_own_cell():
    nested = r"\begin{tabular}{lc}Shots & n\\ none & 164\\ few & 20\end{tabular}"
    rows = rf"\toprule Model & Pass & Setting\\\midrule A & 71.3 & {nested}\\ B & 62.2 & plain\\"
    table = rf"\begin{{tabular}}{{lcc}}{rows}\end{{tabular}}"
    assert values(table) == [
        (1, "A", "Pass", "71.3"),
        (1, "B", "Pass", "62.2"),
        (1, "B", "Setting", "plain"),
        (2, "none", "n", "164"),
        (2, "few", "n", "20"),
    ]


def test_a_tabular_that_breaks_a_line_is_a_part_of_its_cell():
    head = r"\begin{tabular}[c]{@{}c@{}}Human\\ Eval\end{tabular}"
    spread = r"\begin{tabular}{@{}r@{}l@{}}71.3 & $\pm$ 0.4\end{tabular}"
    table = rf"\begin{{tabular}}{{lc}}\toprule Model & {head}\\\midrule A & {spread}\\ B & 62.2\\\end{{tabular}}"
    first, second = read(table).cells
    assert (first.column_path, str(first.number), str(first.spread)) == (("Human Eval",), "71.3", "0.4")
    assert second.text == "62.2"


def test_tables_side_by_side_in_one_that_lays_them_out():
    one, other = (
        rf"\begin{{tabular}}{{lc}}M & {name}\\ A & {value}\\\end{{tabular}}" for name, value in (("x", 1), ("y", 2))
    )
    assert values(rf"\begin{{table}}\begin{{tabular}}{{cc}}{one} & {other}\\\end{{tabular}}\end{{table}}") == [
        (2, "A", "x", "1"),
        (3, "A", "y", "2"),
    ]


def test_thousands_set_apart_by_a_thin_space_are_one_number():
    table = r"\begin{tabular}{lc}M & n\\ A & 37\,323\\ B & $1\,234\,567$\\ C & 12\,GB\\\end{tabular}"
    assert [str(cell.number) for cell in read(table).cells] == ["37323", "1234567", "12"]


def test_a_measurement_with_a_remark_names_no_row():
    table = r"\begin{tabular}{lll}Test & first & second\\\hline X & 0.027 (KW) & 0.014 (paired $t$)\\\end{tabular}"
    assert values(table) == [(1, "X", "first", "0.027 (KW)"), (1, "X", "second", "0.014 (paired t)")]


def test_floats_in_comments_are_not_counted():
    figure = r"\begin{table}\caption{T}\label{t}\begin{tabular}{lc}M & n\\ A & 1\\\end{tabular}\end{table}"
    commented = "% \\begin{table}\n% \\caption{old}\n% \\end{table}\n"
    assert read(f"{commented}{figure}\nSee Table~\\ref{{t}}.").text.endswith("See Table 1.")


def test_what_is_not_printed_and_what_is():
    source = r"""\begin{document}\pagestyle{empty}\section{The \texorpdfstring{$\delta$}{delta} rule}
Text\footnotemark[1].\footnotetext[1]{A note below.}\rule{1cm}{2pt}

\bibliographystyle{plain}\bibliography{refs}\end{document}"""
    assert read(source).text == "The delta rule\nText.\nA note below."


@pytest.mark.parametrize(
    "macro", ["href", "texorpdfstring", "textcolor", "frac", "multicolumn", "footnotetext", "sqrt"]
)
def test_a_macro_without_its_arguments_is_no_crash(macro):
    text = read(rf"\begin{{document}}Before {{bold \{macro}}} after.\end{{document}}").text
    assert text.startswith("Before bold")
    assert text.endswith("after.")


def test_of_changes_the_new_text_counts():
    source = r"A scores \replaced[id=kg]{71.3}{61.3}\added[id=kg]{ on HumanEval}\deleted[id=kg]{ and 9.9}."
    assert read(rf"\begin{{document}}{source}\end{{document}}").text == "A scores 71.3 on HumanEval."


MERGED = r"""\begin{tabular}{llc}\toprule Group & Model & Pass\\\midrule
%s & A & 71.3\\ %s & B & 62.2\\\midrule
%s & C & 51.3\\ %s & D & 42.2\\\end{tabular}"""


@pytest.mark.parametrize(
    "groups",
    [
        (r"\multirow{2}{*}{Open}", "", r"\multirow{2}{*}{Closed}", ""),
        ("", r"\multirow{-2}{*}{Open}", "", r"\multirow{-2}{*}{Closed}"),
        (r"\multirow{3}{*}{Open}", "", r"\multirow{9}{*}{Closed}", ""),  # what is written ends it
    ],
)
def test_a_merged_cell_covers_the_empty_places_below_or_above_it(groups):
    assert values(MERGED % groups) == [
        (1, "Open", "A", "Pass", "71.3"),
        (1, "Open", "B", "Pass", "62.2"),
        (1, "Closed", "C", "Pass", "51.3"),
        (1, "Closed", "D", "Pass", "42.2"),
    ]


def test_merged_cells_without_end_are_no_work_without_end():
    rows = [[RawCell(text="x", colspan=row + 1), RawCell(text="y", rowspan=99_999)] for row in range(20_000)]
    began = time.process_time()
    assert len(latex_table._merged(rows)) == len(rows)
    assert time.process_time() - began < 10


def test_a_table_set_as_a_figure_is_a_figure():
    table = r"\begin{tabular}{lc}M & n\\ A & 1\\\end{tabular}"
    floats = "".join(rf"\begin{{{kind}}}\caption{{C.}}{table}\end{{{kind}}}" for kind in ("table", "figure", "table"))
    assert [cell.label for cell in read(floats).cells] == ["Table 1", "Figure 1", "Table 2"]
    assert read(r"\begin{figure}\caption{C.}\end{figure}").text == "Figure 1: C."


def test_a_paragraph_that_begins_as_one_before_it_has_its_own_line():
    document = read("The first.\n\nThe \\emph{second}.\n\nThe \\emph{third}.")
    assert [span.position.line for span in document.spans] == [1, 3, 5]
