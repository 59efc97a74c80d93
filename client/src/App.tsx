import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { address, api } from "./api/client";
import type { Hit, Job, Picture } from "./api/types";
import { isOver, progress, useJobs } from "./library/jobs";
import { LibraryPanel } from "./library/LibraryPanel";
import { useLibrary } from "./library/useLibrary";
import { isHit } from "./results/Parts";
import { ResultsGrid } from "./results/Results";
import { Viewer } from "./results/Viewer";
import { QueryPanel } from "./search/QueryPanel";
import { BLANK, type Query } from "./search/query";
import { useAddress } from "./search/useAddress";
import { type Ask, requestOf, useResults } from "./search/useResults";
import { EXAMPLES, type Example } from "./sketch/examples";
import { MiniSketch } from "./sketch/MiniSketch";
import { exportSketch, pictureMark } from "./sketch/render";
import { change, formatMarks, isBlank, type Mark, parseMarks } from "./sketch/strokes";
import { DropTargets } from "./ui/DropTargets";
import { baseName, pictures as countOf, score } from "./ui/format";
import { CloseIcon, FolderIcon, MoonIcon, PlusIcon, SunIcon } from "./ui/icons";
import { KeyDialog } from "./ui/KeyDialog";
import { useTheme } from "./ui/theme";

const SHEET = "tsir.sketch"; // the drawing survives a reload of the tab
const SAMPLES = /[\\/]sample-gallery[\\/]/; // the folder that a first start fills
const FALLBACK = "tsir"; // the server's own default, until it has said otherwise

const EMPTY_MS = 3000; // between looks at an empty library

const ignore = (): void => undefined;

/** The drawing as a PNG, made anew when it changes; null while the sheet is blank. */
function useSketch(marks: readonly Mark[]): Blob | null {
  const [sketch, setSketch] = useState<Blob | null>(null);
  useEffect(() => {
    let current = true;
    try {
      sessionStorage.setItem(SHEET, formatMarks(marks));
    } catch {
      // Storage is full or forbidden: the drawing only lives in this page.
    }
    if (isBlank(marks)) {
      setSketch(null);
      return;
    }
    void exportSketch(marks).then((blob) => current && setSketch(blob));
    return () => {
      current = false;
    };
  }, [marks]);
  return sketch;
}

export function App() {
  const [place, go] = useAddress();
  const [theme, toggleTheme] = useTheme();
  const library = useLibrary();
  const [drawing, dispatch] = useReducer(change, null, () => ({
    past: [],
    marks: parseMarks(sessionStorage.getItem(SHEET)),
    future: [],
  }));
  const sketch = useSketch(drawing.marks);
  const [image, setImage] = useState<File | null>(null);
  const [revision, setRevision] = useState(0);
  const [panel, setPanel] = useState(false);
  const [dropped, setDropped] = useState<readonly File[] | null>(null);
  const [toast, setToast] = useState<string | null>(null);
  const [likeThumbnail, setLikeThumbnail] = useState<string | null>(null);
  const { query } = place;

  const { collections, system, refresh } = library;
  const collection = place.collection ?? system?.default_collection ?? collections?.[0]?.name ?? FALLBACK;
  const about = collections?.find((other) => other.name === collection);
  const known = about !== undefined;
  const defaults = system?.default_weights;

  const ask = useMemo<Ask | null>(
    () => (known ? { collection, query, sketch, image, defaults: defaults ?? {}, revision } : null),
    [known, collection, query, sketch, image, defaults, revision],
  );
  const answers = useResults(ask);
  const { shown, busy, problem } = answers;
  const asked = ask !== null && requestOf(ask) !== null;

  const shownCount = useRef(0);
  useEffect(() => {
    shownCount.current = shown?.pictures.length ?? 0;
  }, [shown]);
  const lastRefresh = useRef(0);
  const onProgress = useCallback(
    (job: Job) => {
      const now = Date.now();
      const over = isOver(job);
      // While pictures arrive the counts follow, and an empty page fills; a full page is left in peace until the end.
      if (!over && now - lastRefresh.current < 2000) return;
      lastRefresh.current = now;
      void refresh().catch(() => undefined);
      if (over || shownCount.current === 0) setRevision((count) => count + 1);
    },
    [refresh],
  );
  const jobs = useJobs(onProgress);

  // Pictures may come from elsewhere: the command line, another tab, the server's own first import.
  const count = about?.count ?? 0;
  const empty = collections !== null && count === 0;
  const { look } = jobs;
  useEffect(() => {
    const check = (): void => {
      if (document.visibilityState !== "visible") return;
      look();
      void refresh().catch(() => undefined);
    };
    document.addEventListener("visibilitychange", check);
    const timer = empty ? setInterval(check, EMPTY_MS) : undefined;
    return () => {
      document.removeEventListener("visibilitychange", check);
      clearInterval(timer);
    };
  }, [empty, look, refresh]);
  useEffect(() => {
    if (count > 0 && shownCount.current === 0) setRevision((now) => now + 1);
  }, [count]);

  useEffect(() => {
    if (!toast) return;
    const timer = setTimeout(() => setToast(null), 6000);
    return () => clearTimeout(timer);
  }, [toast]);

  const setQuery = useCallback((next: Query) => go({ query: next }), [go]);

  const open = useCallback((picture: Picture | Hit) => go({ view: picture.id }, "push"), [go]);
  const close = useCallback(() => {
    if (window.history.state?.pushed) window.history.back();
    else go({ view: null });
  }, [go]);
  const move = useCallback((id: number) => go({ view: id }), [go]);

  const like = (id: number): void => {
    dispatch({ type: "clear" });
    setImage(null);
    go({ view: null, query: { ...BLANK, like: id } });
    window.scrollTo({ top: 0 });
  };

  // The picture that hits resemble may come from the address alone.
  useEffect(() => {
    setLikeThumbnail(null);
    if (query.like === null) return;
    const abort = new AbortController();
    api.image(collection, query.like, abort.signal).then(
      (picture) => setLikeThumbnail(address(picture.thumbnail_url, { size: "small" })),
      () => undefined,
    );
    return () => abort.abort();
  }, [collection, query.like]);

  const start = (example: Example): void => {
    dispatch(example.marks.length > 0 ? { type: "load", marks: example.marks } : { type: "clear" });
    setImage(null);
    setQuery({ ...BLANK, text: example.text });
  };

  const startOver = (): void => {
    dispatch({ type: "clear" });
    setImage(null);
    setQuery(BLANK);
  };

  const addSketch = useCallback(async (file: Blob) => {
    try {
      dispatch({ type: "add", mark: await pictureMark(file) });
    } catch {
      setToast("This file is not a picture that the browser can show. Try a PNG, JPEG or SVG.");
    }
  }, []);

  const addFiles = useCallback((files: readonly File[]): void => {
    setDropped(files);
    setPanel(true);
  }, []);

  const running = jobs.running[0];
  const runningShare = running ? progress(running) : null;
  const best = shown?.pictures[0];
  const samples = shown?.pictures.some((picture) => SAMPLES.test(picture.path)) ?? false;

  return (
    <>
      <header className="top">
        <a className="brand" href="/" aria-label="tsir: start page" onClick={() => dispatch({ type: "clear" })}>
          <Logo />
          <span>tsir</span>
        </a>
        <span className="tagline">Find pictures by drawing and typing</span>
        <span className="spacer" />
        {running && (
          <button type="button" className="job-pill" title="Show the import" onClick={() => setPanel(true)}>
            <span className="ring" style={{ "--share": runningShare ?? 0.08 } as React.CSSProperties} />
            <span className="doing">Importing</span>
            {runningShare === null ? "…" : `${Math.floor(runningShare * 100)} %`}
          </button>
        )}
        <button type="button" className="button library-button" onClick={() => setPanel(true)} aria-haspopup="dialog">
          <FolderIcon />
          <span className="name">{collection}</span>
          {about && <span className="count">{about.count.toLocaleString("en")}</span>}
        </button>
        <button
          type="button"
          className="button primary add-button"
          onClick={() => setPanel(true)}
          aria-haspopup="dialog"
        >
          <PlusIcon /> <span>Add pictures</span>
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label={theme === "dark" ? "Light theme" : "Dark theme"}
          title={theme === "dark" ? "Light theme" : "Dark theme"}
          onClick={toggleTheme}
        >
          {theme === "dark" ? <SunIcon /> : <MoonIcon />}
        </button>
      </header>

      <main className="page">
        <div className="side">
          <QueryPanel
            query={query}
            onQuery={setQuery}
            drawing={drawing}
            dispatch={dispatch}
            hasSketch={sketch !== null}
            image={image}
            onImage={setImage}
            likeThumbnail={likeThumbnail}
            onPicture={addSketch}
          />
        </div>

        <section className="results" aria-label="Pictures">
          <div className="results-head">
            {(asked || !about || about.count > 0) && <h1>{asked ? "Best matches" : "Newest pictures"}</h1>}
            {busy && <span className="spinner" aria-hidden="true" />}
            {shown?.kind === "search" && shown.tookMs !== null && !busy && (
              <span className="muted took">{Math.max(1, Math.round(shown.tookMs))} ms</span>
            )}
            <span className="spacer" />
            {asked && shown?.kind === "search" && <Legend hits={shown.pictures} />}
            {asked && (
              <button type="button" className="button small" onClick={startOver}>
                Start over
              </button>
            )}
            <p className="visually-hidden" role="status" data-testid="status">
              {busy
                ? ""
                : shown
                  ? `${countOf(shown.pictures.length)} shown${best && isHit(best) ? `, the best is ${baseName(best.path)} with score ${score(best.score)}` : ""}`
                  : ""}
            </p>
          </div>

          {!asked && about && about.count > 0 && <Examples onStart={start} />}
          {!asked && (Object.keys(query.filter).length > 0 || query.notText.trim() !== "") && (
            <p className="notice waiting">
              Filters and “without” narrow a search: draw or type something to begin one.
            </p>
          )}

          {library.problem && !collections ? (
            <Trouble sentence={library.problem.message} hint="Trying again by itself." />
          ) : problem ? (
            <Trouble
              sentence={problem.message}
              {...(problem.status === 0 || problem.status >= 502 ? { hint: "Trying again by itself." } : {})}
              onAgain={answers.again}
            />
          ) : collections && (!about || about.count === 0) && !running ? (
            <Welcome onAdd={() => setPanel(true)} onFiles={addFiles} />
          ) : !busy && shown && shown.pictures.length === 0 ? (
            <div className="empty">
              <h2>{asked ? "Nothing found" : "No pictures yet"}</h2>
              <p>
                {asked
                  ? "No picture fits. Take a filter away, or say it in other words."
                  : "They appear here as the import goes on."}
              </p>
            </div>
          ) : (
            <ResultsGrid answers={collections ? answers : { ...answers, busy: true }} onOpen={open} />
          )}
        </section>
      </main>

      <footer className="foot muted">
        {samples && (
          <p>
            Sample pictures:{" "}
            <a href="https://openmoji.org/" target="_blank" rel="noreferrer">
              OpenMoji
            </a>
            ,{" "}
            <a href="https://creativecommons.org/licenses/by-sa/4.0/" target="_blank" rel="noreferrer">
              CC BY-SA 4.0
            </a>
          </p>
        )}
        <p>Your pictures and drawings stay on your server.</p>
      </footer>

      {place.view !== null && (
        <Viewer
          collection={collection}
          id={place.view}
          pictures={shown?.pictures ?? []}
          onMove={move}
          onNearEnd={answers.moreProblem ? ignore : answers.more}
          onLike={like}
          onRemoved={(id) => {
            answers.forget(id);
            close();
            void refresh().catch(() => undefined);
          }}
          onClose={close}
        />
      )}
      {panel && (
        <LibraryPanel
          collections={collections ?? []}
          current={collection}
          system={system}
          jobs={jobs}
          dropped={dropped}
          onDroppedTaken={() => setDropped(null)}
          onPick={(name) => go({ collection: name, query: { ...query, like: null }, view: null })}
          onChanged={refresh}
          onStarted={(job) => {
            void refresh().catch(() => undefined);
            jobs.add(job);
          }}
          onClose={() => setPanel(false)}
        />
      )}
      <DropTargets collection={collection} onSketch={addSketch} onSimilar={setImage} onAdd={addFiles} />
      <KeyDialog />
      {toast && (
        <div className="toast" role="alert">
          {toast}
          <button type="button" className="clear" aria-label="Dismiss" onClick={() => setToast(null)}>
            <CloseIcon />
          </button>
        </div>
      )}
    </>
  );
}

function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" className="logo-ground" />
      <path
        className="logo-stroke"
        d="M7 21.5c2.6-7.6 5-11.4 7-11.4 3.4 0-1.6 9.6 1.6 9.6 2.5 0 3.3-5.2 5.6-5.2 1.7 0 1.8 2.6 3.8 2.6"
      />
      <circle cx="24.2" cy="8.6" r="2.2" className="logo-sun" />
    </svg>
  );
}

const LEGEND = [
  ["text", "words"],
  ["sketch", "drawing"],
  ["image", "picture"],
  ["like", "more like this"],
] as const;

/** What the colours under the pictures mean; only where there are several. */
function Legend({ hits }: { hits: readonly (Hit | Picture)[] }) {
  const first = hits[0];
  if (!first || !isHit(first)) return null;
  const given = LEGEND.filter(([name]) => first.parts[name] !== undefined);
  if (given.length < 2) return null;
  return (
    <p className="legend" aria-hidden="true">
      {given.map(([name, label]) => (
        <span key={name}>
          <i className={`part-${name}`} /> {label}
        </span>
      ))}
    </p>
  );
}

function Examples({ onStart }: { onStart: (example: Example) => void }) {
  return (
    <ul className="examples" aria-label="Examples to try">
      {EXAMPLES.map((example) => (
        <li key={example.name + example.text}>
          <button
            type="button"
            className="example"
            aria-label={example.text ? `${example.name}: ${example.text}` : example.name}
            onClick={() => onStart(example)}
          >
            {example.marks.length > 0 && <MiniSketch marks={example.marks} />}
            {example.text && <span>{example.marks.length > 0 ? `+ ${example.text}` : example.text}</span>}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Trouble({ sentence, hint, onAgain }: { sentence: string; hint?: string; onAgain?: () => void }) {
  return (
    <div className="empty trouble" role="alert">
      <h2>That did not work</h2>
      <p>{sentence}</p>
      {hint && <p className="muted">{hint}</p>}
      {onAgain && (
        <button type="button" className="button" onClick={onAgain}>
          Try again
        </button>
      )}
    </div>
  );
}

function Welcome({ onAdd, onFiles }: { onAdd: () => void; onFiles: (files: readonly File[]) => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  return (
    <div className="empty welcome">
      <div className="welcome-art" aria-hidden="true">
        {EXAMPLES.filter((example) => example.marks.length > 0)
          .slice(0, 3)
          .map((example) => (
            <span key={example.name}>
              <MiniSketch marks={example.marks} />
            </span>
          ))}
      </div>
      <h2>This library is empty</h2>
      <p>
        Add a folder of your server, upload pictures, or drop them anywhere on this page. Then draw, type, and find
        them.
      </p>
      <div className="actions">
        <button type="button" className="button primary" onClick={onAdd}>
          <FolderIcon /> Import a folder
        </button>
        <button type="button" className="button" onClick={() => chooser.current?.click()}>
          Choose files
        </button>
      </div>
      <input
        ref={chooser}
        type="file"
        accept="image/*,.heic,.heif,.avif,.zip,application/zip"
        multiple
        hidden
        aria-label="Pictures to begin with"
        onChange={(event) => {
          onFiles([...(event.target.files ?? [])]);
          event.target.value = "";
        }}
      />
    </div>
  );
}
