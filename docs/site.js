// What scrolls sideways can be scrolled by keys: code, tables, outputs of notebooks.
document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll("pre, pre > code, .md-typeset__scrollwrap, .md-typeset__table, .jp-OutputArea-output, .highlight, .highlight-ipynb")) {
    if (box.scrollWidth > box.clientWidth && getComputedStyle(box).overflowX !== "visible") box.tabIndex = 0;
  }
});
