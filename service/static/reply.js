// The reply made from a template. What is still to fill is marked behind the text and listed below it; Tab jumps from one to the
// next and then on. What was written for one template comes back when it is chosen again. Copying works without https too.
(() => {
  const place = document.getElementById("reply");
  if (!place) return;
  const OPEN = /\{\{[^{}]{1,120}\}\}/g;
  const written = new Map(); // template -> what the agent made of it

  function parts(text) {
    const found = [...text.matchAll(OPEN)].map((match) => [match.index, match.index + match[0].length]);
    return { found, names: [...new Set(found.map(([from, to]) => text.slice(from, to)))] };
  }

  function dress() {
    const box = place.querySelector("[data-reply]");
    if (!box) return;
    const text = box.querySelector("textarea"), copy = box.querySelector("[data-copy]");
    if (written.has(box.dataset.reply)) text.value = written.get(box.dataset.reply);
    copy.hidden = false;
    show(box);
    text.addEventListener("input", () => { written.set(box.dataset.reply, text.value); show(box); });
    text.addEventListener("scroll", () => { box.querySelector(".mirror").scrollTop = text.scrollTop; });
    text.addEventListener("keydown", (event) => { if (event.key === "Tab") jump(event, text); });
    text.addEventListener("reached", () => {
      const [first] = parts(text.value).found;
      if (first) text.setSelectionRange(...first);
    });
    copy.addEventListener("click", () => take(box, text));
  }

  function show(box) {
    const text = box.querySelector("textarea").value, mirror = box.querySelector(".mirror");
    const { found, names } = parts(text);
    mirror.replaceChildren();
    let at = 0;
    for (const [from, to] of found) {
      const mark = document.createElement("mark");
      mark.textContent = text.slice(from, to);
      mirror.append(text.slice(at, from), mark);
      at = to;
    }
    mirror.append(`${text.slice(at)}\n`);
    const missing = box.querySelector("#reply-missing");
    missing.replaceChildren(names.length ? "Still to fill: " : "Nothing is left to fill.");
    for (const name of names) {
      const mark = document.createElement("mark");
      mark.textContent = name;
      missing.append(mark, " ");
    }
  }

  function jump(event, text) {
    const { found } = parts(text.value);
    const next = event.shiftKey
      ? found.filter(([, to]) => to <= text.selectionStart).pop()
      : found.find(([from]) => from >= text.selectionEnd);
    if (!next) return; // none that way: Tab leaves the field as everywhere
    event.preventDefault();
    text.setSelectionRange(...next);
  }

  async function take(box, text) {
    const said = box.querySelector("[data-copied]");
    try {
      await navigator.clipboard.writeText(text.value);
    } catch {
      const focused = document.activeElement;
      text.select();
      const done = document.execCommand("copy"); // where the page does not come over https
      focused.focus();
      if (!done) {
        said.textContent = "The browser does not allow copying; select the text and copy it.";
        return;
      }
    }
    const left = parts(text.value).names.length;
    said.textContent = left ? `Copied. ${left} ${left === 1 ? "place is" : "places are"} still to fill.` : "Copied.";
  }

  // What is typed for a reply that is still on its way would press the keys of the page. From `e` on nothing is pressed until
  // the box is there; when it does not come, or after Escape, the keys are awake again.
  let drafts = 0, awaited = false;
  const part = document.getElementById("reply-part");
  part.addEventListener("htmx:before:request", () => { drafts += 1; });
  part.addEventListener("htmx:finally:request", () => {
    drafts -= 1;
    if (drafts || !awaited) return;
    awaited = false;
    const chosen = part.querySelector("input:checked")?.value, box = place.querySelector("[data-reply]");
    if (!box || box.dataset.reply !== chosen) return;
    const text = box.querySelector("textarea");
    text.focus();
    text.dispatchEvent(new CustomEvent("reached"));
  });
  document.addEventListener("keydown", (event) => {
    if (!drafts || event.ctrlKey || event.metaKey || event.altKey || !(awaited || event.key === "e")) return;
    if (!awaited && event.target.matches("textarea, select, input:not([type=radio])")) return; // a letter of a text
    event.preventDefault();
    awaited = event.key !== "Escape";
  }, true);

  new MutationObserver(dress).observe(place, { childList: true });
  dress();
})();
