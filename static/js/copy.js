// Copies the text beside the button. Without JavaScript the text can be selected and copied.
for (const box of document.querySelectorAll("[data-copy]")) {
  const source = box.querySelector("[data-copy-source]");
  const button = box.querySelector("[data-copy-button]");
  const state = box.querySelector("[data-copy-state]");
  source.addEventListener("focus", () => source.select());
  if (!navigator.clipboard) continue; // a page without HTTPS may not
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.value);
      state.textContent = box.dataset.wordsCopied;
    } catch {
      state.textContent = box.dataset.wordsNotCopied;
      source.focus();
    }
  });
}
