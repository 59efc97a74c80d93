/** Rows of pictures that fill the width exactly, each picture whole and in its own proportions. */

export interface Box<T> {
  item: T;
  width: number;
}

export interface Row<T> {
  height: number;
  boxes: Box<T>[];
}

/** Proportions beyond these are shown cropped, lest a panorama shrink its whole row. */
const NARROWEST = 0.5;
const WIDEST = 2.6;

export const shownAspect = (size: { width: number; height: number }): number => {
  const aspect = size.width / size.height;
  return Number.isFinite(aspect) && aspect > 0 ? Math.min(WIDEST, Math.max(NARROWEST, aspect)) : 1;
};

/**
 * Lays items out in order. A row is as high as it must be to fill `width` (px); rows come as close to `target` height as whole
 * pictures allow. The last row is never stretched beyond `target`. Rows before the last do not change when items are appended.
 */
export function justify<T extends { width: number; height: number }>(
  items: readonly T[],
  width: number,
  target: number,
  gap: number,
): Row<T>[] {
  if (width <= 0) return [];
  const rows: Row<T>[] = [];
  let row: T[] = [];
  let aspects = 0;

  const heightOf = (count: number, sum: number): number => (width - gap * (count - 1)) / sum;
  const close = (height: number): void => {
    rows.push({ height, boxes: row.map((item) => ({ item, width: shownAspect(item) * height })) });
    row = [];
    aspects = 0;
  };

  for (const item of items) {
    const aspect = shownAspect(item);
    if (row.length > 0) {
      const before = heightOf(row.length, aspects);
      const after = heightOf(row.length + 1, aspects + aspect);
      // Ratios, not differences: twice too high is as bad as half the height.
      if (after < target && before / target < target / after) close(before);
    }
    row.push(item);
    aspects += aspect;
    const height = heightOf(row.length, aspects);
    if (height <= target * 0.8) close(height);
  }
  if (row.length > 0) close(Math.min(target, heightOf(row.length, aspects)));
  return rows;
}
