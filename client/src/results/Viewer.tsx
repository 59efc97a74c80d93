import { type PointerEvent, useEffect, useRef, useState } from "react";
import { address, api, Problem } from "../api/client";
import type { Hit, Picture } from "../api/types";
import { Dialog } from "../ui/Dialog";
import { baseName, bytes, date } from "../ui/format";
import {
  CheckIcon,
  ClearIcon,
  CloseIcon,
  CopyIcon,
  DownloadIcon,
  LeftIcon,
  OpenIcon,
  RightIcon,
  SimilarIcon,
} from "../ui/icons";
import { isHit, PartsTable } from "./Parts";

const SWIPE = 60; // px that a finger must travel to turn the page

interface Props {
  collection: string;
  id: number;
  /** The pictures that arrows walk through; the shown one may be missing when the page was opened by its address. */
  pictures: readonly (Picture | Hit)[];
  onMove: (id: number) => void;
  onNearEnd: () => void;
  onLike: (id: number) => void;
  onRemoved: (id: number) => void;
  onClose: () => void;
}

export function Viewer({ collection, id, pictures, onMove, onNearEnd, onLike, onRemoved, onClose }: Props) {
  const [fetched, setFetched] = useState<Picture | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const [removed, setRemoved] = useState<number | null>(null);
  const start = useRef<{ x: number; y: number } | null>(null);
  const index = pictures.findIndex((picture) => picture.id === id);
  const listed = index >= 0 ? pictures[index] : undefined;
  const picture = listed ?? (fetched?.id === id ? fetched : undefined);
  const previous = index > 0 ? pictures[index - 1] : undefined;
  const next = index >= 0 ? pictures[index + 1] : undefined;

  // biome-ignore lint/correctness/useExhaustiveDependencies: another picture, another page
  useEffect(() => {
    setProblem(null);
    setAsking(false);
  }, [id]);

  // The page is not closed at once: the address changes first.
  const missing = listed === undefined && removed !== id;
  useEffect(() => {
    if (!missing) return;
    const abort = new AbortController();
    api
      .image(collection, id, abort.signal)
      .then(setFetched)
      .catch((error: unknown) => {
        if (!abort.signal.aborted) setProblem(error instanceof Problem ? error.message : String(error));
      });
    return () => abort.abort();
  }, [collection, id, missing]);

  const atEnd = index >= 0 && index >= pictures.length - 5;
  useEffect(() => {
    if (atEnd) onNearEnd();
  }, [atEnd, onNearEnd]);

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === "ArrowLeft" && previous) onMove(previous.id);
      else if (event.key === "ArrowRight" && next) onMove(next.id);
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [previous, next, onMove]);

  const release = (event: PointerEvent): void => {
    const from = start.current;
    start.current = null;
    if (!from || event.pointerType === "mouse") return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (Math.abs(dx) < SWIPE || Math.abs(dx) < 2 * Math.abs(dy)) return;
    const to = dx < 0 ? next : previous;
    if (to) onMove(to.id);
  };

  const remove = async (): Promise<void> => {
    try {
      await api.remove(collection, id);
      setRemoved(id);
      onRemoved(id);
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
    }
  };

  const file = picture && address(picture.file_url);
  const name = picture ? baseName(picture.path) : "Picture";
  return (
    <Dialog className="viewer" label={name} onClose={onClose}>
      <div
        className="stage"
        onPointerDown={(event) => {
          start.current = { x: event.clientX, y: event.clientY };
        }}
        onPointerUp={release}
        onPointerCancel={() => {
          start.current = null;
        }}
      >
        <div className="frame">
          {picture && file && <LargePicture key={id} picture={picture} original={file} name={name} />}
        </div>
        {previous && (
          <button type="button" className="turn left" aria-label="Previous picture" onClick={() => onMove(previous.id)}>
            <LeftIcon />
          </button>
        )}
        {next && (
          <button type="button" className="turn right" aria-label="Next picture" onClick={() => onMove(next.id)}>
            <RightIcon />
          </button>
        )}
        {next && <link rel="prefetch" href={address(next.thumbnail_url, { size: "large" })} as="image" />}
      </div>
      <aside className="about">
        <header>
          <h2 title={name}>{name}</h2>
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
            <CloseIcon />
          </button>
        </header>
        {problem && (
          <p className="notice bad" role="alert">
            {problem}
          </p>
        )}
        {listed && isHit(listed) && <PartsTable hit={listed} />}
        <div className="about-actions">
          <button type="button" className="button primary" onClick={() => onLike(id)}>
            <SimilarIcon /> More like this
          </button>
          <a className="button" href={file} target="_blank" rel="noreferrer">
            <OpenIcon /> Open original
          </a>
          <a className="button" href={file} download={name}>
            <DownloadIcon /> Download
          </a>
        </div>
        {picture && (
          <dl>
            {picture.paths.map((path, place) => (
              <div key={path}>
                <dt>{place === 0 ? "Path" : "Also at"}</dt>
                <dd className="path">
                  <code>{path}</code>
                  <CopyButton text={path} />
                </dd>
              </div>
            ))}
            <div>
              <dt>Size</dt>
              <dd>
                {picture.width} × {picture.height}
                {` · ${bytes(picture.bytes)} · ${picture.format}`}
              </dd>
            </div>
            {picture.taken_at && (
              <div>
                <dt>Taken</dt>
                <dd>{date(picture.taken_at)}</dd>
              </div>
            )}
            {picture.camera && (
              <div>
                <dt>Camera</dt>
                <dd>{picture.camera}</dd>
              </div>
            )}
            {picture.latitude !== null && picture.longitude !== null && (
              <div>
                <dt>Place</dt>
                <dd>
                  {picture.latitude.toFixed(5)}, {picture.longitude.toFixed(5)}
                </dd>
              </div>
            )}
          </dl>
        )}
        <footer>
          {asking ? (
            <p className="confirm">
              Take it out of the library? A file in a server folder stays where it is.
              <span className="actions">
                <button type="button" className="button small" onClick={() => setAsking(false)}>
                  Keep
                </button>
                <button type="button" className="button small danger" onClick={() => void remove()}>
                  Remove
                </button>
              </span>
            </p>
          ) : (
            <button type="button" className="button quiet" onClick={() => setAsking(true)}>
              <ClearIcon /> Remove from library
            </button>
          )}
        </footer>
      </aside>
    </Dialog>
  );
}

/** The large thumbnail at once, the original over it as soon as the browser has it (HEIC and TIFF stay thumbnails). */
function LargePicture({ picture, original, name }: { picture: Picture; original: string; name: string }) {
  const [sharp, setSharp] = useState<string | null>(null);
  useEffect(() => {
    const image = new Image();
    let current = true;
    image.src = original;
    image.decode().then(
      () => current && setSharp(original),
      () => undefined,
    );
    return () => {
      current = false;
      image.src = "";
    };
  }, [original]);
  return (
    <img
      className="large"
      src={sharp ?? address(picture.thumbnail_url, { size: "large" })}
      alt={name}
      width={picture.width}
      height={picture.height}
      style={{ "--aspect": picture.width / picture.height, "--natural": `${picture.width}px` } as React.CSSProperties}
      draggable="false"
    />
  );
}

function CopyButton({ text }: { text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS there is no clipboard API: select and copy the old way.
      const area = document.createElement("textarea");
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return (
    <button
      type="button"
      className="icon-button tiny"
      aria-label={copied ? "Copied" : "Copy the path"}
      title="Copy the path"
      onClick={() => void copy()}
    >
      {copied ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}
