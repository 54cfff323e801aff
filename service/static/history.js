// A step back or forth loads the page of that address again. htmx sees to it once it listens; a step taken before, while the
// last one is still loading, would change the address alone and leave the list of another one standing. So this script is
// neither deferred nor part of htmx: it listens from the first moment on.
addEventListener("popstate", (event) => {
  if (event.state?.htmx) location.reload(); // not for a step to a place on the same page
});
