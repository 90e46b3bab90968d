"use strict";
// Original | decoded behind a divider, and the ratio image, zoomed and panned in step.

const LARGEST = 40; // screen pixels of a pixel
const STEP = 1.5;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

for (const viewer of document.querySelectorAll("[data-viewer]")) {
  const about = data.page[`band ${viewer.dataset.viewer}`].viewer;
  const stages = [...viewer.querySelectorAll(".stage")];
  const pair = viewer.querySelector(".pair");
  const after = viewer.querySelector(".after");
  const divider = viewer.querySelector(".divider");
  const range = viewer.querySelector("input[type=range]");
  const readout = viewer.querySelector(".readout");
  const images = [...viewer.querySelectorAll("img")];
  let shown = 0; // number of the image
  let scale = 1;
  let left = 0; // of the image's corner in the stage, screen pixels
  let top = 0;
  let size = [pair.clientWidth, pair.clientHeight];

  const image = () => about.images[shown];
  const fitting = (width, height) => Math.min(pair.clientWidth / width, pair.clientHeight / height);

  function place() {
    const { width, height } = image();
    const [w, h] = [pair.clientWidth, pair.clientHeight];
    // What is smaller than the stage stays in its middle, what is larger covers it.
    left = width * scale <= w ? (w - width * scale) / 2 : clamp(left, w - width * scale, 0);
    top = height * scale <= h ? (h - height * scale) / 2 : clamp(top, h - height * scale, 0);
    for (const each of images) each.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
  }

  function zoom(factor, x = pair.clientWidth / 2, y = pair.clientHeight / 2) {
    const { width, height } = image();
    const next = clamp(scale * factor, Math.min(fitting(width, height), 1), LARGEST);
    left = x - ((x - left) * next) / scale;
    top = y - ((y - top) * next) / scale;
    scale = next;
    place();
  }

  function show([x, y, width, height]) {
    scale = clamp(fitting(width, height), 0.001, LARGEST);
    left = pair.clientWidth / 2 - (x + width / 2) * scale;
    top = pair.clientHeight / 2 - (y + height / 2) * scale;
    place();
  }

  const fit = () => show([0, 0, image().width, image().height]);

  function go(place) {
    shown = place.image;
    for (const each of images) each.hidden = Number(each.dataset.image) !== shown;
    if (place.focus) show(place.focus);
    else fit();
  }

  function swipe(percent) {
    range.value = clamp(percent, 0, 100);
    after.style.clipPath = `inset(0 0 0 ${range.value}%)`;
    divider.style.left = `${range.value}%`;
  }

  const zooms = { in: () => zoom(STEP), out: () => zoom(1 / STEP), fit, one: () => zoom(1 / scale) };
  for (const button of viewer.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", zooms[button.dataset.zoom]);
  }
  const choice = viewer.querySelector(".place");
  choice.addEventListener("change", () => go(about.places[choice.value]));
  range.addEventListener("input", () => swipe(Number(range.value)));

  // The ratio is stretched; drawn with the images' decibels per gray level it is what the eye would see.
  const { stretch_db: stretch, ratio_db: ratios } = about;
  viewer.querySelector(".same").addEventListener("change", (event) => {
    const contrast = event.target.checked ? (ratios[1] - ratios[0]) / (stretch[1] - stretch[0]) : 1;
    for (const each of viewer.querySelectorAll(".ratio img")) {
      each.style.filter = contrast === 1 ? "" : `contrast(${contrast})`;
    }
  });

  const keys = {
    ArrowLeft: () => (left += 40), ArrowRight: () => (left -= 40),
    ArrowUp: () => (top += 40), ArrowDown: () => (top -= 40),
    "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: fit, 1: zooms.one,
  };
  for (const stage of stages) {
    stage.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      keys[event.key]();
      place();
    });
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // else the page could not be scrolled
      event.preventDefault();
      const box = stage.getBoundingClientRect();
      zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      const box = stage.getBoundingClientRect();
      zoom(2, event.clientX - box.left, event.clientY - box.top);
    });
    stage.addEventListener("dragstart", (event) => event.preventDefault()); // of the image, by the browser
    let drag = null;
    stage.addEventListener("pointerdown", (event) => {
      drag = { swiping: event.target === divider, x: event.clientX, y: event.clientY };
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      const box = stage.getBoundingClientRect();
      if (drag?.swiping) {
        swipe(Math.round(((event.clientX - box.left) / box.width) * 100));
      } else if (drag) {
        left += event.clientX - drag.x;
        top += event.clientY - drag.y;
        Object.assign(drag, { x: event.clientX, y: event.clientY });
        place();
      }
      read((event.clientX - box.left - left) / scale, (event.clientY - box.top - top) / scale);
    });
    for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, () => (drag = null));
  }

  // Grays of the shown images, read back once: [original, decoded, ratio].
  const planes = {};
  function grays() {
    planes[shown] ??= images
      .filter((each) => Number(each.dataset.image) === shown)
      .map((each) => {
        const canvas = document.createElement("canvas");
        canvas.width = each.naturalWidth;
        canvas.height = each.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(each, 0, 0);
        return context.getImageData(0, 0, canvas.width, canvas.height).data;
      });
    return planes[shown];
  }

  function value(gray, [from, to]) {
    if (gray === 0) return "no data";
    const shownValue = plainNumber(+(from + ((gray - 1) / 254) * (to - from)).toFixed(2));
    return `${gray === 1 ? "≤ " : gray === 255 ? "≥ " : ""}${shownValue} dB`;
  }

  function read(x, y) {
    const here = image();
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (column < 0 || row < 0 || column >= here.width || row >= here.height) return;
    const [original, decoded, ratio] = grays().map((plane) => plane[4 * (row * here.width + column)]);
    const wide = here.factor > 1 ? `, mean of ${here.factor}×${here.factor} pixels` : "";
    readout.textContent =
      `column ${here.column + column * here.factor}, row ${here.row + row * here.factor}${wide}: ` +
      `original ${value(original, stretch)}, decoded ${value(decoded, stretch)}, ` +
      `ratio ${value(ratio, ratios)}`;
  }
  // On paper, or when a window is resized, the same part of the image stays in view.
  const resize = () => {
    const [w, h] = [pair.clientWidth, pair.clientHeight];
    const factor = Math.min(w / size[0], h / size[1]);
    left = w / 2 - (size[0] / 2 - left) * factor;
    top = h / 2 - (size[1] / 2 - top) * factor;
    scale *= factor;
    size = [w, h];
    place();
  };
  fits.push(resize);
  new ResizeObserver(resize).observe(pair);
  swipe(50);
  go(about.places[0]);
}
