// Keys of the pages. An element with data-key="x" answers to that key: a radio button is chosen, a field gets the focus, a
// button or link is pressed. While one writes in a field, Escape leaves it.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const writing = event.target.matches?.("textarea, select, input:not([type=radio]):not([type=checkbox])");
  if (writing) {
    if (event.key === "Escape") {
      event.preventDefault(); // the browser would empty the field, and with it the list one chooses from
      event.target.blur();
    }
    // Enter in the search field would press the form's first button: a suggestion nobody meant to accept.
    if (event.key === "Enter" && event.target.type === "search") event.preventDefault();
    return;
  }
  if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("a.open")];
    const step = event.key === "j" ? 1 : -1;
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
    return;
  }
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (target.matches("input[type=radio]")) {
    target.checked = true;
    target.focus();
  } else if (target.matches("input")) {
    target.focus();
  } else {
    target.click();
  }
});
