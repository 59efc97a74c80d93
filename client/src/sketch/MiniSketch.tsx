import { cx } from "../ui/cx";
import styles from "./MiniSketch.module.css";
import { type Mark, SIDE } from "./strokes";

/** A drawing as a small picture that takes the colour of the text around it. */
export function MiniSketch({ marks, className }: { marks: readonly Mark[]; className?: string | undefined }) {
  return (
    <svg className={cx(styles.mini, className)} viewBox={`0 0 ${SIDE} ${SIDE}`} aria-hidden="true">
      {marks.map((mark, index) =>
        mark.kind === "pen" ? (
          <polyline
            // biome-ignore lint/suspicious/noArrayIndexKey: the strokes of a fixed drawing never change places
            key={index}
            points={mark.points.map(([x, y]) => `${x.toFixed(0)},${y.toFixed(0)}`).join(" ")}
            fill="none"
            stroke="currentColor"
            strokeWidth="20"
            strokeLinecap="round"
            strokeLinejoin="round"
          />
        ) : null,
      )}
    </svg>
  );
}
