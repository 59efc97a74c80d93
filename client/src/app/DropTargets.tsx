import { Search, Upload } from "lucide-react";
import { useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { droppedFiles } from "../library/folders";
import styles from "./DropTargets.module.css";
import { addressIn, PICTURE_TYPE, type Pictures } from "./usePictures";

interface Props {
  collection: string;
  pictures: Pictures;
  onAdd: (files: readonly File[]) => void;
}

type Load = "files" | "address" | "result";

/** What is dragged, as far as a page may know before it is dropped. */
function loadOf(event: DragEvent): Load | null {
  const types = event.dataTransfer?.types ?? [];
  // An open dialog covers these targets and has its own.
  if (document.querySelector("dialog[open]")) return null;
  if (types.includes(PICTURE_TYPE)) return "result";
  if (types.includes("Files")) return "files";
  return types.includes("text/uri-list") ? "address" : null;
}

/**
 * While something is dragged over the page: what can be done with it. An element with `data-drop` takes it: "search" makes it a part of the
 * question, "add" brings files into the library. A drop beside them does nothing, instead of replacing the page by the file.
 */
export function DropTargets({ collection, pictures, onAdd }: Props) {
  const { t } = useSpeech();
  const [dragged, setDragged] = useState<Load | null>(null);

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
    const over = (): void => {
      depth = 0;
      heat(null);
      setDragged(null);
    };
    const onStart = (event: DragEvent): void => {
      const tile = event.target instanceof Element ? event.target.closest("li")?.querySelector("[data-id]") : null;
      const id = tile?.getAttribute("data-id");
      if (!id || !event.dataTransfer) return;
      event.dataTransfer.setData(PICTURE_TYPE, id);
      event.dataTransfer.effectAllowed = "copy";
      setDragged("result");
    };
    const onEnter = (event: DragEvent): void => {
      const load = loadOf(event);
      if (!load) return;
      depth += 1;
      setDragged(load);
    };
    const onLeave = (event: DragEvent): void => {
      if (!loadOf(event)) return;
      depth -= 1;
      if (depth > 0) return;
      heat(null);
      if (loadOf(event) !== "result") setDragged(null);
    };
    const onOver = (event: DragEvent): void => {
      const load = loadOf(event);
      if (!load && event.dataTransfer?.types.includes("text/plain")) return; // words, which fields take by themselves
      event.preventDefault();
      const target = targetOf(event);
      heat(target);
      if (event.dataTransfer) event.dataTransfer.dropEffect = load && target ? "copy" : "none";
    };
    const onDrop = (event: DragEvent): void => {
      const load = loadOf(event);
      const data = event.dataTransfer;
      if (!data || (!load && data.types.includes("text/plain"))) return;
      event.preventDefault();
      const use = targetOf(event)?.dataset.drop;
      const files = [...data.files];
      const [first] = files;
      over();
      if (load === "result" && use === "search") pictures.takeStored(Number(data.getData(PICTURE_TYPE)));
      else if (first && use === "search") void pictures.take(first);
      else if (first && use === "add") void droppedFiles(event).then(onAdd);
      else if (load === "address" && use === "search") {
        const address = addressIn(data);
        if (address) void pictures.takeAddress(address);
      }
    };
    const listeners = {
      dragstart: onStart,
      dragend: over,
      dragenter: onEnter,
      dragleave: onLeave,
      dragover: onOver,
      drop: onDrop,
    } as const;
    for (const [name, listener] of Object.entries(listeners)) document.addEventListener(name as "drop", listener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) document.removeEventListener(name as "drop", listener);
    };
  }, [pictures, onAdd]);

  if (dragged === null || dragged === "result") return null;
  return (
    <div className={styles.targets}>
      <div data-drop="search">
        <Search />
        {t("drop.search")}
      </div>
      {dragged === "files" && (
        <div data-drop="add">
          <Upload />
          {t("drop.add", { collection })}
        </div>
      )}
    </div>
  );
}
