// The clean rows most like the row that is shown, and what would make it pass.
import { made } from "./row.js";

const LATER = 300; // ms; rows that are passed over quickly cost nothing

export function near(item, ask) {
  const body = made("p", { className: "quiet" }, "…");
  const part = made("section", { id: "near", ariaLabel: "Clean rows like it" }, made("h3", {}, "Clean rows like it"), body);
  setTimeout(async () => {
    if (!part.isConnected) return;
    const { ok, data } = await ask(`/rows/${item.row}/near`);
    if (ok) body.replaceWith(...drawn(data));
    else body.textContent = data.message;
  }, LATER);
  return part;
}

function drawn({ passing, near: rows }) {
  const like = rows.map((each) => made("li", {}, made("strong", {}, `Row ${each.row}`), ` ${each.distance.toFixed(3)} apart${each.cells.length ? ": " : ""}`,
    each.cells.map((cell) => `${cell.column} ${cell.text || "missing"}`).join(", ")));
  return [
    passing.length ? made("p", {}, made("strong", {}, "To pass: "), passing.join("; ")) : "",
    like.length ? made("ul", { className: "told" }, ...like) : made("p", { className: "quiet" }, "There is none to compare it with."),
  ];
}
