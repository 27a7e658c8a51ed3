"""LaTeX gives the cells LaTeX prints: merged cells, rules, the author's macros, bold, symbols; with lines."""

import pytest

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
