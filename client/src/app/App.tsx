import { Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { QueryPanel } from "../query/QueryPanel";
import { type Ask, requestOf } from "../query/request";
import { Results } from "../results/Results";
import { useAnswers } from "../results/useAnswers";
import { isOver, useJobs } from "../server/jobs";
import { useLibrary } from "../server/queries";
import type { Job } from "../server/types";
import { useSketch } from "../sketch/useSketch";
import styles from "./App.module.css";
import { DropTargets } from "./DropTargets";
import { Foot } from "./Foot";
import { KeyDialog } from "./KeyDialog";
import { LibraryPanel, Viewer } from "./later";
import { Toast } from "./Toast";
import { Top } from "./Top";
import { useFocusKept } from "./useFocusKept";
import { type Beginning, leaveViewer, usePage } from "./usePage";
import { usePictures } from "./usePictures";

const REFRESH_MS = 2000; // at most this often the counts follow an import

const ignore = (): void => undefined;

export function App({ start }: { start: Beginning }) {
  const [page, dispatch] = usePage(start);
  const { question } = page;
  const library = useLibrary(page.collection);
  const { current, about, empty, refresh } = library;
  const sketch = useSketch(question.drawing.marks);
  const [panel, setPanel] = useState(false);
  const [dropped, setDropped] = useState<readonly File[] | null>(null);
  const [toast, setToast] = useState<string | null>(null);

  const known = about !== undefined;
  const defaults = library.system?.default_weights;
  const { text, notText, balance, strengths, like, filter, image } = question;
  const next = useMemo<Ask | null>(() => {
    const query = { text, notText, balance, strengths, like, filter };
    return known ? { collection: current, query, sketch: sketch.blob, image, defaults: defaults ?? {} } : null;
  }, [known, current, text, notText, balance, strengths, like, filter, sketch.blob, image, defaults]);
  // Nothing is asked with the drawing of another question, or without the one that is still becoming a picture.
  const [ask, setAsk] = useState<Ask | null>(null);
  useEffect(() => {
    if (sketch.ready) setAsk(next);
  }, [sketch.ready, next]);
  const answers = useAnswers(ask);
  const asked = ask !== null && requestOf(ask) !== null;

  const blank = (answers.shown?.pictures.length ?? 0) === 0;
  const lastRefresh = useRef(0);
  const jobs = useJobs(empty, (job: Job) => {
    const now = Date.now();
    const over = isOver(job);
    // While pictures arrive the counts follow, and an empty page fills; a full page is left in peace until the end.
    if (!over && now - lastRefresh.current < REFRESH_MS) return;
    lastRefresh.current = now;
    void refresh();
    if (over || blank) answers.refresh();
  });

  const count = about?.count ?? 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: pictures that others brought in fill a blank page; no other change does
  useEffect(() => {
    if (count > 0 && blank) answers.refresh();
  }, [count]);

  const pictures = usePictures(current, question, dispatch, setToast);
  useFocusKept();

  const addFiles = useCallback((files: readonly File[]): void => {
    setDropped(files);
    setPanel(true);
  }, []);
  const open = useCallback((id: number) => dispatch({ type: "view", id }), [dispatch]);
  const close = useCallback(() => leaveViewer(dispatch), [dispatch]);

  return (
    <>
      <Top
        library={library}
        running={jobs.running[0]}
        onHome={() => dispatch({ type: "blank" })}
        onLibrary={() => setPanel(true)}
      />
      <main className={styles.page}>
        <div className={styles.side}>
          <QueryPanel
            collection={current}
            question={question}
            dispatch={dispatch}
            hasSketch={sketch.blob !== null}
            pictures={pictures}
            encoder={library.system?.encoder.name}
            say={setToast}
          />
        </div>
        <Results
          library={library}
          answers={answers}
          asked={asked}
          question={question}
          viewed={page.view}
          importing={jobs.running.length > 0}
          dispatch={dispatch}
          onOpen={open}
          onLibrary={() => setPanel(true)}
          onFiles={addFiles}
        />
      </main>
      <Foot pictures={answers.shown?.pictures ?? []} />

      <Suspense>
        {page.view !== null && (
          <Viewer
            collection={current}
            id={page.view}
            pictures={answers.shown?.pictures ?? []}
            onMove={open}
            onNearEnd={answers.moreProblem ? ignore : answers.more}
            onLike={(id) => dispatch({ type: "like", id })}
            onUnlike={(id) => void pictures.takeStored(id, true)}
            onRemoved={(id) => {
              answers.forget(id);
              close();
              void refresh();
            }}
            onClose={close}
          />
        )}
      </Suspense>
      <Suspense>
        {panel && (
          <LibraryPanel
            library={library}
            jobs={jobs}
            dropped={dropped}
            onDroppedTaken={() => setDropped(null)}
            onPick={(name) => dispatch({ type: "collection", name })}
            onStarted={(job) => {
              void refresh();
              jobs.add(job);
            }}
            onClose={() => setPanel(false)}
          />
        )}
      </Suspense>
      <DropTargets collection={current} pictures={pictures} onAdd={addFiles} />
      <KeyDialog />
      {toast && <Toast sentence={toast} onGone={() => setToast(null)} />}
    </>
  );
}
