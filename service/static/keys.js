// Keys of the pages. An element with data-key="x" answers to that key (data-keys="j k" to more): a radio button is chosen, a
// field gets the focus, a button or link is pressed, and data-then="#id" gets the focus afterwards. While one writes in a field,
// Escape leaves it. While a dialog is open, it has the keys. A key that is held down presses once; `j` and `k` go on.
for (const opener of document.querySelectorAll("[data-opens]")) {
  opener.hidden = false;
  opener.addEventListener("click", () => document.getElementById(opener.dataset.opens).showModal());
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.querySelector("dialog[open]")) return;
  const writing = event.target.matches?.("textarea, select, input:not([type=radio]):not([type=checkbox])");
  if (writing) {
    if (event.key === "Escape") {
      event.preventDefault(); // the browser would empty the field, and with it the list one chooses from
      event.target.blur();
    }
    // Enter in a search field of a form that is sent would press its first button: a suggestion nobody meant to accept.
    const sends = event.target.form && event.target.form.method === "post";
    if (event.key === "Enter" && event.target.type === "search" && sends) event.preventDefault();
    return;
  }
  if (event.key === "Enter" && event.target.closest?.("a, button, summary")) return; // it presses what has the focus
  // On a radio button of an answer, Enter would press Accept.
  if (event.key === "Enter" && event.target.closest?.("[data-answer]")) event.preventDefault();
  const rows = [...document.querySelectorAll("a.open")];
  if (rows.length && (event.key === "j" || event.key === "k")) {
    const at = rows.indexOf(document.activeElement) + (event.key === "j" ? 1 : -1);
    rows[Math.min(Math.max(at, 0), rows.length - 1)].focus();
    return;
  }
  const key = CSS.escape(event.key);
  const first = event.key === "n" && rows[0];
  const target = first || document.querySelector(`[data-key="${key}"], [data-keys~="${key}"]`);
  if (!target || target.hidden) return;
  event.preventDefault();
  if (!event.repeat) press(target); // held down, a key would answer one ticket after the other, unread
});

function press(target) {
  if (target.matches("input[type=radio]")) {
    target.focus();
    target.click(); // so that whoever listens for changes hears of it
  } else if (target.matches("input, textarea")) {
    target.focus();
    target.dispatchEvent(new CustomEvent("reached"));
  } else if (target.dataset.then) {
    target.parentElement.open = true;
    document.querySelector(target.dataset.then).focus();
  } else {
    target.click();
  }
}

// A form with data-once is sent once, however often its buttons are pressed.
const free = (form) => form.removeAttribute("aria-busy");
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]") || event.defaultPrevented) return;
  if (form.hasAttribute("aria-busy")) return event.preventDefault();
  form.setAttribute("aria-busy", "true");
  setTimeout(free, 10_000, form); // the browser's Stop tells nobody, and then it could not be sent again
});
addEventListener("pageshow", () => {
  document.querySelectorAll("[data-once]").forEach(free);
});
