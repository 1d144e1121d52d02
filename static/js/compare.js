// Lays two photos of a spot over each other, with a slider between them. Without JavaScript they are side by side.

const compare = document.querySelector("[data-compare]");
if (compare) {
  const stage = compare.querySelector("[data-stage]");
  const after = compare.querySelector("[data-after]");
  const box = after.parentElement;
  const cut = compare.querySelector("[data-cut]");
  const aligns = [...compare.querySelectorAll("[data-align]")];
  const modes = [...compare.querySelectorAll("[data-mode]")];

  function draw() {
    stage.style.setProperty("--cut", `${100 - Number(cut.value)}%`);
    const [zoom, x, y, turn] = ["zoom", "x", "y", "turn"].map((name) => {
      return Number(compare.querySelector(`[data-align=${name}]`).value);
    });
    after.style.transform = `translate(${x}%, ${y}%) rotate(${turn}deg) scale(${zoom / 100})`;
  }

  function choose(mode) {
    stage.classList.toggle("compare__stage--slide", mode === "slide");
    compare.querySelector("[data-sliding]").hidden = mode !== "slide";
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    if (mode === "slide") draw();
    else after.style.transform = "";
  }

  for (const input of [cut, ...aligns]) input.addEventListener("input", draw);
  for (const button of modes) button.addEventListener("click", () => choose(button.dataset.mode));
  compare.querySelector("[data-align-reset]").addEventListener("click", () => {
    for (const input of aligns) input.value = input.defaultValue;
    draw();
  });

  // Moving the pointer over the picture also moves the slider.
  stage.addEventListener("pointermove", (event) => {
    if (!stage.classList.contains("compare__stage--slide") || !(event.buttons & 1)) return;
    const { left, width } = box.getBoundingClientRect();
    cut.value = String(100 - (100 * (event.clientX - left)) / width);
    draw();
  });

  compare.querySelector("[data-controls]").hidden = false;
  choose("slide");
}
