// A calendar is one stop of the Tab key, however many nights it has: arrow keys move between
// them, Home and End to the first and the last of a row.
"use strict";
(() => {
  const shown = (root) => [...root.querySelectorAll("a.cell")].filter((one) => one.offsetParent);

  function arrange() {
    for (const table of document.querySelectorAll("table.calendar")) {
      const all = shown(table);
      const kept = all.find((one) => one === document.activeElement) ?? all.find((one) => one.getAttribute("tabindex") === "0") ?? all.at(-1);
      for (const one of all) one.tabIndex = one === kept ? 0 : -1;
    }
  }

  // The night in another row that lies nearest to the column of this one.
  function across(from, step) {
    const column = (one) => one.closest("td").cellIndex;
    for (let row = from.closest("tr")[step]; row; row = row[step]) {
      const there = shown(row);
      if (there.length) return there.reduce((best, one) => Math.abs(column(one) - column(from)) < Math.abs(column(best) - column(from)) ? one : best);
    }
    return null;
  }

  document.addEventListener("keydown", (event) => {
    const from = event.target.closest?.("table.calendar a.cell");
    if (!from || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const row = shown(from.closest("tr")), at = row.indexOf(from);
    const to = {
      ArrowLeft: () => row[at - 1], ArrowRight: () => row[at + 1], Home: () => row[0], End: () => row.at(-1),
      ArrowUp: () => across(from, "previousElementSibling"), ArrowDown: () => across(from, "nextElementSibling"),
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const next = to();
    if (!next) return;
    next.focus();
    arrange();
  });
  document.addEventListener("focusin", (event) => { if (event.target.matches?.("a.cell")) arrange(); });
  document.addEventListener("np:shown", arrange);
  addEventListener("resize", arrange);
  arrange();
})();
