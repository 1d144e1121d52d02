// The upload page with JavaScript: preview, dropping a file, a check of its size, progress. The form works without.
// Listeners sit on the document because htmx replaces the form when the server finds something wrong.

const within = (element, selector) => element?.querySelector(selector);

function problemWith(file, input, zone) {
  const words = within(zone, "[data-file-problem]").dataset;
  if (file.size === 0) return words.wordsEmpty;
  if (file.size > Number(input.dataset.maxBytes)) return words.wordsLarge;
  return "";
}

// What the chosen file looks like, and what is wrong with it as far as the browser can tell. Returns whether it may go.
function show(input) {
  const zone = input.closest("[data-dropzone]");
  const preview = within(zone, "[data-preview]");
  const name = within(zone, "[data-file-name]");
  const problem = within(zone, "[data-file-problem]");
  const file = input.files[0];
  if (preview.src.startsWith("blob:")) URL.revokeObjectURL(preview.src);
  preview.hidden = true;
  name.hidden = !file;
  problem.hidden = true;
  zone.classList.toggle("dropzone--filled", Boolean(file));
  if (!file) return false;
  name.textContent = file.name;
  problem.textContent = problemWith(file, input, zone);
  problem.hidden = !problem.textContent;
  if (!problem.hidden) return false;
  // A format that the browser cannot draw (HEIC) simply has no preview; the server says what it thinks of it.
  preview.onload = () => (preview.hidden = false);
  preview.src = URL.createObjectURL(file);
  return true;
}

function enhance() {
  for (const zone of document.querySelectorAll("[data-dropzone]")) {
    zone.classList.add("dropzone--enhanced");
    const input = within(zone, "input[type=file]");
    if (input.files.length) show(input);
  }
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-dropzone] input[type=file]")) show(event.target);
});

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const zone = event.target.closest?.("[data-dropzone]");
    // A file dropped beside the zone must not make the browser leave the page.
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    if (!zone) return;
    zone.classList.toggle("dropzone--over", kind === "dragenter" || kind === "dragover");
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    const input = within(zone, "input[type=file]");
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    show(input);
  });
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const form = event.target.closest?.("[data-upload]");
  if (!form) return;
  const input = within(form, "input[type=file]");
  if (input.files.length && !show(input)) {
    event.preventDefault();
    within(form, "[data-file-problem]").scrollIntoView({ block: "center" });
    return;
  }
  report(form, 0, form.dataset.wordsSending);
});

document.addEventListener("htmx:xhr:progress", (event) => {
  const form = event.target.closest?.("[data-upload]");
  if (!form || !event.detail.lengthComputable) return;
  const share = Math.round((100 * event.detail.loaded) / event.detail.total);
  report(form, share, share < 100 ? form.dataset.wordsSending : form.dataset.wordsChecking);
});

function report(form, share, words) {
  const progress = within(form, "[data-progress]");
  progress.hidden = false;
  within(progress, "progress").value = share;
  const status = within(progress, "[data-progress-words]");
  if (status.textContent !== words) status.textContent = words;
}

function failed(kind) {
  return (event) => {
    const form = event.target.closest?.("[data-upload]");
    if (!form) return;
    within(form, "[data-progress]").hidden = true;
    const problem = within(form, "[data-file-problem]");
    problem.textContent = form.dataset[kind];
    problem.hidden = false;
  };
}
document.addEventListener("htmx:sendError", failed("wordsLost"));
document.addEventListener("htmx:timeout", failed("wordsLost"));
document.addEventListener("htmx:responseError", failed("wordsRefused"));

document.addEventListener("htmx:afterSettle", () => {
  enhance();
  document.querySelector("[data-upload] [data-autofocus]")?.focus();
});

enhance();
