import type { ReactNode } from "react";
import { cx } from "./cx";
import styles from "./Notice.module.css";

/** A sentence that stands out: by the way, or (`bad`) because something did not work, which screen readers then tell at once. */
export function Notice({
  bad = false,
  className,
  children,
}: {
  bad?: boolean;
  className?: string | undefined;
  children: ReactNode;
}) {
  return (
    <div className={cx(styles.notice, bad && styles.bad, className)} {...(bad && { role: "alert" })}>
      {children}
    </div>
  );
}

export function Spinner({ label }: { label?: string }) {
  return (
    <span className={styles.spinner} {...(label ? { role: "status", "aria-label": label } : { "aria-hidden": true })} />
  );
}
