// A step back or forth to the list of other filters loads the page of that address again. htmx would do so once it listens;
// a step taken before, while the last one is still loading, would change the address alone and leave the list of another one
// standing. So this script is neither deferred nor part of htmx: it listens from the first moment on, and does it alone. A
// step to a place on the same page, as from its "#main", loads nothing: a draft would be lost.
(() => {
  const address = () => location.pathname + location.search;
  let shown = address();
  const keep = () => { shown = address(); };
  document.addEventListener("htmx:after:history:push", keep);
  document.addEventListener("htmx:after:history:replace", keep);
  document.addEventListener("htmx:before:history:restore", (event) => event.preventDefault());
  addEventListener("popstate", () => {
    if (address() !== shown) location.reload();
    keep();
  });
})();
