// Updates the number of unread notifications in the header while a page is open. Without JavaScript the number does not
// change.
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
  // A live region is announced only if its text changes.
  if (spoken && spoken.textContent !== words) spoken.textContent = words;
}

// Ignore a lost connection or session: the next request, or the next page, handles it.
if (address) setInterval(() => look().catch(() => {}), PAUSE_MS);
