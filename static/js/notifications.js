// Keeps the number of unread messages in the header up to date while a page stands open. Without this it is that of
// the moment the page was made.
const badges = document.querySelectorAll("[data-notification-badge]");
const spoken = document.querySelector("[data-notification-words]");
const address = document.querySelector("[data-notification-count]")?.dataset.notificationCount;
const PAUSE_MS = 60_000;

async function look() {
  if (document.hidden) return;
  const answer = await fetch(address, { headers: { Accept: "application/json" }, redirect: "error" });
  if (!answer.ok) return;
  const { unread, words } = await answer.json();
  for (const badge of badges) {
    badge.textContent = String(unread);
    badge.hidden = unread === 0;
  }
  // A live region speaks when its words change, and only then.
  if (spoken && spoken.textContent !== words) spoken.textContent = words;
}

// The connection may be gone, or the session over: the next look, or the next page, tells.
if (address) setInterval(() => look().catch(() => {}), PAUSE_MS);
