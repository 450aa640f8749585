// What the review page draws of a row and of its decisions; every text becomes a text node.
const WIDE = 15; // columns that fit a window
export const number = (n) => n.toLocaleString("en");
export const rows = (n) => `${number(n)} row${n === 1 ? "" : "s"}`;
export const made = (tag, values = {}, ...inner) => {
  const { data = {}, ...rest } = values;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.dataset, data);
  node.append(...inner.filter((each) => each !== null && each !== undefined));
  return node;
};
export const WORDS = { release: "Released", reject: "Rejected", relabel: "Relabelled", correct: "Corrected", redact: "Redacted", approve: "Approved", undo: "Took back" };
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
export const told = (counts) => Object.entries(counts).map(([word, n]) => `${word} ${rows(n)}`).join(", ");
export const moment = (time) => time.replace("T", " ").replace("+00:00", " UTC");

export function decided(each) {
  const what = [each.approves == null ? null : "approved:", each.decision, each.column, each.value && `to “${each.value}”`].filter(Boolean).join(" ");
  const other = each.same === false ? ", when the row had other content" : "";
  return `${what} by ${each.by}, ${moment(each.time)}, entry ${each.entry} on run ${each.base}${other}${each.reason ? `: ${each.reason}` : ""}`;
}

export function why(item) {
  const cards = item.reasons.map((each) => made("li", { className: `card reason ${each.severity}` },
    made("p", { className: "says" }, each.evidence || each.means),
    each.evidence && each.means ? made("p", { className: "quiet" }, each.means) : null,
    each.suggestion ? made("p", { className: "do" }, each.suggestion) : null,
    made("p", { className: "quiet small" }, made("a", { href: `/rules/${encodeURIComponent(each.rule)}`, target: "_blank", rel: "noopener" }, each.rule),
      each.column ? ` in ${each.column}` : "", ` · ${each.severity} · score ${each.score.toPrecision(3)}`, each.p_value === null ? "" : ` · p ${each.p_value.toPrecision(2)}`)));
  return made("section", { ariaLabel: "Why" }, made("h3", {}, "Why"), made("ul", { className: "reasons" }, ...cards));
}

export function values(item, accused, reveal) {
  const last = (cell) => Number(!accused.has(cell.column));
  // of a wide row, what it is accused of comes first
  const cells = item.cells.length > WIDE ? item.cells.toSorted((a, b) => last(a) - last(b)) : item.cells;
  const lines = cells.map((cell) => {
    const text = made("span", { className: cell.masked ? "masked" : "" }, cell.missing ? "missing" : cell.text);
    if (cell.missing) text.className = "absent";
    const data = made("td", {}, text);
    if (cell.masked && !cell.missing) data.append(" ", opener(cell, text, "Show", "masked, ", reveal));
    else if (cell.cut) data.append("… ", opener(cell, text, "Show all", "", reveal), made("span", { className: "quiet" }, ` ${number(cell.length)} characters`));
    return made("tr", { className: accused.has(cell.column) ? "accused" : "", data: { column: cell.column } }, made("th", { scope: "row" }, cell.column), data);
  });
  const body = lines.length ? made("table", { className: "cells" }, made("caption", { className: "unseen" }, "Values of the row"), made("tbody", {}, ...lines))
    : made("p", { className: "quiet" }, "The row could not be split into cells, so it can only be rejected.");
  return made("section", { ariaLabel: "Values" }, made("h3", {}, "Values"), body);
}

function opener(cell, text, word, state, reveal) {
  const button = made("button", { type: "button", className: "link reveal", data: { masked: cell.masked ? "yes" : "" }, ariaLabel: `${word} ${cell.column} (${state}recorded in the ledger)` }, word);
  button.onclick = () => reveal(cell, text, button);
  return button;
}

// whom a decision on the row would contradict: who decided, or whose decision waits for approval
export function rival(item) {
  const last = item.state === "approval" ? item.opinions.at(-1) : item.decision;
  return last && !last.own ? last : null;
}

// what is said of an effect that one person alone does not have
// the columns that a row's reasons are about; a reason may name several
export const accusedOf = (item) => new Set(item.reasons.flatMap((each) => (each.column ? [each.column, ...each.column.split(/,\s*/)] : [])));
export const once = (item, decision, isTwo) => (isTwo && !(item.state === "approval" && rival(item)?.decision === decision) ? ", once two people say so" : "");

export const waits = (count) => (count === null ? ", which counts where two people say the same" : count ? ", which waits for a second person" : "");

const STATES = {
  one: ["Your opinion", "It counts once another person says the same; until then, nobody else sees it."],
  disagreement: ["Disagreement", "What two people say will count: another person decides, or one of these changes their mind."],
  approval: ["Waits for a second person", "Somebody other than this reviewer approves it, or overrules it."],
};

export function standing(item) {
  const parts = [];
  if (item.decision) parts.push(made("p", { className: "standing" }, made("strong", {}, "Decided: "), decided(item.decision)));
  if (item.state) {
    const [head, note] = STATES[item.state];
    parts.push(made("div", { className: `standing ${item.state}` }, made("strong", {}, head),
      made("ul", {}, ...item.opinions.map((each) => made("li", {}, decided(each)))), made("p", { className: "quiet small" }, note)));
  }
  return made("div", {}, ...parts);
}

// how many rows wait for another person, and how far two people agree
export function people(told, list) {
  if (!told) return [];
  const open = (count, words, state) => count ? made("button", { type: "button", className: "link", onclick: () => list(state) }, `${number(count)} ${words}`) : null;
  const one = told.reviewers < 2 ? null : `Two people decide each row, and neither sees what the other says. ${rows(told.one)} ${told.one === 1 ? "has" : "have"} one of two opinions.`;
  const lists = [open(told.disagreement, told.disagreement === 1 ? "disagreement" : "disagreements", "disagreement"),
    open(told.approval, told.approval === 1 ? "row waits for a second person" : "rows wait for a second person", "approval")].filter(Boolean);
  return [one && made("p", {}, one), lists.length ? made("p", {}, ...lists) : null, ...told.agreement.map((each) => made("p", {}, `${each}.`))].filter(Boolean);
}

export function past(item, ask) {
  const fates = made("details", { id: "fates" }, made("summary", {}, "Fates in all runs of this file ", made("kbd", {}, "h")), made("div", {}));
  fates.ontoggle = async () => {
    if (!fates.open || fates.dataset.ready) return;
    fates.dataset.ready = "1";
    const { ok, data } = await ask(`/rows/${item.row}/fates`);
    fates.lastChild.replaceChildren(ok ? made("ul", {}, ...data.fates.map((each) => made("li", {}, `${each.kind} ${each.run}: ${each.fate}, ${moment(each.time)}`))) : data.message);
  };
  const list = item.told.map((each) => made("li", {}, decided(each)));
  return made("section", { ariaLabel: "History" }, made("h3", {}, "History"),
    list.length ? made("ul", { className: "told" }, ...list) : made("p", { className: "quiet" }, "Nobody has decided about this row."), fates);
}

export function stopLine(rest) {
  const share = Math.max(0.1, 100 * rest.share).toFixed(rest.share < 0.01 ? 1 : 0);
  return made("li", { className: "stop" }, `You may stop here: the ${rows(rest.rows)} below are worth ${share} % of the whole review.`);
}
