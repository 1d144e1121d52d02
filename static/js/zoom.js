// Zooms the picture by wheel, pinch, keys, buttons and dragging. Both pictures are in one element that is scaled as a
// whole, so the heatmap stays on the photo.
const FURTHEST = 1;
const CLOSEST = 12;
const STEP = 1.5;

for (const viewer of document.querySelectorAll("[data-zoom]")) {
  const frame = viewer.querySelector("[data-zoom-frame]");
  const plane = viewer.querySelector("[data-zoom-plane]");
  const shown = viewer.querySelector("[data-zoom-scale]");
  const pointers = new Map();
  let scale = 1;
  let x = 0;
  let y = 0;

  viewer.querySelector("[data-zoom-buttons]").hidden = false;
  viewer.querySelector("[data-zoom-hint]").hidden = false;
  frame.classList.add("viewer__frame--live");
  frame.tabIndex = 0;

  const draw = () => {
    // The scaled element always covers the frame.
    x = Math.min(0, Math.max(x, frame.clientWidth * (1 - scale)));
    y = Math.min(0, Math.max(y, frame.clientHeight * (1 - scale)));
    plane.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    frame.classList.toggle("viewer__frame--near", scale > 1);
    shown.textContent = `${Math.round(scale * 100)} %`;
  };

  // Zooms in or out around one fixed point of the frame.
  const zoom = (factor, atX = frame.clientWidth / 2, atY = frame.clientHeight / 2) => {
    const next = Math.min(CLOSEST, Math.max(FURTHEST, scale * factor));
    x = atX - ((atX - x) * next) / scale;
    y = atY - ((atY - y) * next) / scale;
    scale = next;
    draw();
  };
  const fit = () => {
    scale = 1;
    x = y = 0;
    draw();
  };
  const within = (event) => {
    const box = frame.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  for (const button of viewer.querySelectorAll("[data-zoom-by]")) {
    button.addEventListener("click", () => zoom(Number(button.dataset.zoomBy)));
  }
  viewer.querySelector("[data-zoom-fit]").addEventListener("click", fit);

  // The wheel scrolls the page until the picture is focused.
  frame.addEventListener(
    "wheel",
    (event) => {
      if (document.activeElement !== frame && !event.ctrlKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...within(event));
    },
    { passive: false },
  );

  frame.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = frame.clientWidth / 8;
    const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else if (event.key === "0") fit();
    else if (scale > 1 && moves[event.key]) {
      x += moves[event.key][0];
      y += moves[event.key][1];
      draw();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  frame.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, within(event));
    // Do not capture a finger that only scrolls the page.
    if (scale > 1 || pointers.size > 1) frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = within(event);
    if (pointers.size === 1 && scale > 1) {
      x += now[0] - before[0];
      y += now[1] - before[1];
      draw();
    } else if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
      const apart = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]) || 1;
      zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    pointers.set(event.pointerId, now);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    frame.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  frame.addEventListener("dblclick", (event) => (scale > 1 ? fit() : zoom(3, ...within(event))));
  window.addEventListener("resize", draw);
  viewer.addEventListener("zoom:by", (event) => zoom(event.detail));
  viewer.addEventListener("zoom:fit", fit);
}
