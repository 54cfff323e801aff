// What a page says when a piece of it could not be fetched: the list stays as it was, and a note tells when to try again.
(() => {
  const toast = document.getElementById("toast");

  function tell(words) {
    toast.textContent = words;
    toast.hidden = false;
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => { toast.hidden = true; }, 8000);
  }

  document.addEventListener("htmx:response:error", (event) => {
    const answer = event.detail.ctx?.response;
    const wait = answer?.headers?.get("Retry-After");
    const words = wait === "1" ? "1 second" : `${wait} seconds`;
    const why = { 401: "You were signed out: sign in again in another tab.", 429: "Too much at once.", 503: "The service is busy or its database is away." }[answer?.status];
    tell(`${why ?? "This could not be fetched."} The page shows what it knew.${wait ? ` Try again in ${words}.` : ""}`);
  });
  document.addEventListener("htmx:error", () => tell("The service cannot be reached. The page shows what it knew."));
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx?.response?.status < 400) toast.hidden = true; // errors come by here too, and swap nothing
  });
  // The first digits of a year make a day that is out of range: nothing is asked until it is whole. htmx would say so at
  // each digit, which moves the focus out of it.
  document.addEventListener("htmx:config:request", (event) => {
    if (event.target.id === "filters" && !event.target.checkValidity()) event.preventDefault();
  });
  // A page that nobody looks at need not be kept fresh.
  document.addEventListener("htmx:before:request", (event) => {
    if (document.hidden && event.target.id === "queue") event.preventDefault();
  });
})();
