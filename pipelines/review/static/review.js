// The review page: shows one row after the other and sends decisions; cells only ever become text.
import { near } from "./near.js";
import { WORDS, accusedOf, decided, made, number, once, past, people, rival, rows, sentence, standing, stopLine, told, values, waits, why } from "./row.js";

const desk = document.getElementById("desk");
const { run, csrf, must, release, off } = desk.dataset;
const api = `/api/runs/${run}`;
const SHOWN = 30_000; // milliseconds that a cell stays open
const AHEAD = 8; // rows fetched before they are needed
const FEW = 4; // of them, when more are fetched
const byId = (id) => document.getElementById(id);
const now = { groups: [], stop: 0, rest: null, more: 0, group: null, item: null, ahead: [], last: null, rows: {}, waiting: 0 };
const busy = new Set(); // rows whose decision is on its way
const mine = new Map(); // entries of this page -> the row they were about
let hide = null; // hides the cell that is open
let turn = 0; // counts what is shown, so that a late answer does not replace a newer one
let filling = null;

// talking to the server
async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body),
    headers: { "content-type": "application/json", "x-assay-csrf": csrf },
  };
  try {
    const answer = await fetch(api + path, { ...options, cache: "no-store" });
    return { status: answer.status, ok: answer.ok, data: await answer.json() };
  } catch {
    const message = "The server does not answer. If it was stopped, start `assay review` again; nothing more was recorded.";
    return { status: 0, ok: false, data: { message } };
  }
}
function say(text) { byId("said").textContent = text; }
function warn(data) {
  const box = byId("alert");
  box.hidden = !data;
  box.textContent = data ? [data.message, data.fix].filter(Boolean).map(sentence).join(" ") : "";
  if (data) { say(""); byId("acts").hidden = false; }
}

// what waits
function take(data) {
  if (!data.rows) return;
  const { waiting, rows: counts, last } = data;
  Object.assign(now, { waiting, rows: counts, last, two: data.people?.reviewers === 2 });
  byId("waiting").textContent = waiting ? `${rows(waiting)} to decide` : "Nothing waits";
  for (const fate of Object.keys(counts)) byId(`n-${fate}`).textContent = number(counts[fate]);
  byId("do-undo").disabled = !last;
  byId("people").replaceChildren(...people(data.people, listPending));
  byId("do-undo").title = last ? `Take entry ${last.entry} back (${told(last.counts)})` : "You have no decision to take back";
  if (now.item) tellEffect(now.item);
}
async function loadGroups() {
  const { ok, data } = await ask("/groups");
  if (!ok) return warn(data);
  take(data);
  Object.assign(now, { groups: data.groups, stop: data.stop, rest: data.rest, more: data.more });
  drawGroups();
}
function drawGroups() {
  const list = [];
  now.groups.forEach((group, place) => {
    if (place === now.stop && place > 0) list.push(stopLine(now.rest));
    const [first, ...others] = group.reasons;
    const where = first.column ? ` in ${first.column}` : "";
    const button = made("button", { type: "button", className: "group", onclick: () => openGroup(group.group) },
      made("span", { className: "count" }, number(group.rows)),
      made("span", { className: "rule" }, first.rule, made("span", { className: "quiet" }, where)),
      made("span", { className: "words" }, first.evidence || first.means),
      made("span", { className: "marks" }, made("span", { className: `tag ${group.fate}` }, group.fate === "clean" ? "clean, warned" : group.fate),
        others.length ? made("span", { className: "quiet" }, ` and ${others.length} more reason${others.length === 1 ? "" : "s"}`) : null));
    if (group.group === now.group) button.setAttribute("aria-current", "true");
    list.push(made("li", {}, button));
  });
  if (now.more) list.push(made("li", { className: "stop" }, `${number(now.more)} more groups come up as these are decided.`));
  byId("group-list").replaceChildren(...list);
  byId("n-groups").textContent = now.groups.length ? number(now.groups.length + now.more) : "";
  if (now.item && byId("left")) byId("left").textContent = left(now.item);
  byId("group-list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

// going from row to row
async function openGroup(id) {
  Object.assign(now, { group: id, ahead: [], end: false });
  drawGroups();
  await fill(-1);
  if (now.group !== id) return;
  const item = now.ahead.shift();
  if (item) show(item); else await onward();
}
async function fill(after) {
  const group = now.group;
  filling = ask(`/groups/${group}/rows?after=${after}&most=${AHEAD}`);
  const { ok, data } = await filling;
  filling = null;
  if (!ok) return warn(data);
  if (group !== now.group) return;
  take(data);
  const known = new Set(now.ahead.map((each) => each.row));
  now.end = data.items.length < AHEAD;
  now.ahead.push(...data.items.filter((each) => !known.has(each.row) && !busy.has(each.row)));
}
async function next() {
  if (!now.item) return false;
  if (!now.ahead.length) { if (filling) await filling; await fill(now.item.row); }
  const item = now.ahead.shift();
  if (item) show(item);
  else say("This is the last row of the group that waits; n goes to the next group.");
  return Boolean(item);
}
async function previous() {
  if (!now.item || !now.group) return;
  const { ok, data } = await ask(`/groups/${now.group}/rows?before=${now.item.row}&most=1`);
  if (!ok) return warn(data);
  if (!data.items.length) return say("This is the first row of the group that waits.");
  if (now.item.waits) now.ahead.unshift(now.item);
  show(data.items[0]);
}
function besides(step) {
  const at = now.groups.findIndex((each) => each.group === now.group);
  const to = now.groups[at + step];
  if (to) return openGroup(to.group);
  say(step > 0 ? "This is the last group." : "This is the first group.");
}
// after a decision: the next row of the group, else of the first group left below, else the first
async function onward() {
  now.idle = false;
  const before = now.groups.findIndex((each) => each.group === now.group);
  await loadGroups();
  const same = now.groups.findIndex((each) => each.group === now.group);
  const at = Math.max(0, same < 0 ? before : same);
  for (const { group } of [...now.groups.slice(at), ...now.groups.slice(0, at)]) {
    Object.assign(now, { group, ahead: [], end: false });
    await fill(-1);
    const item = now.ahead.shift();
    if (item) { drawGroups(); return show(item); }
  }
  // what is left is on its way, and whoever sent it goes on
  now.idle = busy.size > 0;
  if (!now.idle) done();
}
function done() {
  Object.assign(now, { item: null, group: null, ahead: [] });
  history.replaceState(null, "", location.pathname);
  const body = byId("row-body");
  body.removeAttribute("aria-busy");
  body.replaceChildren(made("h2", {}, "Nothing waits for a decision"),
    made("p", {}, "To write the clean dataset with these decisions: "), made("p", {}, made("code", {}, release)));
  for (const button of byId("acts").querySelectorAll("button")) button.disabled = button.id !== "do-undo" || !now.last;
  byId("effect").textContent = "";
  byId("acts").hidden = false;
  drawGroups();
}

// one row
function show(item) {
  turn += 1;
  hide?.();
  now.item = item;
  if (item.group && item.group !== now.group) { Object.assign(now, { group: item.group, ahead: [], end: false }); drawGroups(); }
  history.replaceState(null, "", `#${item.group ?? "row"}/${item.row}`);
  const accused = accusedOf(item);
  const body = byId("row-body");
  body.removeAttribute("aria-busy");
  body.replaceChildren(heading(item), standing(item), why(item), values(item, accused, (...parts) => reveal(item, ...parts)), near(item, ask), past(item, ask));
  for (const word of ["release", "reject", "relabel", "correct", "redact", "approve"]) byId(`do-${word}`).disabled = !item.can.includes(word);
  byId("do-approve").hidden = !item.can.includes("approve");
  for (const word of ["skip", "release-all", "reject-all"]) byId(`do-${word}`).disabled = !item.group;
  const other = rival(item);
  byId("overrule-line").hidden = !other;
  byId("overrule").checked = false;
  byId("overrule-whom").textContent = other ? other.by : "";
  byId("acts").hidden = false;
  warn(null);
  tellEffect(item);
  byId("row").scrollTop = 0;
  if (now.ahead.length < FEW && !now.end && item.group && !filling) fill(now.ahead.at(-1)?.row ?? item.row);
}
function heading(item) {
  const keys = item.cells.filter((cell) => item.key.includes(cell.column)).map((cell) => `${cell.column} ${cell.text}`);
  return made("header", { className: "row-head" },
    made("h2", { id: "row-h" }, `Row ${number(item.row)}`),
    made("p", { className: "quiet" }, keys.join(", "), keys.length ? " · " : "", made("span", { id: "left" }, left(item))),
    made("div", { className: "pair" },
      made("button", { type: "button", className: "button small", onclick: previous, ariaKeyShortcuts: "k" }, "Previous ", made("kbd", {}, "k")),
      made("button", { type: "button", className: "button small", onclick: next, ariaKeyShortcuts: "j" }, "Next ", made("kbd", {}, "j"))));
}
function left(item) {
  const group = now.groups.find((each) => each.group === item.group);
  return group ? `${number(group.rows)} left in its group` : item.group ? "nothing left in its group" : "nothing accuses it";
}
async function reveal(item, cell, text, button) {
  hide?.();
  const at = turn;
  const { ok, data } = await ask(`/rows/${item.row}/cell`, { column: cell.column });
  if (!ok) return warn(data);
  if (at !== turn) return;
  const before = text.textContent, name = text.className;
  text.textContent = data.text;
  text.className = "open";
  button.hidden = true;
  const timer = setTimeout(() => hide?.(), SHOWN);
  hide = () => { clearTimeout(timer); text.textContent = before; text.className = name; button.hidden = false; hide = null; };
  const cut = data.length - data.text.length;
  say(`${cell.column} is shown for 30 seconds${cut > 0 ? `, without the last ${number(cut)} characters` : ""}; the ledger has recorded it.`);
}
function tellEffect(item) {
  const after = (to) => {
    if (to === item.fate) return `leaves ${to} at ${number(now.rows[to])}`;
    return `${item.fate} ${number(now.rows[item.fate])} → ${number(now.rows[item.fate] - 1)}, ${to} ${number(now.rows[to])} → ${number(now.rows[to] + 1)}`;
  };
  byId("effect").replaceChildren(item.can.includes("release") ? made("span", {}, made("strong", {}, "Release: "), after("clean"), once(item, "release", item.two)) : "",
    made("span", {}, made("strong", {}, "Reject: "), after("rejected"), once(item, "reject", now.two)));
}

// deciding
async function decide(decision, more = {}) {
  const item = now.item, reason = byId("reason").value.trim(), overrule = byId("overrule").checked;
  if (!item || busy.has(item.row) || !item.can.includes(decision)) return;
  if ((must || overrule) && !reason) {
    byId("reason").focus();
    return warn({ message: overrule ? "Overruling needs a reason" : "The contract asks for a reason with each decision", fix: "Write it, press Enter, and decide again" });
  }
  busy.add(item.row);
  byId("reason").value = "";
  const ahead = now.ahead.shift();
  if (ahead) show(ahead);
  const { ok, data } = await ask(`/rows/${item.row}/decision`, { decision, version: item.version, reason, overrule, ...more });
  busy.delete(item.row);
  if (!ok) return refused(item, data, reason, ahead);
  const expected = now.waiting - (item.waits ? 1 : 0);
  take(data);
  mine.set(data.entry, item.row);
  const group = now.groups.find((each) => each.group === item.group);
  if (group && item.waits) group.rows -= 1;
  if (data.waiting !== expected || (group && group.rows <= 0)) await loadGroups(); else drawGroups();
  if (!ahead || now.idle) await onward();
  say(`${WORDS[decision]} row ${number(item.row)} (entry ${data.entry})${waits(data.wait)}; u takes it back.`);
}
function refused(item, data, reason, ahead) {
  if (ahead) now.ahead.unshift(ahead);
  take(data);
  if (data.item) loadGroups();
  show(data.item ?? item);
  byId("reason").value = reason;
  const last = data.last_decision;
  if (last) return warn({ message: `Not recorded, since the row was decided meanwhile: ${decided(last)}` });
  warn(rival(now.item) ? { message: `Not recorded: ${data.message}`, fix: "Talk to them, or tick Overrule and give a reason" } : data);
}
async function undo() {
  if (!now.last) return say("You have no decision to take back.");
  const { entry, counts } = now.last;
  const { ok, data } = await ask("/undo", { entry });
  take(data);
  if (!ok) return warn(data);
  await loadGroups();
  const row = mine.get(entry);
  if (row !== undefined) await goTo(row); else if (!now.item && now.groups.length) await openGroup(now.groups[0].group);
  else if (now.item) await goTo(now.item.row);
  say(`Took entry ${entry} back: ${told(counts)}.`);
}
async function goTo(row) {
  const { ok, data } = await ask(`/rows/${row}`);
  if (!ok) { warn(data); return false; }
  take(data);
  Object.assign(now, { ahead: [], end: false });
  show(data.item);
  return true;
}
function open(id, focus) {
  warn(null);
  byId(id).showModal();
  byId(focus)?.focus();
}
async function bulk(decision) {
  const name = now.item?.group;
  if (!name) return;
  const { ok, data } = await ask(`/groups/${name}/samples`);
  if (!ok) return warn(data);
  const word = decision === "release" ? "Release" : "Reject";
  byId("bulk-h").textContent = `${word} ${data.rows === 1 ? "the only row" : `all ${rows(data.rows)}`} of this group?`;
  const group = now.groups.find((each) => each.group === name);
  byId("bulk-why").textContent = group ? [group.reasons[0].rule, group.reasons[0].column, group.reasons[0].evidence].filter(Boolean).join(" · ") : "";
  byId("bulk-some").textContent = data.items.length < data.rows ? `${data.items.length} of them` : "They are";
  byId("bulk-samples").replaceChildren(...data.items.map((item) => {
    const accused = accusedOf(item);
    const shown = item.cells.filter((cell) => accused.has(cell.column) || item.key.includes(cell.column));
    return made("p", {}, made("strong", {}, `Row ${number(item.row)} `), ...(shown.length ? shown : item.cells.slice(0, 4)).map((cell) => made("span", {}, made("span", { className: "quiet" }, `${cell.column} `), made("code", {}, cell.text.slice(0, 120)))));
  }));
  const yes = byId("bulk-yes");
  yes.textContent = `${word} ${rows(data.rows)}`;
  yes.className = `button strong ${decision === "release" ? "good" : "bad"}`;
  byId("bulk-reason").value = byId("reason").value;
  byId("bulk").onsubmit = async () => {
    const reason = byId("bulk-reason").value.trim();
    say(`${word} of ${rows(data.rows)} is being recorded…`);
    const { ok: done_, data: answer } = await ask(`/groups/${name}/decision`, { decision, mark: data.mark, reason });
    take(answer);
    if (!done_) { await loadGroups(); return warn(answer); }
    byId("reason").value = "";
    mine.set(answer.entry, now.item?.row);
    now.ahead = [];
    await onward();
    say(`${WORDS[decision]} ${rows(data.rows)} (entry ${answer.entry})${waits(answer.wait)}; u takes them all back.`);
  };
  open("bulk", "bulk-reason");
}
let classes = null;
async function relabel() {
  if (!now.item?.can.includes("relabel")) return;
  classes ??= (await ask("/classes")).data.classes ?? [];
  // where labels are digits themselves, a digit means its label
  const byDigit = new Map(classes.some((each) => /^[0-9]$/.test(each)) ? classes.map((each) => [each, each]) : classes.slice(0, 9).map((each, place) => [String(place + 1), each]));
  byId("classes").replaceChildren(...[...byDigit].slice(0, 10).map(([key, each]) => made("li", {},
    made("button", { type: "button", className: "button", onclick: () => choose(each) }, each, key === each ? null : made("kbd", {}, key)))));
  byId("class-list").replaceChildren(...classes.map((each) => made("option", { value: each })));
  byId("new-label").value = "";
  const choose = (value) => { byId("relabel").close(); decide("relabel", { value }); };
  byId("relabel").onsubmit = () => { const value = byId("new-label").value; decide("relabel", { value }); };
  byId("relabel").onkeydown = (event) => {
    const each = byDigit.get(event.key);
    if (each !== undefined && /^[0-9]$/.test(event.key) && !byId("new-label").value) { event.preventDefault(); choose(each); }
  };
  open("relabel", "new-label");
}
function correct() {
  const item = now.item;
  if (!item?.can.includes("correct")) return;
  const columns = item.cells.map((cell) => cell.column);
  byId("column").value = item.reasons.map((each) => each.column).find((each) => columns.includes(each)) ?? columns[0];
  const tell = () => {
    const cell = item.cells.find((each) => each.column === byId("column").value);
    byId("old-value").textContent = cell ? (cell.missing ? "missing" : cell.text) : "";
  };
  byId("column").onchange = tell;
  tell();
  byId("new-value").value = "";
  byId("correct").onsubmit = () => decide("correct", { column: byId("column").value, value: byId("new-value").value });
  open("correct", "new-value");
}
function listFound(data) {
  byId("found-said").textContent = data.more ? `${data.rows.length} of ${rows(data.rows.length + data.more)}` : rows(data.rows.length);
  byId("found").replaceChildren(...data.rows.map((row) => made("li", {}, made("button", { type: "button", className: "link", onclick: () => { byId("search").close(); goTo(row); } }, `row ${number(row)}`))));
}
function search() {
  byId("found").replaceChildren();
  byId("found-said").textContent = "";
  byId("search").onsubmit = async (event) => {
    event.preventDefault();
    const { ok, data } = await ask("/search", { text: byId("wanted").value });
    if (!ok) { byId("found").replaceChildren(); byId("found-said").textContent = data.message; return; }
    if (data.rows.length === 1 && !data.more) { byId("search").close(); await goTo(data.rows[0]); return; }
    listFound(data);
  };
  open("search", "wanted");
  byId("wanted").select();
}
async function listPending(state) {
  const { ok, data } = await ask(`/pending/${state}`);
  if (!ok) return warn(data);
  search();
  byId("wanted").value = "";
  listFound(data);
}
function showMasked() {
  const line = document.activeElement?.closest?.("tr[data-column]");
  const button = line?.querySelector(".reveal") ?? document.querySelector("tr.accused .reveal[data-masked=yes]") ?? document.querySelector(".reveal");
  if (button && !button.hidden) button.click(); else say("No cell of this row is masked.");
}
async function skip() {
  if (now.item && !(await next())) await besides(1);
}
const keys = {
  j: next, k: previous, n: () => besides(1), p: () => besides(-1), a: () => decide("release"), r: () => decide("reject"),
  l: relabel, c: correct, x: () => decide("redact"), y: () => decide("approve"), s: skip, u: undo, A: () => bulk("release"), R: () => bulk("reject"),
  "/": search, v: showMasked, "?": () => open("help"), e: () => byId("reason").focus(),
  h: () => { const at = byId("fates"); if (at) { at.open = !at.open; at.scrollIntoView({ block: "nearest" }); } },
};
for (const key of off) keys[key] = () => say(off.includes("a") ? "Your role lets you look. Reviewers decide." : "Approving takes the role of an approver.");
const buttons = {
  "do-release": "a", "do-reject": "r", "do-relabel": "l", "do-correct": "c", "do-redact": "x", "do-approve": "y", "do-skip": "s", "do-undo": "u",
  "do-release-all": "A", "do-reject-all": "R", "do-search": "/", "do-help": "?", "do-prev-group": "p", "do-next-group": "n",
};
for (const [id, key] of Object.entries(buttons)) byId(id).addEventListener("click", () => keys[key]());
for (const button of document.querySelectorAll("[data-close]")) button.addEventListener("click", () => button.closest("dialog").close());
byId("acts").addEventListener("submit", (event) => { event.preventDefault(); document.activeElement?.blur(); });
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const at = event.target;
  if (at.matches?.("input:not([type=checkbox]), textarea, select")) { if (event.key === "Escape") at.blur(); return; }
  if (event.repeat && !"jk".includes(event.key)) return; // a key held down decides once
  const does = Object.hasOwn(keys, event.key) ? keys[event.key] : null;
  if (does) { event.preventDefault(); does(); }
});
addEventListener("hashchange", fromAddress);
async function fromAddress() {
  const [, group, row] = /^#([0-9a-f]{8}|row)\/([0-9]{1,15})$/.exec(location.hash) ?? [];
  if (row !== undefined && (now.item?.row === Number(row) || await goTo(Number(row)))) return;
  const known = now.groups.find((each) => each.group === group) ?? now.groups[0];
  if (known) await openGroup(known.group); else done();
}
loadGroups().then(fromAddress);
