// Stores an unfinished upload on this device (IndexedDB) until the server has confirmed all its photos.
// It belongs to one account; other accounts on this device do not see it. Nothing here throws: if the browser stores
// nothing (private windows), the page works without a draft.

const NAME = "teri-drafts";
const KEPT_MS = 3 * 24 * 60 * 60 * 1000; // photos of skin do not lie about for longer

let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("forms", { keyPath: "owner" });
      request.result.createObjectStore("photos", { keyPath: "id" }).createIndex("owner", "owner");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
    request.onblocked = () => reject(new Error("blocked"));
  });
  return opening;
}

// Run `work(stores)` in one transaction. Resolves to the result of the returned request, or to undefined.
async function within(mode, work) {
  try {
    const database = await open();
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(["forms", "photos"], mode);
      const request = work(transaction.objectStore("forms"), transaction.objectStore("photos"));
      transaction.oncomplete = () => resolve(request?.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    return undefined;
  }
}

// Save the form fields with the idempotency key of the upload. Returns whether they were saved.
export async function keepForm(owner, key, fields) {
  return (await within("readwrite", (forms) => forms.put({ owner, key, fields, saved: Date.now() }))) !== undefined;
}

// Save one chosen photo. Returns whether it was saved.
export async function keepPhoto(owner, id, file) {
  return (await within("readwrite", (_forms, photos) => photos.put({ owner, id, file, name: file.name }))) !== undefined;
}

export function dropPhoto(id) {
  return within("readwrite", (_forms, photos) => photos.delete(id));
}

export function dropForm(owner) {
  return within("readwrite", (forms) => forms.delete(owner));
}

// The unfinished upload of this account: { key, fields, photos: [{ id, file, name }] }, or null.
export async function unfinished(owner) {
  await dropOld();
  const form = await within("readonly", (forms) => forms.get(owner));
  const photos = await within("readonly", (_forms, all) => all.index("owner").getAll(owner));
  return form && photos?.length ? { key: form.key, fields: form.fields, photos } : null;
}

async function dropOld() {
  const forms = (await within("readonly", (all) => all.getAll())) ?? [];
  const photos = (await within("readonly", (_forms, all) => all.getAll())) ?? [];
  const kept = new Set(forms.filter((form) => Date.now() - form.saved < KEPT_MS).map((form) => form.owner));
  await within("readwrite", (allForms, allPhotos) => {
    for (const form of forms) if (!kept.has(form.owner)) allForms.delete(form.owner);
    for (const photo of photos) if (!kept.has(photo.owner)) allPhotos.delete(photo.id);
  });
}
