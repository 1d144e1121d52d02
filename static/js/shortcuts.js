// Keyboard shortcuts for readers: rows of the worklist, answers of a reading, zoom. They can be switched off, which is
// stored here, and are inactive in text fields (WCAG 2.1.4).
const OFF = "teri-shortcuts-off";
const STEP = 1.5;
const box = document.querySelector("[data-shortcuts]");

const remembered = () => {
  try {
    return localStorage.getItem(OFF) === "1";
  } catch {
    return false; // storage is forbidden: they stay on until the page is left
  }
};
const remember = (off) => {
  try {
    if (off) localStorage.setItem(OFF, "1");
    else localStorage.removeItem(OFF);
  } catch {
    // then not
  }
};

if (box) {
  const panel = box.querySelector("dialog");
  const choice = box.querySelector("[data-shortcuts-switch]");
  choice.checked = !remembered();
  choice.addEventListener("change", () => remember(!choice.checked));
  box.querySelector("[data-shortcuts-open]").addEventListener("click", () => panel.showModal());
  box.querySelector("[data-shortcuts-close]").addEventListener("click", () => panel.close());
  box.hidden = false;

  const rows = [...document.querySelectorAll("[data-shortcut-rows] [data-row]")];
  const viewer = document.querySelector("[data-zoom]");
  const step = (by) => {
    const at = rows.indexOf(document.activeElement);
    const next = rows[at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + by))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const choose = (key) => {
    const radio = document.querySelector(`input[type="radio"][data-key="${key}"]`);
    if (!radio) return;
    radio.checked = true;
    radio.focus();
  };
  const tell = (name, detail) => viewer?.dispatchEvent(new CustomEvent(name, { detail }));
  const keys = {
    "?": () => (panel.open ? panel.close() : panel.showModal()),
    j: () => step(1),
    k: () => step(-1),
    "+": () => tell("zoom:by", STEP),
    "=": () => tell("zoom:by", STEP),
    "-": () => tell("zoom:by", 1 / STEP),
    f: () => tell("zoom:fit"),
    h: () => document.querySelector("#heatmap-switch")?.click(),
    n: () => document.querySelector("[data-next]")?.click(),
  };
  for (const digit of "1234567890") keys[digit] = () => choose(digit);

  // Radio buttons and check boxes take no text, so the keys work there too.
  const writes = (element) =>
    element.isContentEditable ||
    element.matches("textarea, select, input:not([type='radio'], [type='checkbox'], [type='submit'], [type='button'])");

  document.addEventListener("keydown", (event) => {
    if (!choice.checked || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (writes(event.target) || (panel.open && event.key !== "?")) return;
    // Arrow keys scroll the page until a row is selected.
    const arrow = rows.includes(event.target) && { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const act = arrow ? () => step(arrow) : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
