// Reads a new stage of the analysis out once. The fragment itself is replaced every second and would chatter.
let stage = document.querySelector("#state")?.dataset.stage;
document.addEventListener("htmx:afterSwap", () => {
  const state = document.querySelector("#state");
  if (!state || state.dataset.stage === stage) return;
  stage = state.dataset.stage;
  const words = state.querySelector("[data-announce]");
  const confidence = state.querySelector(".confidence");
  document.querySelector("#announcement").textContent = [words, confidence]
    .filter(Boolean)
    .map((element) => element.textContent.replace(/\s+/g, " ").trim())
    .join(", ");
});
