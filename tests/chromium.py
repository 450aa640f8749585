"""A real browser for tests of pages: what they need of Chromium, and what they ask of a page."""

import shutil

import pytest

CHROMIUM = shutil.which("chromium")
needed = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color, under) => {
    canvas.fillStyle = `rgb(${under})`; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const linear = (v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = (c) => c.map((v) => linear(v / 255))
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (node) => {
    const chain = []; for (let at = node; at; at = at.parentElement) chain.unshift(at);
    const paint = (under, at) => rgb(getComputedStyle(at).backgroundColor, under);
    return chain.reduce(paint, [255, 255, 255]);
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim());
    if (!own || node.closest("script, svg") || !node.checkVisibility()) continue;
    const under = ground(node), over = rgb(getComputedStyle(node).color, under);
    const [a, b] = [light(over), light(under)].sort((x, y) => y - x);
    if ((a + .05) / (b + .05) < 4.5) low.push(node.outerHTML.slice(0, 90));
  }
  return low;
}"""


def watched(page):
    """Keep all that a page asks for (`asked`) and complains of (`said`); returns the page."""
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.on("dialog", lambda dialog: (page.said.append("dialog"), dialog.dismiss()))
    return page


def violations(page):
    """Return what axe-core finds that is serious or critical: its rule and where; dev-only."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (item["id"], node["html"][:150], node["failureSummary"][:300])
        for item in found
        if item["impact"] in ("serious", "critical")
        for node in item["nodes"]
    ]
