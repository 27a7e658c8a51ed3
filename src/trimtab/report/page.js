// Tooltips at once and in one style. Without this script the browser shows the same texts by itself.
const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
tip.setAttribute("role", "status");
document.body.append(tip);
const showTip = (text, x, y) => {
  tip.textContent = text;
  tip.hidden = false;
  const left = Math.min(x + 14, innerWidth - tip.offsetWidth - 8);
  const top = y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 12 : y + 18;
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${Math.max(8, top)}px`;
};
const hideTip = () => (tip.hidden = true);
for (const title of document.querySelectorAll("svg title")) {
  // A mark with numbers names the point under the pointer instead, see chart.js.
  if (!title.parentNode.dataset.mark) title.parentNode.dataset.tip = title.textContent;
  title.remove();
}
for (const cell of document.querySelectorAll("td[title]")) {
  cell.dataset.tip = cell.title;
  cell.removeAttribute("title");
}
document.addEventListener("pointermove", (event) => {
  const owner = event.target.closest && event.target.closest("[data-tip]");
  if (owner) showTip(owner.dataset.tip, event.clientX, event.clientY);
  else if (!event.target.closest || !event.target.closest("svg[role=application]")) hideTip();
});
// Of a filtered table, show only the rows whose first cell begins with one text.
for (const table of document.querySelectorAll("table.filtered")) {
  const rows = [...table.tBodies[0].rows];
  const word = (row) => row.cells[0].querySelector(".l0").textContent;
  const counts = new Map([["all", rows.length]]);
  for (const row of rows) counts.set(word(row), (counts.get(word(row)) || 0) + 1);
  const bar = document.createElement("div");
  bar.className = "filter";
  for (const [name, count] of counts) {
    const button = document.createElement("button");
    button.textContent = `${name} (${count})`;
    button.setAttribute("aria-pressed", String(name === "all"));
    button.addEventListener("click", () => {
      for (const other of bar.children) other.setAttribute("aria-pressed", String(other === button));
      for (const row of rows) row.hidden = name !== "all" && word(row) !== name;
    });
    bar.append(button);
  }
  table.parentNode.before(bar);
}
// A click on a head of a table of numbers sorts its rows by that column: numbers by value, words by letter.
for (const table of document.querySelectorAll("table.numbers")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.textContent) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent.trim();
      const number = (text) => parseFloat(text.replace("\u2212", "-").replace(",", ""));
      const order = (a, b) => {
        const [x, y] = [number(key(a)), number(key(b))];
        return isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
      };
      const rows = [...body.rows].sort(order);
      body.append(...(down ? rows.reverse() : rows));
    });
  });
}
