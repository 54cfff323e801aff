// Labelling by keyboard: Up and Down go through what is offered, or into the tree where nothing is; Enter sends what is chosen.
(() => {
  const form = document.querySelector("[data-label]");
  if (!form) return;
  const said = document.getElementById("not-chosen");
  const offered = [...form.querySelectorAll("input[name=suggested_type]")];

  form.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    // In a field and among radio buttons the arrows have a meaning of their own.
    if (event.target.closest("input, textarea, select")) return;
    event.preventDefault();
    const first = step > 0 ? offered[0] : offered.at(-1);
    if (first) {
      first.focus();
      first.click();
    } else form.querySelector("input[type=search]").focus();
  });

  form.addEventListener("submit", (event) => {
    if (event.submitter?.value !== "label" || form.querySelector("input[type=radio]:checked")) return;
    event.preventDefault();
    said.textContent = "Choose a contact type first, or skip the ticket.";
  });
  form.addEventListener("change", () => { said.textContent = ""; });
})();
