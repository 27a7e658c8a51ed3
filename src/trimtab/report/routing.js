// Heat maps of layers and experts from the numbers in the page; every value is a ratio to an even share.
const routing = JSON.parse(document.getElementById("routing-data").textContent);
const choose = (id) => document.getElementById(id);
const domainBox = choose("domain"), measureBox = choose("measure"), fromBox = choose("from"), toBox = choose("to");
const sortBox = choose("sort"), map = choose("map"), rows = choose("layer-rows");
const option = (box, value, label) => {
  const element = document.createElement("option");
  element.value = value;
  element.textContent = label;
  box.append(element);
};
for (const name of Object.keys(routing.domains)) option(domainBox, name, name);
for (const [name, label] of Object.entries(routing.measures)) option(measureBox, name, label);
const numbers = routing.layers.map((layer) => layer.layer);
fromBox.value = Math.min(...numbers);
toBox.value = Math.max(...numbers);
const color = (ratio) => {
  const size = Math.min(1, Math.abs(Math.log2(Math.max(ratio, 1e-9))) / 3);
  const rgb = ratio >= 1 ? [214, 105, 15] : [33, 102, 172];
  return `rgb(${rgb.join(" ")} / ${(0.06 + 0.9 * size).toFixed(3)})`;
};
const cell = (row, text) => {
  const element = document.createElement("td");
  element.textContent = text;
  row.append(element);
  return element;
};
const values = (layer) => {
  const of = layer.domains[domainBox.value];
  return (of && of[measureBox.value]) || layer.health[measureBox.value] || null;
};
const draw = () => {
  const shown = routing.layers.filter((layer) => layer.layer >= +fromBox.value && layer.layer <= +toBox.value);
  const table = document.createElement("table");
  for (const layer of shown) {
    const found = values(layer);
    const row = document.createElement("tr");
    const name = document.createElement("th");
    name.textContent = `layer ${layer.label}`;
    row.append(name);
    if (layer.silent) row.className = "silent";
    const order = [...Array(layer.experts).keys()];
    if (found && sortBox.checked) order.sort((a, b) => (found[b] ?? -1) - (found[a] ?? -1));
    for (const expert of order) {
      const value = found ? found[expert] : null;
      const box = cell(row, "");
      Object.assign(box.dataset, { layer: layer.layer, expert });
      if (value === null || value === undefined) {
        box.className = "none";
        box.dataset.tip = `layer ${layer.label}, expert ${expert}\nnot measured`;
        continue;
      }
      box.style.background = color(value);
      if (measureBox.value === "load" && value < 0.1) box.className = "dead";
      box.dataset.tip = `layer ${layer.label}, expert ${expert}\n${value.toPrecision(3)} × an even share`;
    }
    table.append(row);
  }
  map.replaceChildren(table);
  rows.replaceChildren();
  for (const layer of shown) {
    const row = document.createElement("tr");
    const words = layer.rows[domainBox.value] || [];
    for (const word of words) cell(row, word);
    row.dataset.layer = layer.layer;
    row.tabIndex = -1;
    rows.append(row);
  }
};
for (const box of [domainBox, measureBox, fromBox, toBox, sortBox]) box.addEventListener("input", draw);
draw();
// Arrow keys go from expert to expert; Enter or a click leads to the row of the layer's numbers.
let at = null;
const boxes = () => [...map.querySelectorAll("td")];
const point = (box) => {
  if (at) at.classList.remove("chosen");
  at = box;
  if (!box) return hideTip();
  box.classList.add("chosen");
  box.scrollIntoView({ block: "nearest", inline: "nearest" });
  const edge = box.getBoundingClientRect();
  showTip(box.dataset.tip, edge.right, edge.bottom);
};
const lead = (box) => {
  if (!box) return;
  const row = rows.querySelector(`tr[data-layer="${box.dataset.layer}"]`);
  row.scrollIntoView({ block: "nearest" });
  row.focus();
};
map.addEventListener("click", (event) => lead(event.target.closest("td")));
map.addEventListener("blur", () => point(null));
map.addEventListener("keydown", (event) => {
  const all = boxes(), place = all.indexOf(at);
  const below = (by) => {
    const other = at.parentNode.parentNode.rows[at.parentNode.rowIndex + by];
    return other && other.cells[Math.min(at.cellIndex, other.cells.length - 1)];
  };
  if (event.key === "Enter") lead(at);
  else if (event.key === "Escape") point(null);
  else if (event.key.startsWith("Arrow") && place < 0) point(all[0]);
  else if (event.key === "ArrowRight") point(all[place + 1] || at);
  else if (event.key === "ArrowLeft") point(all[place - 1] || at);
  else if (event.key === "ArrowDown") point(below(1) || at);
  else if (event.key === "ArrowUp") point(below(-1) || at);
  else return;
  event.preventDefault();
});
toolbar(map, "routing", [0.6, 1, 1.5, 2.2, 3.2], (size) => map.style.setProperty("--size", `${17 * size}px`), () => [
  ["domain", "measure", "layer", "expert", "over an even share"],
  ...routing.layers.filter((layer) => layer.layer >= +fromBox.value && layer.layer <= +toBox.value).flatMap((layer) =>
    (values(layer) || []).map((value, expert) => [domainBox.value, measureBox.value, layer.label, expert, value])),
]);
