"use strict";
// Sorting, filtering and opening; the page is complete without this script.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const number = (cell) => Number(cell.textContent.replaceAll(",", "").trim() || NaN);
  const made = (tag, values, ...inner) => {
    const node = Object.assign(document.createElement(tag), values);
    node.append(...inner);
    return node;
  };

  function compare(a, b, index) {
    const [x, y] = [a.cells[index], b.cells[index]];
    const [m, n] = [number(x), number(y)];
    if (!Number.isNaN(m) && !Number.isNaN(n)) return m - n;
    if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
    return x.textContent.localeCompare(y.textContent, "en");
  }

  function sort(table, header) {
    const body = table.tBodies[0];
    const up = header.ariaSort !== "ascending";
    const rows = [...body.rows].sort((a, b) => compare(a, b, header.cellIndex) * (up ? 1 : -1));
    for (const other of all("th", table.tHead)) other.ariaSort = null;
    header.ariaSort = up ? "ascending" : "descending";
    body.append(...rows);
  }

  function filterBox(label, items, text, noun) {
    const said = made("span", { role: "status", ariaLive: "polite" });
    const box = made("input", { type: "search", autocomplete: "off", spellcheck: false });
    const show = () => {
      const words = [...box.value.toLowerCase().matchAll(/"([^"]+)"|\S+/g)].map((m) => m[1] ?? m[0]);
      let count = 0;
      for (const item of items) {
        const has = text(item).toLowerCase();
        item.hidden = !words.every((word) => has.includes(word));
        count += !item.hidden;
      }
      said.textContent = words.length ? `${count} of ${items.length} ${noun}` : "";
    };
    box.addEventListener("input", show);
    return made("div", { className: "tools" }, made("label", {}, label + " ", box), said);
  }

  function enhance(table) {
    if (table.dataset.ready) return;
    table.dataset.ready = "1";
    for (const header of all("th", table.tHead)) {
      const button = made("button", { type: "button" }, ...header.childNodes);
      button.addEventListener("click", () => sort(table, header));
      header.append(button);
    }
    const rows = [...table.tBodies[0].rows];
    if (rows.length > 5) {
      const frame = table.closest(".rows") ?? table;
      frame.before(filterBox("Filter rows", rows, (row) => row.textContent, "rows"));
    }
  }

  for (const rule of all("details.rule")) {
    rule.addEventListener("toggle", () => all("table[data-sort]", rule).forEach(enhance), { once: true });
    if (rule.open) all("table[data-sort]", rule).forEach(enhance);
  }
  all("table[data-sort]").filter((table) => !table.closest("details")).forEach(enhance);

  const rules = document.getElementById("rule-list");
  const items = all("details.rule");
  if (rules && items.length > 5) {
    rules.before(filterBox("Filter rules", items, (item) => item.dataset.find, "rules"));
  }

  function reveal() {
    const target = location.hash && document.getElementById(location.hash.slice(1));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  }
  addEventListener("hashchange", reveal);
  if (location.hash) reveal();
})();
