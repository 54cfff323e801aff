// The switch between light and dark. What was chosen is kept in a cookie, so the server writes it into the page and nothing
// flickers; choosing what the system has anyway forgets it.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector("[data-theme-switch]");
  const now = () => root.dataset.theme || (system.matches ? "dark" : "light");

  function say() {
    button.textContent = now() === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", now() === "dark" ? "Light colours" : "Dark colours");
  }

  button.hidden = false;
  say();
  system.addEventListener("change", say);
  button.addEventListener("click", () => {
    const chosen = now() === "dark" ? "light" : "dark";
    const kept = chosen !== (system.matches ? "dark" : "light");
    document.cookie = `triage_theme=${kept ? chosen : ""}; path=/; max-age=${kept ? 31536000 : 0}; samesite=lax`;
    if (kept) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    document.querySelector("meta[name=color-scheme]").content = kept ? chosen : "light dark";
    if (document.querySelector("[data-chart]")) location.reload(); // charts take their colours when they are drawn
    say();
  });
})();
