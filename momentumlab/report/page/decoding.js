// Reading the arrays of a page; the other half of encoding.py.

const element = (id) => document.getElementById(id);
const fail = (message) => { element("failure").textContent = message; element("failure").hidden = false; };

async function decompressed(base64) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser lacks DecompressionStream");
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Return a function that reads one array from its description.
function reader(bytes) {
  const types = { i1: Int8Array, u1: Uint8Array, i2: Int16Array, i4: Int32Array, f4: Float32Array, f8: Float64Array };
  return function ({ dtype, shape, offset, difference }) {
    const Type = types[dtype], width = Type.BYTES_PER_ELEMENT, count = shape.reduce((a, b) => a * b, 1);
    // All low bytes come first, then all second bytes, and so on.
    const content = new Uint8Array(count * width);
    for (let byte = 0; byte < width; byte++) {
      for (let i = 0; i < count; i++) content[i * width + byte] = bytes[offset + byte * count + i];
    }
    const values = new Type(content.buffer);
    if (difference === undefined) return values;
    // The differenced axis is last in the file; sums wrap around as the differences did.
    const length = shape[difference];
    for (let row = 0; row < count; row += length) {
      for (let i = row + 1; i < row + length; i++) values[i] += values[i - 1];
    }
    const inner = shape.slice(difference + 1).reduce((a, b) => a * b, 1);
    if (inner === 1) return values;
    const moved = new Type(count);
    for (let i = 0; i < count; i++) {
      const position = i % length, rest = Math.floor(i / length);
      moved[(Math.floor(rest / inner) * length + position) * inner + (rest % inner)] = values[i];
    }
    return moved;
  };
}
