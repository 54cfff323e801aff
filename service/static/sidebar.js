// The sidebar inside a helpdesk. The page around it says which ticket is open; this one asks the API and shows what
// comes back. It speaks with the configured origins alone, and the key stays in the fragment of its own address.

const { origins, confidence, prefixes } = JSON.parse(document.body.dataset.told);
const key = new URLSearchParams(location.hash.slice(1)).get("key") ?? "";
const at = (id) => document.getElementById(id);
let open = null; // the ticket at hand
let suggestion = null;
let host = null; // who told of it: { source, origin, inserts }
let paths = new Map(); // written path -> contact type
let choice = ""; // names what is being decided until it is kept: sent again after a failure it is the same, a change of mind is not

// An entry is an origin, or one with a star for subdomains: https://*.apps.zdusercontent.com
function trusted(origin) {
  return origins.some((entry) => {
    if (!entry.includes("://*.")) return entry.replace(/\/$/, "") === origin;
    const [scheme, domain] = entry.split("://*");
    return origin.startsWith(`${scheme}://`) && origin.endsWith(domain) && origin.length > scheme.length + 3 + domain.length;
  });
}

window.addEventListener("message", (event) => {
  if (event.source !== window.parent || !trusted(event.origin)) return;
  const told = read(event.data);
  if (!told) return;
  host = { source: event.source, origin: event.origin, inserts: told.inserts };
  if (open && open.ticket_id === told.ticket.ticket_id && open.body === told.ticket.body) return;
  show(told);
});

// Chatwoot sends a JSON text {event: "appContext", data}; our Zendesk app an object {event: "triage:ticket", ticket}.
function read(data) {
  let given = data;
  if (typeof data === "string") {
    try {
      given = JSON.parse(data);
    } catch {
      return null;
    }
  }
  if (given?.event === "triage:ticket" && given.ticket?.body) {
    const ticket = { ...given.ticket, ticket_id: prefixes.zendesk + given.ticket.ticket_id };
    return { ticket, agent: given.agent, inserts: true };
  }
  return given?.event === "appContext" ? fromChatwoot(given.data ?? {}) : null;
}

function fromChatwoot({ conversation, contact, currentAgent }) {
  const incoming = (conversation?.messages ?? []).filter((one) => one.message_type === 0 && !one.private && one.content);
  if (!conversation?.id || !incoming.length) return null;
  const first = incoming.reduce((a, b) => (a.id <= b.id ? a : b));
  const ticket = {
    ticket_id: prefixes.chatwoot + conversation.id,
    subject: conversation.additional_attributes?.mail_subject ?? "",
    body: first.content,
    channel: String(conversation.meta?.channel ?? "").replace("Channel::", "").toLowerCase(),
  };
  if (contact?.id) ticket.customer_key = String(contact.id);
  if (first.created_at) ticket.created_at = new Date(first.created_at * 1000).toISOString();
  return { ticket, agent: currentAgent?.name, inserts: false };
}

async function ask(path, body, idempotencyKey) {
  const headers = { accept: "application/json" };
  if (key) headers.authorization = `Bearer ${key}`;
  if (body) headers["content-type"] = "application/json";
  if (idempotencyKey) headers["idempotency-key"] = idempotencyKey;
  const answer = await fetch(path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit",
    redirect: "error",
  });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([content.detail, content.hint].filter(Boolean).join(" ") || `The service answered ${answer.status}.`);
  return content;
}

async function show({ ticket, agent }) {
  const asked = { ...ticket, agent };
  open = asked;
  suggestion = null;
  choice = anew();
  at("types").hidden = at("templates").hidden = true;
  say("Asking for suggestions …");
  try {
    // The same ticket, opened again, need not be suggested for twice.
    const again = `sidebar-${hash(JSON.stringify(ticket))}`;
    const [made, tree, known] = await Promise.all([
      ask("/v1/suggestions", { ticket, top_types: 3, top_templates: 3 }, again),
      ask("/v1/contact-types"),
      ask("/v1/templates?plain=true"),
    ]);
    if (open !== asked) return; // another ticket was opened meanwhile
    suggestion = made;
    showTypes(made, tree);
    showTemplates(made, known.templates);
    say(made.contact_types.length ? "" : "There are no suggestions for this ticket.");
  } catch (error) {
    if (open !== asked) return;
    say(`No suggestions: ${error.message}`);
    open = null; // so that the next message asks again
  }
}

// A contact type's path as people read it.
function shown(path) {
  return path.replaceAll("::", " › ");
}

function showTypes(made, tree) {
  at("unsure").hidden = !made.abstained;
  at("unsure").textContent = made.abstained ? `Not sure enough to choose: ${made.abstain_reason ?? "nothing stands out"}.` : "";
  at("type-list").replaceChildren(
    ...made.contact_types.map((ranked) => {
      const accept = button("Accept", () => give("accepted", ranked.contact_type));
      accept.setAttribute("aria-label", `Accept ${shown(ranked.path)}`);
      const line = element("div", "row", element("span", "soft", confidence[ranked.band]), accept);
      const item = element("li", "", element("span", "name", shown(ranked.path)), line);
      item.dataset.type = ranked.contact_type;
      return item;
    }),
  );
  const parents = new Set(tree.contact_types.map((one) => one.parent));
  const leaves = tree.contact_types.filter((one) => one.active && !parents.has(one.id));
  paths = new Map(leaves.map((one) => [one.path, one.id]));
  at("all-types").replaceChildren(...[...paths.keys()].map((path) => new Option("", path)));
  at("search").value = "";
  at("other").open = false;
  at("types").hidden = false;
}

function showTemplates(made, known) {
  const bodies = new Map(known.map((one) => [one.template_id, one.body]));
  at("template-list").replaceChildren(
    ...made.templates.map((ranked) => {
      const text = element("textarea", "");
      text.value = bodies.get(ranked.template_id) ?? "";
      text.readOnly = true;
      text.setAttribute("aria-label", ranked.title);
      const use = button(host.inserts ? "Insert" : "Copy", () => useTemplate(ranked, text), "quiet");
      use.setAttribute("aria-label", `${use.textContent} ${ranked.title}`);
      const look = element("details", "", element("summary", "", "Show"), text);
      return element("li", "", element("div", "row", element("span", "name", ranked.title), use), look);
    }),
  );
  at("templates").hidden = !made.templates.length;
}

function useTemplate(ranked, text) {
  suggestion.template_id = ranked.template_id;
  if (host.inserts) {
    host.source.postMessage({ event: "triage:insert", text: text.value }, host.origin);
    return say(`Inserted: ${ranked.title}`);
  }
  if (!copy(text.value)) {
    text.closest("details").open = true;
    text.select();
    return say("Copy the marked text with Ctrl+C.");
  }
  say(`Copied: ${ranked.title}`);
}

// A frame mostly lacks the right to the clipboard API; copying at the press of a key or button is allowed everywhere.
function copy(text) {
  let done = false;
  const fill = (event) => {
    event.clipboardData.setData("text/plain", text);
    event.preventDefault();
    done = true;
  };
  document.addEventListener("copy", fill, { once: true });
  document.execCommand("copy");
  document.removeEventListener("copy", fill);
  return done;
}

async function give(action, contactType) {
  const given = { suggestion_id: suggestion.suggestion_id, action, contact_type: contactType };
  if (open.agent) given.agent = String(open.agent).slice(0, 200);
  if (suggestion.template_id) given.template_id = suggestion.template_id;
  const { suggestion_id } = suggestion;
  try {
    await ask("/v1/feedback", given, `sidebar-${choice}-${hash(JSON.stringify(given))}`);
    if (suggestion?.suggestion_id !== suggestion_id) return;
    choice = anew();
    for (const item of at("type-list").children) item.classList.toggle("chosen", item.dataset.type === contactType);
    say(`Feedback kept: ${action}.`);
  } catch (error) {
    say(`Feedback not kept: ${error.message}`);
  }
}

at("correct").addEventListener("click", () => {
  const chosen = paths.get(at("search").value.trim());
  if (!chosen) return say("Choose a contact type from the list.");
  const first = suggestion.contact_types[0]?.contact_type;
  return give(chosen === first ? "accepted" : "corrected", chosen);
});
at("search").addEventListener("keydown", (event) => {
  if (event.key === "Enter") at("correct").click();
});

function say(text) {
  at("state").textContent = text;
}

function element(name, kind, ...content) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  made.append(...content);
  return made;
}

function button(text, pressed, kind = "") {
  const made = element("button", kind, text);
  made.type = "button";
  made.addEventListener("click", pressed);
  return made;
}

// FNV-1a, 64 bits: tells texts apart; nothing secret hangs on it.
function hash(text) {
  let sum = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x100000001b3n);
  return sum.toString(16);
}

function anew() {
  return crypto.getRandomValues(new BigUint64Array(2)).join("-"); // randomUUID() is not there without https
}

// Both helpdesks are asked for the ticket at hand; the message itself says nothing, so any parent may hear it.
if (window.parent !== window) {
  window.parent.postMessage("chatwoot-dashboard-app:fetch-info", "*");
  window.parent.postMessage({ event: "triage:ready" }, "*");
}
