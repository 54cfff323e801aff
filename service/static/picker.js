// The tree of contact types as a combobox (WAI-ARIA APG): the focus stays in the search field; arrow keys move through the tree,
// Right and Left open and close a branch, Enter chooses. The server filters; each new list is dressed here.
(() => {
  const picker = document.querySelector("[data-picker]");
  if (!picker) return;
  const field = picker.querySelector("input[type=search]");
  const found = picker.querySelector("#found");
  const said = picker.querySelector("#found-said");
  const form = picker.closest("form");
  let active = null, choosing = false;

  field.setAttribute("role", "combobox");
  field.setAttribute("aria-haspopup", "tree");
  field.setAttribute("aria-expanded", "true");
  field.setAttribute("aria-controls", "type-tree");
  field.setAttribute("aria-autocomplete", "list");

  const tree = () => found.querySelector("[data-tree]");
  const items = () => [...found.querySelectorAll("li")].filter((item) => item.offsetParent !== null);
  const words = (item) => item.textContent.replace(/\s+/g, " ").trim();
  const radio = (item) => item.querySelector(":scope > label > input");

  function dress() {
    const root = tree();
    root.id = "type-tree";
    active = null;
    field.removeAttribute("aria-activedescendant");
    if (root.matches("ul")) {
      root.setAttribute("role", "tree");
      root.setAttribute("aria-label", "Contact types");
      root.querySelectorAll("ul").forEach((group) => group.setAttribute("role", "group"));
      root.querySelectorAll("li").forEach((item, number) => {
        item.id = `type-${number}`;
        item.setAttribute("role", "treeitem");
        if (item.matches("[data-branch]")) item.setAttribute("aria-expanded", "true");
        else {
          item.setAttribute("aria-selected", String(radio(item).checked));
          radio(item).tabIndex = -1; // the field has the keys
          item.setAttribute("aria-label", words(item));
        }
      });
    }
    if (root.dataset.query) {
      move(items().find((item) => item.matches("[data-leaf]") && !item.closest("[data-kept]")));
    }
    tell();
    if (choosing) choose();
  }

  // How many were found, and what is chosen.
  function tell() {
    const { query, count } = tree().dataset, chosen = found.querySelector("input:checked")?.closest("li");
    const many = query && (count === "1" ? "1 contact type" : `${count} contact types`);
    said.textContent = [many, chosen && `Chosen: ${words(chosen)}`].filter(Boolean).join(". ");
  }

  function move(item) {
    active?.classList.remove("active");
    active = item ?? null;
    if (!active) return field.removeAttribute("aria-activedescendant");
    active.classList.add("active");
    field.setAttribute("aria-activedescendant", active.id);
    const box = active.getBoundingClientRect(), view = found.getBoundingClientRect();
    if (box.bottom > view.bottom) found.scrollTop += Math.min(box.bottom - view.bottom, box.top - view.top);
    if (box.top < view.top) found.scrollTop -= view.top - box.top;
  }

  function open(branch, wanted) {
    branch.setAttribute("aria-expanded", String(wanted));
    branch.classList.toggle("closed", !wanted);
  }

  function choose() {
    // Whoever types fast presses Enter before the list has come; it is then chosen from when it does.
    choosing = tree().dataset.query !== field.value.trim();
    if (choosing || !active) return;
    if (active.matches("[data-branch]")) return open(active, active.getAttribute("aria-expanded") === "false");
    const chosen = radio(active);
    chosen.click();
    if (!chosen.checked) return;
    const send = form.querySelector("[data-sends=chosen]") ?? form.querySelector("button[name=action]");
    send.focus();
  }

  field.addEventListener("keydown", (event) => {
    const all = items(), at = all.indexOf(active), branch = active?.matches("[data-branch]");
    const expanded = active?.getAttribute("aria-expanded") === "true";
    if (event.key === "ArrowDown") move(all[Math.min(at + 1, all.length - 1)]);
    else if (event.key === "ArrowUp") move(all[Math.max(at - 1, 0)]);
    else if (event.key === "ArrowRight" && branch && !expanded) open(active, true);
    else if (event.key === "ArrowLeft" && branch && expanded) open(active, false);
    else if (event.key === "Enter") choose();
    else return;
    event.preventDefault();
  });
  field.addEventListener("focus", () => picker.scrollIntoView({ block: "nearest" })); // the tree too, not the field alone
  field.addEventListener("input", () => { choosing = false; });

  // A type is either one of those suggested or one of the tree, and the button that sends it stands out.
  form.addEventListener("change", (event) => {
    const name = event.target.name;
    if (name !== "chosen_type" && name !== "suggested_type") return;
    const other = name === "chosen_type" ? "suggested_type" : "chosen_type";
    form.querySelectorAll(`input[name=${other}]`).forEach((one) => { one.checked = false; });
    found.querySelectorAll("[data-leaf]").forEach((item) => item.setAttribute("aria-selected", String(radio(item).checked)));
    const chosen = name === "chosen_type";
    tell();
    form.querySelector("[data-sends=chosen]")?.classList.toggle("quiet", !chosen);
    form.querySelector("[data-sends=suggested]")?.classList.toggle("quiet", chosen);
  });
  // What is sent must be chosen: the answer would be a page that says so.
  const notChosen = document.getElementById("not-chosen");
  form.addEventListener("submit", (event) => {
    const sends = event.submitter?.dataset.sends;
    if (!sends || form.querySelector(`input[name=${sends}_type]:checked`)) return;
    event.preventDefault();
    notChosen.textContent = "Choose a contact type first, or ignore the ticket.";
    field.focus();
  });
  form.addEventListener("change", () => { notChosen.textContent = ""; });
  found.addEventListener("click", (event) => {
    const branch = event.target.matches(".name") && event.target.closest("[data-branch]");
    if (branch) open(branch, branch.getAttribute("aria-expanded") === "false");
  });

  new MutationObserver(dress).observe(found, { childList: true });
  dress();
})();
