// What is wrong with a page as a browser has laid it out: run in it, gives a list of sentences.
(() => {
  const found = [];
  const told = (element) => `${element.tagName} "${element.textContent.trim().slice(0, 30)}"`;
  const isScrolled = (element) => /(auto|scroll)/.test(getComputedStyle(element).overflowX);
  const scrolled = (element) => {
    for (let one = element; one && one !== document.body; one = one.parentElement) if (isScrolled(one)) return one;
    return null;
  };
  const root = document.documentElement;
  if (root.scrollWidth > innerWidth + 1) found.push(`the page is ${root.scrollWidth} wide in ${innerWidth}`);
  for (const one of document.querySelectorAll("section, .card, .finding, figure, .charts, .pictures, dl, header, footer"))
    if (one.scrollWidth > one.clientWidth + 1 && !isScrolled(one)) found.push(`${told(one)} overflows`);
  // every line of text, where it stands
  const lines = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || /^(title|style|script)$/i.test(element.tagName)) continue;
    if (!element.getClientRects().length || element.closest("[transform*=rotate]")) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) if (box.width > 1) lines.push({ box, element, within: scrolled(element) });
  }
  for (const { box, element, within } of lines) {
    const panel = element.closest("section, .card, header, footer");
    if (within || !panel) continue;
    const room = panel.getBoundingClientRect();
    if (box.right > room.right + 1 || box.left < room.left - 1) found.push(`${told(element)} is beyond its panel`);
  }
  lines.sort((one, other) => one.box.top - other.box.top);
  lines.forEach((one, at) => {
    for (let next = at + 1; next < lines.length && lines[next].box.top < one.box.bottom; next++) {
      const other = lines[next];
      if (one.within !== other.within || one.element === other.element) continue;
      const width = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const height = Math.min(one.box.bottom, other.box.bottom) - other.box.top;
      const isOver = width > 2 && height > 0.35 * Math.min(one.box.height, other.box.height);
      if (isOver) found.push(`${told(one.element)} and ${told(other.element)} overlap`);
    }
  });
  for (const chart of document.querySelectorAll("svg.chart")) {
    const room = chart.getBoundingClientRect();
    if (room.height < 60 || !chart.querySelector("path, use, image")) found.push(`${told(chart)} is empty`);
    for (const text of chart.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      const isCut = box.left < room.left - 3 || box.right > room.right + 3 || box.top < room.top - 3;
      if (isCut || box.bottom > room.bottom + 3) found.push(`${told(text)} is beyond its chart`);
    }
  }
  for (const one of document.querySelectorAll("section")) if (one.children.length < 2) found.push(`${told(one)} is empty`);
  for (const one of document.images) if (!one.naturalWidth) found.push(`the picture ${one.alt} is broken`);
  for (const one of performance.getEntriesByType("resource"))
    if (!one.name.startsWith("data:")) found.push(`it loads ${one.name}`);
  return [`${innerWidth}`, ...found];
})()
