// The upload page with JavaScript: each photo has a preview, advice and progress, and is sent separately. A refused
// photo shows the reason and does not stop the others. A lost connection loses nothing. The form works without it.

import { dropForm, dropPhoto, keepForm, keepPhoto, unfinished } from "./draft.js";
import { examine } from "./quality.js";

const RETRY_MS = [3000, 8000, 20_000, 60_000]; // a lost connection is tried again, ever more patiently
const TIMEOUT_MS = 180_000;

const form = document.querySelector("[data-upload]");
const words = form.dataset;
const zone = form.querySelector("[data-dropzone]");
const picker = zone.querySelector("input[type=file]");
const camera = form.querySelector("[data-camera]");
const list = form.querySelector("[data-chosen]");
const rowTemplate = form.querySelector("template[data-row]");
const problem = form.querySelector("[data-file-problem]");
const status = form.querySelector("[data-status]");
const send = form.querySelector("[data-send]");
const several = form.querySelector("[data-several]");

/** The chosen photos: { id, file, row, state: "chosen" | "sending" | "waiting" | "sent" | "refused", answer }. */
let photos = [];
let kept = true; // whether the browser keeps drafts at all
let ready = Promise.resolve(); // the last draft has been read; nothing of it is overwritten before
let busy = false;
let tries = 0;
let retryTimer = 0;

const part = (row, name) => row.querySelector(`[data-${name}]`);
const unsent = () => photos.filter((photo) => photo.state !== "sent");

// --- Choosing

function choose(files) {
  problem.hidden = true;
  // Remove the photos that were refused at the last attempt: the user is replacing them.
  for (const photo of photos.filter((each) => each.refusedBefore)) remove(photo);
  for (const file of files) {
    if (unsent().length >= Number(picker.dataset.maxPhotos)) {
      problem.textContent = problem.dataset.wordsMany;
      problem.hidden = false;
      break;
    }
    add(crypto.randomUUID(), file, true);
  }
  picker.value = "";
  camera.value = "";
  refresh();
}

function add(id, file, isNew) {
  const row = rowTemplate.content.firstElementChild.cloneNode(true);
  const photo = { id, file, row, state: "chosen" };
  photos.push(photo);
  list.append(row);
  part(row, "file-name").textContent = file.name;
  part(row, "remove").addEventListener("click", () => remove(photo));
  const preview = part(row, "preview");
  // A format that the browser cannot draw (HEIC) has no preview. The server checks it.
  preview.onload = () => (preview.hidden = false);
  preview.src = URL.createObjectURL(file);
  const wrong = problemWith(file);
  if (wrong) {
    refuse(photo, wrong);
    return;
  }
  examine(file, JSON.parse(rowTemplate.dataset.quality)).then((code) => {
    const advice = part(row, "advice");
    const key = `words${code.charAt(0).toUpperCase()}${code.slice(1)}`;
    advice.textContent = code ? (rowTemplate.dataset[key] ?? "") : "";
    advice.hidden = !advice.textContent;
  });
  if (isNew) keepFile(photo);
}

async function keepFile(photo) {
  await ready;
  // Meanwhile it may have been removed, sent or refused.
  if (!photos.includes(photo) || ["sent", "refused"].includes(photo.state)) return;
  const done = await keepPhoto(words.owner, photo.id, photo.file);
  kept &&= done;
}

function problemWith(file) {
  if (file.size === 0) return problem.dataset.wordsEmpty;
  if (file.size > Number(picker.dataset.maxBytes)) return problem.dataset.wordsLarge;
  return "";
}

function remove(photo) {
  if (photo.state === "sending") return;
  const next = photo.row.nextElementSibling ?? photo.row.previousElementSibling;
  const hadFocus = photo.row.contains(document.activeElement);
  URL.revokeObjectURL(part(photo.row, "preview").src);
  photo.row.remove();
  photos = photos.filter((other) => other !== photo);
  dropPhoto(photo.id);
  refresh();
  if (hadFocus) (next ? part(next, "remove") : picker).focus();
}

function refuse(photo, why) {
  photo.state = "refused";
  const line = part(photo.row, "problem");
  line.textContent = why;
  line.hidden = false;
  part(photo.row, "progress").hidden = true;
  part(photo.row, "state").textContent = "";
  // A photo that the server refuses is not stored for another attempt.
  dropPhoto(photo.id);
}

function refresh() {
  list.hidden = photos.length === 0;
  picker.required = false;
  several.hidden = unsent().filter((photo) => photo.state !== "refused").length < 2;
  keepFields();
}

// --- The draft

function fields() {
  const given = {};
  for (const [name, value] of new FormData(form)) {
    if (typeof value === "string" && name !== "csrfmiddlewaretoken") given[name] = value;
  }
  return given;
}

let keeping = 0;
function keepFields() {
  clearTimeout(keeping);
  keeping = setTimeout(async () => {
    await ready;
    if (photos.some((photo) => ["chosen", "waiting"].includes(photo.state))) {
      keepForm(words.owner, form.elements.upload_key.value, fields()).then((done) => (kept &&= done));
    } else {
      dropForm(words.owner);
    }
  }, 150);
}

async function restore() {
  const draft = await unfinished(words.owner);
  if (!draft || photos.length) return;
  for (const [name, value] of Object.entries(draft.fields)) {
    const element = form.elements.namedItem(name);
    // A spot in the URL takes precedence over the stored one.
    if (!element || (name === "lesion" && element.value)) continue;
    if (element instanceof RadioNodeList || "value" in element) element.value = value;
  }
  form.elements.upload_key.value = draft.key;
  for (const { id, file, name } of draft.photos) {
    add(id, file instanceof File ? file : new File([file], name, { type: file.type }), false);
  }
  const notice = show("restored", words.wordsRestored);
  part(notice, "discard").addEventListener("click", () => {
    for (const photo of [...photos]) remove(photo);
    notice.remove();
  });
  for (const details of form.querySelectorAll("details")) {
    details.open ||= [...details.querySelectorAll("input, select, textarea")].some((input) =>
      input.type === "radio" ? input.checked && input.value : input.value,
    );
  }
  refresh();
}

// --- Notices

function show(template, text) {
  const place = form.querySelector("[data-notice]");
  place.replaceChildren(form.querySelector(`template[data-${template}]`).content.cloneNode(true));
  const notice = place.firstElementChild;
  const line = part(notice, "words");
  if (line) line.textContent = text;
  return notice;
}

function showProblems(found) {
  const notice = show("wrong");
  const lines = notice.querySelector("ul");
  for (const { id, label, words: why } of found) {
    const line = document.createElement("li");
    if (id) {
      const link = document.createElement("a");
      link.href = `#${id}`;
      link.textContent = label;
      line.append(link, `: ${why}`);
      document.getElementById(id)?.closest("details")?.setAttribute("open", "");
    } else {
      line.textContent = why;
    }
    lines.append(line);
  }
  notice.focus();
  notice.scrollIntoView({ block: "center" });
}

function say(text) {
  if (status.textContent !== text) status.textContent = text;
}

// --- Sending

async function sendAll() {
  if (busy) return;
  clearTimeout(retryTimer);
  const waiting = photos.filter((photo) => photo.state === "chosen" || photo.state === "waiting");
  if (!waiting.length) {
    if (!photos.some((photo) => photo.state === "sent")) {
      problem.textContent = "";
      form.submit(); // nothing chosen: the server has the words for it
    }
    return;
  }
  busy = true;
  send.disabled = true;
  // The number of photos must not decrease while they are sent: a repeated photo must send the same fields.
  const batch = photos.filter((photo) => photo.state !== "refused").length;
  const together = Math.max(Number(form.elements.of.value) || 1, batch);
  form.elements.of.value = String(Math.min(together, Number(picker.dataset.maxPhotos)));
  keepFields();
  for (const photo of waiting) {
    photo.state = "sending";
    part(photo.row, "progress").hidden = false;
    const answer = await sendOne(photo);
    part(photo.row, "progress").hidden = true;
    if (answer.lost) {
      for (const other of waiting) if (other.state === "sending") wait(other);
      wait(photo);
      lost();
      break;
    }
    if (answer.elsewhere) {
      // Signed out, or consent is missing: the draft is kept until the user returns.
      busy = false;
      location.assign(answer.elsewhere);
      return;
    }
    if (answer.status === 201) {
      sent(photo, answer.body);
      continue;
    }
    if (!handleRefusal(photo, answer)) break;
  }
  busy = false;
  send.disabled = false;
  for (const photo of photos) photo.refusedBefore = photo.state === "refused";
  refresh();
  finish();
}

function wait(photo) {
  photo.state = "waiting";
  part(photo.row, "state").textContent = words.wordsWaiting;
}

function sent(photo, body) {
  tries = 0;
  photo.state = "sent";
  photo.answer = body;
  part(photo.row, "state").textContent = words.wordsSent;
  part(photo.row, "remove").hidden = true;
  photo.row.classList.add("chosen__photo--sent");
  dropPhoto(photo.id);
}

// Shows errors: those of a file mark the file, those of the form stop the rest. Returns whether to continue.
function handleRefusal(photo, { status: code, body }) {
  const found = body?.problems ?? [];
  const ofFile = found.filter((each) => each.field === "image");
  const ofForm = found.filter((each) => each.field !== "image");
  if (ofForm.length || !found.length || code >= 500) {
    photo.state = "chosen";
    part(photo.row, "state").textContent = "";
    showProblems(found.length ? found : [{ words: words.wordsRefused }]);
    return false;
  }
  refuse(photo, ofFile.map((each) => each.words).join(" "));
  return true;
}

function sendOne(photo) {
  const data = new FormData();
  for (const [name, value] of new FormData(form)) if (typeof value === "string") data.append(name, value);
  data.append("image", photo.file, photo.file.name);
  const bar = part(photo.row, "progress");
  const state = part(photo.row, "state");
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.timeout = TIMEOUT_MS;
    state.textContent = words.wordsSending;
    say(words.wordsSending);
    request.upload.onprogress = (event) => {
      if (!event.lengthComputable) return;
      bar.value = (100 * event.loaded) / event.total;
      if (event.loaded === event.total) state.textContent = words.wordsChecking;
    };
    request.onload = () => {
      const isJson = (request.getResponseHeader("Content-Type") ?? "").startsWith("application/json");
      if (isJson) return resolve({ status: request.status, body: JSON.parse(request.responseText) });
      const moved = new URL(request.responseURL, location.href);
      if (request.status < 400 && moved.pathname !== new URL(form.action, location.href).pathname) {
        return resolve({ elsewhere: moved.href });
      }
      // A proxy answers 502 to 504 while the site is down. Handle that like a lost connection.
      if ([502, 503, 504].includes(request.status)) return resolve({ lost: true });
      return resolve({ status: request.status, body: null });
    };
    request.onerror = request.ontimeout = request.onabort = () => resolve({ lost: true });
    request.send(data);
  });
}

function lost() {
  say(kept ? words.wordsLost : words.wordsLostUnkept);
  retryTimer = setTimeout(sendAll, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]);
  tries += 1;
}

addEventListener("online", () => {
  if (photos.some((photo) => photo.state === "waiting")) {
    say(words.wordsBack);
    sendAll();
  }
});

// All sent: go to the result. Some refused: stay on the page and link to the others.
function finish() {
  const done = photos.filter((photo) => photo.state === "sent");
  if (!done.length || photos.some((photo) => ["waiting", "chosen"].includes(photo.state))) return;
  const target = done.length === 1 ? done[0].answer.photo : done.at(-1).answer.spot;
  dropForm(words.owner);
  if (done.length === photos.length) {
    say(words.wordsDone);
    location.assign(target);
    return;
  }
  const notice = show("outcome", words.wordsSome);
  part(notice, "go").href = target;
  notice.focus();
  notice.scrollIntoView({ block: "center" });
  say("");
}

// --- Wiring

form.addEventListener("submit", (event) => {
  event.preventDefault();
  tries = 0;
  sendAll();
});
form.addEventListener("input", keepFields);
for (const input of [picker, camera]) input.addEventListener("change", () => input.files.length && choose(input.files));

for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const over = event.target.closest?.("[data-dropzone]");
    // Otherwise the browser would open a file that is dropped beside the zone.
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
    zone.classList.toggle("dropzone--over", Boolean(over) && (kind === "dragenter" || kind === "dragover"));
    if (over && kind === "drop" && event.dataTransfer.files.length) choose(event.dataTransfer.files);
  });
}

addEventListener("beforeunload", (event) => {
  // Warn only if leaving would lose a photo: while it is being sent, or if it is not stored.
  if (busy || (!kept && photos.some((photo) => photo.state === "waiting"))) event.preventDefault();
});

zone.classList.add("dropzone--enhanced");
refresh();
if (picker.files.length) choose(picker.files); // the browser's own memory after "back"
else ready = restore();
