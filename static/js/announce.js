// Announces a new stage of the analysis once. The fragment itself is replaced every second and would be read each time.
let stage = document.querySelector("#state")?.dataset.stage;
document.addEventListener("htmx:afterSwap", () => {
  const state = document.querySelector("#state");
  if (!state || state.dataset.stage === stage) return;
  stage = state.dataset.stage;
  document.querySelector("#announcement").textContent = [...state.querySelectorAll("[data-announce]")]
    .map((element) => element.textContent.replace(/\s+/g, " ").trim())
    .join(", ");
});
