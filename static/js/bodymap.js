// Places a spot on the drawing: a click sets the dot, arrow keys move it. The list of places does the same and works
// without JavaScript.

const UNITS = 4; // of the drawing, for one press of an arrow key; with Shift one

const form = document.querySelector("[data-bodymap]");
if (form) {
  const place = form.elements.place;
  const drawings = [...form.querySelectorAll("svg[data-view]")];
  const words = form.querySelector("[data-placing-words]");

  const regionsOf = (svg) => [...svg.querySelectorAll("[data-region]")].reverse(); // as drawn: the uppermost first
  const point = (svg, x, y) => Object.assign(svg.createSVGPoint(), { x, y });

  // The region of a place in units of the drawing; null outside the body.
  function regionAt(svg, x, y) {
    const at = point(svg, x, y);
    if (!svg.querySelector("[data-silhouette]").isPointInFill(at)) return null;
    return regionsOf(svg).find((region) => region.isPointInFill(at)) ?? null;
  }

  function mark(svg, x, y) {
    for (const each of drawings) {
      const dot = each.querySelector("[data-dot]");
      dot.hidden = each !== svg;
      dot.toggleAttribute("hidden", each !== svg);
      for (const region of regionsOf(each)) region.classList.remove("body__region--chosen");
    }
    if (!svg) return;
    const dot = svg.querySelector("[data-dot]");
    dot.setAttribute("cx", x.toFixed(1));
    dot.setAttribute("cy", y.toFixed(1));
    regionAt(svg, x, y)?.classList.add("body__region--chosen");
  }

  function put(svg, x, y) {
    const region = regionAt(svg, x, y);
    if (!region) return false;
    place.value = `region:${region.dataset.region}`;
    form.elements.body_view.value = svg.dataset.view;
    form.elements.body_x.value = (x / svg.viewBox.baseVal.width).toFixed(4);
    form.elements.body_y.value = (y / svg.viewBox.baseVal.height).toFixed(4);
    mark(svg, x, y);
    words.textContent = region.dataset.label;
    return true;
  }

  function marked(svg) {
    const dot = svg.querySelector("[data-dot]");
    return dot.hasAttribute("hidden") ? null : [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))];
  }

  // Shows the selected region on the drawing: the exact point if it is in the region, else the centre.
  function followList() {
    const key = place.value.startsWith("region:") ? place.value.slice("region:".length) : "";
    const region = key ? form.querySelector(`[data-region="${CSS.escape(key)}"]`) : null;
    if (!region) {
      for (const name of ["body_view", "body_x", "body_y"]) form.elements[name].value = "";
      mark(null);
      return;
    }
    const svg = region.ownerSVGElement;
    const [x, y] = [form.elements.body_x.value, form.elements.body_y.value].map(Number);
    const [unitX, unitY] = [x * svg.viewBox.baseVal.width, y * svg.viewBox.baseVal.height];
    const fits = form.elements.body_x.value && form.elements.body_view.value === svg.dataset.view;
    if (fits && regionAt(svg, unitX, unitY) === region) mark(svg, unitX, unitY);
    else put(svg, ...region.dataset.centre.split(" ").map(Number));
  }

  for (const svg of drawings) {
    svg.addEventListener("click", (event) => {
      const { x, y } = point(svg, event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      put(svg, x, y);
    });
    svg.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 1 : UNITS;
      const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
      if (!by) return;
      event.preventDefault();
      const from = marked(svg);
      if (!from) {
        put(svg, svg.viewBox.baseVal.width / 2, svg.viewBox.baseVal.height * 0.29); // the middle of the trunk
        return;
      }
      // The dot jumps over gaps, such as between arm and trunk. It stops at the border of the body.
      for (let steps = 1; steps <= 12; steps += 1) {
        if (put(svg, from[0] + steps * by[0], from[1] + steps * by[1])) return;
      }
    });
  }
  place.addEventListener("change", followList);
  form.querySelector("[data-drawings]").hidden = false;
  form.querySelector("[data-placing-help]").hidden = false;
  followList();
}
