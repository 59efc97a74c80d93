import { type Dispatch, useCallback, useEffect, useMemo, useState } from "react";
import { useSpeech } from "../i18n";
import { baseName } from "../i18n/format";
import { storedAt } from "../server/client";
import { fileOf, kindOfFile, pictureMark, smallPhoto } from "../sketch/render";
import type { Mark, Pasted } from "../sketch/strokes";
import type { Step } from "./question";

/** What a dragged result carries: its id. */
export const PICTURE_TYPE = "application/x-tsir-picture";

const SERVER_ONLY = /\.(heic|heif|tiff?|jxl|avif)$/i; // photos that the server reads and not every browser

export interface Pictures {
  /** The photo or drawing that the page last told apart by itself: it may be wrong. */
  guessed: File | Mark | null;
  /** A picture of the user's: a drawing goes onto the sheet, a photo is searched for. */
  take: (file: File) => Promise<void>;
  /** A photo, whatever it looks like. */
  takePhoto: (file: File) => Promise<unknown>;
  /** The picture at an address, as far as the browser may read it. */
  takeAddress: (address: string) => Promise<void>;
  /** A picture of the library as part of the question: like it, or not like it. */
  takeStored: (id: number, against?: boolean) => void;
  /** What was taken for a photo is a drawing. */
  toSheet: (file: File) => Promise<void>;
  /** What was taken for a drawing, and lies on the sheet, is a photo. */
  toPhoto: (mark: Pasted) => Promise<void>;
}

/** "data:image/png;base64,..." -> its bytes, which no request fetches where the page's security policy stands. */
function fileOfData(address: string): File | null {
  const [, type, letters] = /^data:(image\/[\w.+-]+);base64,([\w+/=]+)$/.exec(address) ?? [];
  if (!type || !letters) return null;
  return new File([Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0))], "picture", { type });
}

/** The first address of a picture in what was dropped or pasted: an image of a page, or a link. */
export function addressIn(data: DataTransfer): string | null {
  const html = data.getData("text/html");
  const image = html && new DOMParser().parseFromString(html, "text/html").querySelector("img")?.getAttribute("src");
  const lines = `${data.getData("text/uri-list")}\n${data.getData("text/plain")}`.split(/\r?\n/);
  const link = lines.map((line) => line.trim()).find((line) => /^(https?:\/\/|data:image\/)\S+$/i.test(line));
  return image || link || null;
}

/** All ways in which pictures become part of the question; `say` tells the user a sentence. */
export function usePictures(collection: string, dispatch: Dispatch<Step>, say: (sentence: string) => void): Pictures {
  const { t } = useSpeech();
  const [guessed, setGuessed] = useState<File | Mark | null>(null);

  const takePhoto = useCallback(
    async (file: File) => {
      const image = await smallPhoto(file).catch(() => (SERVER_ONLY.test(file.name) ? file : null));
      if (image) dispatch({ type: "ask", parts: { image } });
      else say(t("sketch.unreadable"));
      return image;
    },
    [dispatch, say, t],
  );

  const take = useCallback(
    async (file: File) => {
      const kind = await kindOfFile(file).catch(() => "photo" as const);
      if (kind === "photo") {
        setGuessed(await takePhoto(file));
        return;
      }
      const mark = await pictureMark(file);
      setGuessed(mark);
      dispatch({ type: "draw", change: { type: "add", mark } });
    },
    [dispatch, takePhoto],
  );

  const takeStored = useCallback(
    (id: number, against = false) => dispatch({ type: "also", like: { id, against, box: null } }),
    [dispatch],
  );

  const takeAddress = useCallback(
    async (given: string) => {
      const stored = storedAt(given);
      if (stored?.collection === collection) return takeStored(stored.id);
      const data = given.startsWith("data:") ? fileOfData(given) : null;
      if (data) return take(data);
      const url = URL.canParse(given, window.location.href) ? new URL(given, window.location.href) : null;
      if (url?.origin !== window.location.origin) return say(t("pictures.elsewhere"));
      try {
        const answer = await fetch(url);
        const blob = await answer.blob();
        if (!answer.ok || !blob.type.startsWith("image/")) throw new Error(blob.type);
        await take(new File([blob], baseName(url.pathname), { type: blob.type }));
      } catch {
        say(t("pictures.none"));
      }
    },
    [collection, take, takeStored, say, t],
  );

  const toSheet = useCallback(
    async (file: File) => {
      try {
        dispatch({ type: "toSheet", mark: await pictureMark(file) });
      } catch {
        say(t("sketch.unreadable"));
      }
    },
    [dispatch, say, t],
  );
  const toPhoto = useCallback(
    async (mark: Pasted) => {
      dispatch({ type: "toPicture", mark, image: await fileOf(mark, t("pictures.photo")) });
    },
    [dispatch, t],
  );

  useEffect(() => {
    const onPaste = (event: ClipboardEvent): void => {
      const data = event.clipboardData;
      if (!data || document.querySelector("dialog[open]")) return;
      const file = [...data.files].find((item) => item.type.startsWith("image/"));
      const typing = event.target instanceof HTMLElement && event.target.matches("input, textarea, [contenteditable]");
      const address = file || typing ? null : addressIn(data);
      if (!file && !address) return;
      event.preventDefault();
      if (file) void take(file);
      else if (address) void takeAddress(address);
    };
    document.addEventListener("paste", onPaste);
    return () => document.removeEventListener("paste", onPaste);
  }, [take, takeAddress]);

  return useMemo(
    () => ({ guessed, take, takePhoto, takeAddress, takeStored, toSheet, toPhoto }),
    [guessed, take, takePhoto, takeAddress, takeStored, toSheet, toPhoto],
  );
}
