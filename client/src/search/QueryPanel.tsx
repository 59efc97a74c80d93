import { type Dispatch, useEffect, useRef, useState } from "react";
import { SketchPad } from "../sketch/SketchPad";
import type { Change, Drawing } from "../sketch/strokes";
import { CloseIcon, MinusIcon, PictureIcon, SearchIcon } from "../ui/icons";
import { Filters } from "./Filters";
import type { Query } from "./query";

interface Props {
  query: Query;
  onQuery: (query: Query) => void;
  drawing: Drawing;
  dispatch: Dispatch<Change>;
  hasSketch: boolean;
  image: File | null;
  onImage: (image: File | null) => void;
  /** Thumbnail of the stored picture that hits should resemble. */
  likeThumbnail: string | null;
  onPicture: (file: Blob) => void;
}

export function QueryPanel({
  query,
  onQuery,
  drawing,
  dispatch,
  hasSketch,
  image,
  onImage,
  likeThumbnail,
  onPicture,
}: Props) {
  const [without, setWithout] = useState(query.notText !== "");
  const words = useRef<HTMLInputElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const both = hasSketch && query.text.trim() !== "";

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key !== "/" || typing || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      words.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  return (
    <search>
      <form
        className="query"
        onSubmit={(event) => {
          event.preventDefault();
          words.current?.blur(); // puts a phone's keyboard away
        }}
      >
        <SketchPad drawing={drawing} dispatch={dispatch} onPicture={onPicture} />

        <div className="asked">
          <div className="input-wrap">
            <SearchIcon />
            <input
              ref={words}
              type="text"
              inputMode="search"
              enterKeyHint="search"
              aria-label="Describe the picture"
              placeholder="Say what you cannot draw"
              title="Press / to type"
              maxLength={2000}
              autoComplete="off"
              spellCheck="false"
              value={query.text}
              onChange={(event) => onQuery({ ...query, text: event.target.value })}
            />
            {query.text && (
              <button
                type="button"
                className="clear"
                aria-label="Clear the words"
                onClick={() => onQuery({ ...query, text: "" })}
              >
                <CloseIcon />
              </button>
            )}
          </div>

          {(without || query.notText) && (
            <div className="input-wrap slim">
              <MinusIcon />
              <input
                type="text"
                aria-label="Without: what should not be in the picture"
                placeholder="Without…"
                maxLength={2000}
                autoComplete="off"
                // biome-ignore lint/a11y/noAutofocus: the field appears because the user just asked for it
                autoFocus={query.notText === ""}
                value={query.notText}
                onChange={(event) => onQuery({ ...query, notText: event.target.value })}
              />
              <button
                type="button"
                className="clear"
                aria-label="Drop “without”"
                onClick={() => {
                  setWithout(false);
                  onQuery({ ...query, notText: "" });
                }}
              >
                <CloseIcon />
              </button>
            </div>
          )}

          <div className="pills">
            {!without && !query.notText && (
              <button type="button" className="pill" onClick={() => setWithout(true)}>
                <MinusIcon /> Without
              </button>
            )}
            <button type="button" className="pill" onClick={() => chooser.current?.click()}>
              <PictureIcon /> Similar to
            </button>
            <Filters filter={query.filter} onChange={(filter) => onQuery({ ...query, filter })} />
            <input
              ref={chooser}
              type="file"
              accept="image/*"
              hidden
              aria-label="Picture to find similar ones to"
              onChange={(event) => {
                onImage(event.target.files?.[0] ?? null);
                event.target.value = "";
              }}
            />
          </div>

          {(image || query.like !== null) && (
            <div className="chips">
              {image && <Chip file={image} label={`Similar to ${image.name}`} onDrop={() => onImage(null)} />}
              {query.like !== null && (
                <Chip
                  picture={likeThumbnail}
                  label="More like this picture"
                  onDrop={() => onQuery({ ...query, like: null })}
                />
              )}
            </div>
          )}

          <div className={`balance${both ? "" : " idle"}`}>
            <label htmlFor="balance">Words</label>
            <input
              id="balance"
              type="range"
              min="0"
              max="1"
              step="0.05"
              disabled={!both}
              aria-label="Balance between words and drawing"
              aria-valuetext={balanceText(query.balance)}
              title={both ? balanceText(query.balance) : "Draw and type to balance the two"}
              value={query.balance}
              onChange={(event) => onQuery({ ...query, balance: Number(event.target.value) })}
              onDoubleClick={() => onQuery({ ...query, balance: 0.5 })}
            />
            <span>Drawing</span>
          </div>
        </div>
      </form>
    </search>
  );
}

function balanceText(balance: number): string {
  if (balance === 0) return "Words only";
  if (balance === 1) return "Drawing only";
  if (balance === 0.5) return "Words and drawing in balance";
  const percent = Math.round(balance * 100);
  return `Words ${100 - percent} %, drawing ${percent} %`;
}

function Chip({
  file,
  picture,
  label,
  onDrop,
}: {
  file?: File;
  picture?: string | null;
  label: string;
  onDrop: () => void;
}) {
  const [source, setSource] = useState<string | null>(picture ?? null);
  useEffect(() => {
    if (!file) {
      setSource(picture ?? null);
      return;
    }
    const url = URL.createObjectURL(file);
    setSource(url);
    return () => URL.revokeObjectURL(url);
  }, [file, picture]);
  return (
    <span className="chip">
      {source ? <img src={source} alt="" width="28" height="28" /> : <PictureIcon />}
      <span className="chip-label">{label}</span>
      <button type="button" className="clear" aria-label={`Drop: ${label}`} onClick={onDrop}>
        <CloseIcon />
      </button>
    </span>
  );
}
