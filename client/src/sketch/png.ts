/** Grey pixels -> PNG. The canvas' own writer waits for an idle moment, and packs four channels where one says all. No DOM here. */

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

function crc(bytes: Uint8Array): number {
  let rest = 0xffffffff;
  for (const byte of bytes) rest = (TABLE[(rest ^ byte) & 255] ?? 0) ^ (rest >>> 8);
  return ~rest >>> 0;
}

/** A chunk of a PNG: length, type and content, check sum. */
function chunk(type: string, content: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(content.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  for (let k = 0; k < 4; k++) bytes[4 + k] = type.charCodeAt(k);
  bytes.set(content, 8);
  view.setUint32(content.length + 8, crc(bytes.subarray(4, content.length + 8)));
  return bytes;
}

/** Rows of grey as PNG has them, a byte that names no filter before each; null where some pixel (RGBA, opaque) has a colour. */
export function greyRows(pixels: ArrayLike<number>, width: number, height: number): Uint8Array<ArrayBuffer> | null {
  const rows = new Uint8Array((width + 1) * height);
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    to++;
    for (let x = 0; x < width; x++, from += 4) {
      const value = pixels[from] ?? 0;
      if (value !== pixels[from + 1] || value !== pixels[from + 2]) return null;
      rows[to++] = value;
    }
  }
  return rows;
}

/** An 8-bit grey PNG of such rows. */
export async function greyPng(rows: Uint8Array<ArrayBuffer>, width: number, height: number): Promise<Blob> {
  const { readable, writable } = new CompressionStream("deflate");
  const writer = writable.getWriter();
  const written = writer.write(rows).then(() => writer.close());
  const head = new Uint8Array(13);
  const view = new DataView(head.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  head.set([8, 0, 0, 0, 0], 8); // bits, grey, and the only ways to pack, filter and interlace that need no choice
  const [packed] = await Promise.all([new Response(readable).arrayBuffer(), written]);
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  return new Blob(
    [signature, chunk("IHDR", head), chunk("IDAT", new Uint8Array(packed)), chunk("IEND", new Uint8Array())],
    {
      type: "image/png",
    },
  );
}
