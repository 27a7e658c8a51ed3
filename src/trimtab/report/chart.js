// Drawings with numbers: the point under the pointer or the keys says what it is, leads to its cells, and all of them
// can be had as a table. Nothing is fetched: the numbers stand in the page, beside the drawing.
const button = (words, act) => {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = words;
  made.addEventListener("click", act);
  return made;
};
const saveTable = (name, lines) => {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const text = lines.map((line) => line.map((value) => quoted(String(value ?? ""))).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text + "\r\n"], { type: "text/csv" }));
  link.download = `${name}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
};
const toolbar = (before, name, sizes, resize, lines) => {
  const bar = document.createElement("div");
  bar.className = "tools";
  let size = sizes.indexOf(1);
  const steps = [["smaller", -1], ["larger", 1]].map(([words, by]) =>
    button(words, () => {
      size += by;
      resize(sizes[size]);
      steps.forEach((step, place) => (step.disabled = sizes[size + (place ? 1 : -1)] === undefined));
    }));
  bar.append(...steps, button("numbers as CSV", () => saveTable(name, lines())));
  before.before(bar);
};
// What a mark is made of lies in the drawing: its circles, the corners of its line, or its lines of text.
const places = (element) => {
  const line = element.querySelector("path.line");
  if (line) return line.getAttribute("d").slice(1).split("L").map((pair) => pair.split(",").map(Number));
  const circles = [...element.querySelectorAll(".point"), ...element.querySelectorAll(".seed")];
  if (circles.length) return circles.map((circle) => ["cx", "cy"].map((key) => +circle.getAttribute(key)));
  return [...element.querySelectorAll("text")].map((text) => [text.getAttribute("x") - 6, text.getAttribute("y") - 4]);
};
for (const figure of document.querySelectorAll("figure")) {
  const block = figure.querySelector('script[type="application/json"]');
  if (!block) continue;
  const data = JSON.parse(block.textContent), svg = figure.querySelector("svg"), frame = svg.parentNode;
  const points = [];
  data.marks.forEach((mark, number) => {
    const at = places(svg.querySelector(`[data-mark="${number}"]`));
    mark.points.forEach((values, place) => {
      const links = (mark.links[place] || mark.links[0] || []).map((index) => data.links[index]);
      points.push({ number, place, names: mark.names, values, links, x: at[place][0], y: at[place][1] });
    });
  });
  const width = svg.viewBox.baseVal.width;
  const sizes = [0.35, 0.6, 1, 1.5, 2, 3];
  toolbar(frame, figure.dataset.name, sizes, (size) => {
    frame.classList.toggle("enlarged", size > 1);
    svg.style.maxWidth = "none";
    svg.style.width = `${width * size}px`;
  }, () => [
    [...data.columns, "cells"],
    ...points.map((point) => [...point.names, ...point.values, point.links.map(([name]) => name).join(" ")]),
  ]);
  const words = (point) => {
    const heads = data.columns.slice(point.names.length);
    const numbers = heads.flatMap((head, place) =>
      point.values[place] === null ? [] : [`${head}: ${point.values[place]}`.replace(/: -/, ": \u2212")]);
    const more = point.links.length > 4 ? [`and ${point.links.length - 3} more`] : [];
    const named = point.links.slice(0, more.length ? 3 : 4).map(([name, target]) => target[0] === "#" ? name : `cells/${name}`);
    return [point.names.join("; "), ...numbers, ...named, ...more].join("\n");
  };
  const ring = document.createElementNS(svg.namespaceURI, "circle");
  ring.setAttribute("class", "ring");
  ring.setAttribute("r", 7);
  let chosen = null;
  const choose = (point) => {
    chosen = point;
    if (!point) return ring.remove(), hideTip();
    ring.setAttribute("cx", point.x);
    ring.setAttribute("cy", point.y);
    svg.append(ring);
    const box = ring.getBoundingClientRect();
    showTip(words(point), box.right, box.bottom);
  };
  const nearest = (event) => {
    const matrix = svg.getScreenCTM();
    const far = (point) => Math.hypot(matrix.a * point.x + matrix.e - event.clientX, matrix.d * point.y + matrix.f - event.clientY);
    const first = points.reduce((best, point) => (far(point) < far(best) ? point : best));
    return far(first) < 40 ? first : null;
  };
  const picked = document.createElement("div");
  picked.className = "picked";
  picked.setAttribute("role", "group");
  picked.setAttribute("aria-label", "cells of the chosen point");
  picked.hidden = true;
  frame.after(picked);
  const close = () => {
    picked.hidden = true;
    svg.focus({ preventScroll: true });
  };
  picked.addEventListener("keydown", (event) => event.key === "Escape" && close());
  // One cell: there at once. Several: a list of them, with the first under the next press of Enter.
  const open = (point) => {
    if (!point || !point.links.length) return;
    if (point.links.length === 1) {
      const target = point.links[0][1];
      if (target[0] === "#") for (const folded of document.querySelectorAll(`${target} details`)) folded.open = true;
      location.href = target;
      return;
    }
    const list = document.createElement("ul");
    for (const [name, target] of point.links) {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = target;
      link.textContent = name;
      item.append(link);
      list.append(item);
    }
    const told = document.createElement("p");
    told.textContent = `${point.names.join("; ")}, ${point.values[0]}: its cells`;
    picked.replaceChildren(told, list, button("close", close));
    picked.hidden = false;
    choose(null);
    list.querySelector("a").focus();
  };
  frame.removeAttribute("tabindex");
  svg.setAttribute("tabindex", "0");
  svg.setAttribute("role", "application");
  svg.setAttribute("aria-label", `${svg.getAttribute("aria-label")}. Arrow keys go from point to point, Enter opens its cells.`);
  svg.addEventListener("pointermove", (event) => choose(nearest(event)));
  svg.addEventListener("pointerleave", () => choose(null));
  svg.addEventListener("blur", () => choose(null));
  svg.addEventListener("click", (event) => open(nearest(event)));
  svg.addEventListener("keydown", (event) => {
    const at = points.indexOf(chosen);
    const beside = (by) => points.find((point) => point.number === chosen.number + by && point.place === chosen.place)
      || points.find((point) => point.number === chosen.number + by);
    if (event.key === "Enter") open(chosen);
    else if (event.key === "Escape") choose(null);
    else if (event.key === "Home" || (!chosen && event.key.startsWith("Arrow"))) choose(points[0]);
    else if (event.key === "End") choose(points[points.length - 1]);
    else if (event.key === "ArrowRight") choose(points[at + 1] || chosen);
    else if (event.key === "ArrowLeft") choose(points[at - 1] || chosen);
    else if (event.key === "ArrowDown") choose(beside(1) || chosen);
    else if (event.key === "ArrowUp") choose(beside(-1) || chosen);
    else return;
    event.preventDefault();
    if (chosen) ring.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (chosen) choose(chosen);
  });
}
