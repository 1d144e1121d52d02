// Advice on a photo before it is sent: size, light, contrast, blur. The server decides.
// The measures are those of recognition/inference/quality.py: everything on a copy at the reference scale, on its middle
// three quarters, luminance Rec. 601, 0 to 255. Scale and limits are those of the live classifier, from the page.

const MARGIN = 8; // one part in so many is left out at every border
const CLIPPED = 250;

// The code of the first limit that a photo violates. "" if it meets all, or if the browser cannot draw it (HEIC).
export async function examine(file, limits) {
  try {
    const picture = await createImageBitmap(file);
    try {
      return problem(picture.width, picture.height, greyOf(picture, limits.reference_long_side), limits);
    } finally {
      picture.close();
    }
  } catch {
    return "";
  }
}

// The middle of the picture at the reference scale, as luminance in rows.
function greyOf(picture, reference) {
  const scale = Math.min(1, reference / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  // Repeated halving approximates area averaging. One large step would sample single pixels and look sharper.
  let source = picture;
  let [w, h] = [picture.width, picture.height];
  while (w > 2 * width && h > 2 * height) {
    [w, h] = [Math.ceil(w / 2), Math.ceil(h / 2)];
    source = drawn(source, w, h);
  }
  source = drawn(source, width, height);
  const [left, top] = [Math.floor(width / MARGIN), Math.floor(height / MARGIN)];
  const [inner, rows] = [width - 2 * left, height - 2 * top];
  const pixels = source.getContext("2d").getImageData(left, top, inner, rows).data;
  const grey = new Float32Array(inner * rows);
  for (let i = 0; i < grey.length; i += 1) {
    grey[i] = 0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2];
  }
  return { grey, width: inner, height: rows };
}

function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

function problem(width, height, { grey, width: inner, height: rows }, limits) {
  const sorted = Float32Array.from(grey).sort();
  const dark = Math.max(1, sorted[Math.floor(0.05 * (sorted.length - 1))]);
  const bright = Math.max(1, sorted[Math.floor(0.95 * (sorted.length - 1))]);
  if (Math.max(width, height) < limits.long_side_min) return "too_small";
  if (bright < limits.bright_min) return "too_dark";
  if (sorted.filter((value) => value >= CLIPPED).length / sorted.length > limits.clipped_max) return "too_bright";
  if ((bright - dark) / bright < limits.contrast_min) return "low_contrast";
  return laplacianVariance(grey, inner, rows, 100 / bright) < limits.sharpness_min ? "blurred" : "";
}

// Variance of the Laplacian of the luminance in per cent of `bright` (Pech-Pacheco et al. 2000).
function laplacianVariance(grey, width, height, factor) {
  let [sum, squares, count] = [0, 0, 0];
  for (let y = 1; y < height - 1; y += 1) {
    for (let x = 1; x < width - 1; x += 1) {
      const i = y * width + x;
      const value = factor * (4 * grey[i] - grey[i - 1] - grey[i + 1] - grey[i - width] - grey[i + width]);
      sum += value;
      squares += value * value;
      count += 1;
    }
  }
  return count ? squares / count - (sum / count) ** 2 : 0;
}
