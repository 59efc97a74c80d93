import { Images, Upload } from "lucide-react";
import { useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { droppedFiles } from "../library/folders";
import styles from "./DropTargets.module.css";

interface Props {
  collection: string;
  onSketch: (file: File) => void;
  onSimilar: (file: File) => void;
  onAdd: (files: readonly File[]) => void;
}

/**
 * While files are dragged over the page: what can be done with them. An element with `data-drop` takes them: "sketch" (the sheet),
 * "similar" or "add"; a drop beside them does nothing, instead of replacing the page by the file.
 */
export function DropTargets({ collection, onSketch, onSimilar, onAdd }: Props) {
  const { t } = useSpeech();
  const [dragging, setDragging] = useState(false);

  useEffect(() => {
    let depth = 0; // enter and leave fire for every element on the way
    let hot: HTMLElement | null = null;
    const targetOf = (event: DragEvent): HTMLElement | null =>
      event.target instanceof Element ? event.target.closest<HTMLElement>("[data-drop]") : null;
    const heat = (element: HTMLElement | null): void => {
      hot?.removeAttribute("data-hot");
      hot = element;
      hot?.setAttribute("data-hot", "");
    };
    const holdsFiles = (event: DragEvent): boolean =>
      // An open dialog covers these targets and has its own.
      event.dataTransfer?.types.includes("Files") === true && !document.querySelector("dialog[open]");
    const enter = (event: DragEvent): void => {
      if (!holdsFiles(event)) return;
      depth += 1;
      setDragging(true);
    };
    const leave = (event: DragEvent): void => {
      if (!holdsFiles(event)) return;
      depth -= 1;
      if (depth > 0) return;
      heat(null);
      setDragging(false);
    };
    const over = (event: DragEvent): void => {
      event.preventDefault();
      heat(targetOf(event));
    };
    const drop = (event: DragEvent): void => {
      const use = targetOf(event)?.dataset.drop;
      const files = [...(event.dataTransfer?.files ?? [])];
      const [first] = files;
      event.preventDefault();
      depth = 0;
      heat(null);
      setDragging(false);
      if (!first) return;
      if (use === "sketch") onSketch(first);
      else if (use === "similar") onSimilar(first);
      else if (use === "add") void droppedFiles(event).then(onAdd);
    };
    document.addEventListener("dragenter", enter);
    document.addEventListener("dragleave", leave);
    document.addEventListener("dragover", over);
    document.addEventListener("drop", drop);
    return () => {
      document.removeEventListener("dragenter", enter);
      document.removeEventListener("dragleave", leave);
      document.removeEventListener("dragover", over);
      document.removeEventListener("drop", drop);
    };
  }, [onSketch, onSimilar, onAdd]);

  if (!dragging) return null;
  return (
    <div className={styles.targets}>
      <div data-drop="similar">
        <Images />
        {t("drop.similar")}
      </div>
      <div data-drop="add">
        <Upload />
        {t("drop.add", { collection })}
      </div>
    </div>
  );
}
