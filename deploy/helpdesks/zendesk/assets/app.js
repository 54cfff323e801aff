// Between Zendesk and the service's own /sidebar: passes the ticket in, and inserts the template that is chosen.
const client = ZAFClient.init();
const frame = document.getElementById("sidebar");
let origin = "";

async function start() {
  const { settings } = await client.metadata();
  const address = new URL("/sidebar", settings.triage_url);
  origin = address.origin;
  address.hash = `key=${encodeURIComponent(settings.triage_key)}`;
  window.addEventListener("message", heard);
  frame.src = address.href;
  client.invoke("resize", { width: "100%", height: "520px" });
  client.on("app.activated", tell);
}

function heard(event) {
  if (event.origin !== origin || event.source !== frame.contentWindow) return;
  if (event.data?.event === "triage:ready") tell();
  if (event.data?.event === "triage:insert") client.invoke("ticket.comment.appendText", String(event.data.text));
}

async function tell() {
  const asked = ["ticket.id", "ticket.subject", "ticket.description", "ticket.via", "ticket.createdAt", "ticket.requester.id", "currentUser.name"];
  const found = await client.get(asked);
  const ticket = {
    ticket_id: String(found["ticket.id"]),
    subject: found["ticket.subject"] ?? "",
    body: found["ticket.description"] ?? "",
  };
  const channel = found["ticket.via"]?.channel;
  if (channel) ticket.channel = String(channel);
  const at = new Date(found["ticket.createdAt"] ?? NaN);
  if (!Number.isNaN(at.getTime())) ticket.created_at = at.toISOString();
  if (found["ticket.requester.id"]) ticket.customer_key = String(found["ticket.requester.id"]);
  const message = { event: "triage:ticket", ticket, agent: found["currentUser.name"] };
  frame.contentWindow.postMessage(message, origin);
}

start();
