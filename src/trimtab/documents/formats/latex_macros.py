r"""What LaTeX macros and environments take and what they print, beyond what pylatexenc knows of them.

A macro is followed by its arguments as pylatexenc writes them: ``{`` mandatory, ``[`` optional, ``*`` a star.
One without arguments that nobody knows prints nothing, so ``\toprule`` or ``\centering`` stand nowhere here.
"""

from __future__ import annotations

import re
from typing import Final


def _table(text: str) -> dict[str, str]:
    """Return names and their arguments."""
    return dict(re.findall(r"([A-Za-z]+|[,;:])([*\[{]*)\s*", text))


NOTHING: Final = _table(
    """addtolength{{ author[{ bibliography{ bibliographystyle{ cellcolor[{ color[{ columncolor[{ date{ documentclass[{
    fontsize{{ footnotemark[ include{ includegraphics*[[{ index{ input{ item[ label{ maketitle pagestyle{ rowcolor[{
    rule[{{ setcounter{{ setlength{{ thispagestyle{ tnote{ usepackage[{"""
)
SPACE: Final = _table(", ; : enspace hspace*{ linebreak newline par qquad quad tabularnewline vspace*{")
LAST_ARGUMENT: Final = _table(
    """added[{ adjustbox{{ caption*[{ captionof*{[{ colorbox[{{ fcolorbox[{{{ href[{{ makebox[[{ makecell*[{
    multicolumn{{{ multirow[{[{[{ num[{ parbox[[[{{ raisebox{[[{ resizebox*{{{ rotatebox[{{ scalebox{[{ shortstack[{
    textcolor[{{ texorpdfstring{{ thead*[{ title[{"""
)
FOOTNOTES: Final = _table("footnote[{ footnotetext[{ tablefootnote{ thanks{")
STRUCK: Final = _table("bcancel{ cancel{ deleted[{ hcancel{ sout{ st{ strike{ xcancel{ xout{")
BOLD: Final = _table("bm{ boldsymbol{ mathbf{ textbf{")
FRACTIONS: Final = _table("dfrac{{ frac{{ nicefrac{{ sfrac{{ tfrac{{")
REFERENCES: Final = _table("Cref{ autoref{ cref{ eqref{ ref{")
PHANTOMS: Final = _table("hphantom{ phantom{ vphantom{")
CITES: Final = _table(
    """autocite*[[{ cite*[[{ citealp*[[{ citealt*[[{ citeauthor*[[{ citep*[[{ citet*[[{ citeyear*[[{ parencite*[[{
    textcite*[[{"""
)
OTHERS: Final = _table(
    """SI[{{ bibitem[{ paragraph*[{ replaced[{{ subcaption*{ subparagraph*[{ subsubsection*[{ textsubscript{
    textsuperscript{ uline{ underline{"""
)
ENVIRONMENTS: Final = {"tabular*": "{[{"} | _table(
    """adjustbox{ array[{ longtable[{ longtabu{ minipage[[[{ subtable[{ supertabular{ tabu{ tabular[{ tabularx{[{
    tabulary{[{ thebibliography{ wraptable[{[{"""
)
TABULARS: Final = frozenset(name for name in ENVIRONMENTS if "tab" in name) - {"wraptable", "subtable"}
SILENT: Final = NOTHING | STRUCK
_READ: Final = LAST_ARGUMENT | FOOTNOTES | BOLD | FRACTIONS | REFERENCES | PHANTOMS | CITES | OTHERS
ALL: Final = SILENT | SPACE | _READ
