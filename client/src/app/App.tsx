import { Suspense, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { QueryPanel } from "../query/QueryPanel";
import { type Ask, requestOf } from "../query/request";
import { Results } from "../results/Results";
import { useAnswers } from "../results/useAnswers";
import { useRemoval } from "../results/useRemoval";
import { isOver, useJobs } from "../server/jobs";
import { useLibrary } from "../server/queries";
import type { Job } from "../server/types";
import { useSketch } from "../sketch/useSketch";
import styles from "./App.module.css";
import { DropTargets } from "./DropTargets";
import { Foot } from "./Foot";
import { KeyDialog } from "./KeyDialog";
import { LibraryPanel, Viewer } from "./later";
import { Removed } from "./Removed";
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
  const { text, notText, balance, strengths, likes, filter, sort, collapse, everywhere, image } = question;
  const next = useMemo<Ask | null>(() => {
    const query = { text, notText, balance, strengths, likes, filter, sort, collapse, everywhere };
    return known ? { collection: current, query, sketch: sketch.blob, image, defaults: defaults ?? {} } : null;
  }, [
    known,
    current,
    text,
    notText,
    balance,
    strengths,
    likes,
    filter,
    sort,
    collapse,
    everywhere,
    sketch.blob,
    image,
    defaults,
  ]);
  // Nothing is asked with the drawing of another question, or without the one that is still becoming a picture.
  const [ask, setAsk] = useState<Ask | null>(null);
  if (sketch.ready && ask !== next) setAsk(next); // at once, not a painted page later
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

  const addJob = jobs.add;
  const removal = useRemoval(
    current,
    answers,
    useCallback(() => void refresh(), [refresh]),
    addJob,
  );
  const pictures = usePictures(current, dispatch, setToast);
  useFocusKept();

  const addFiles = useCallback((files: readonly File[]): void => {
    setDropped(files);
    setPanel(true);
  }, []);
  const open = useCallback((id: number) => dispatch({ type: "view", id }), [dispatch]);
  const close = useCallback(() => leaveViewer(dispatch), [dispatch]);

  const viewed = answers.shown?.pictures.find(({ id }) => id === page.view);
  const elsewhere = viewed && viewed.collection !== current ? viewed.collection : undefined;
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
            problem={answers.problem}
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
          onRemove={removal.remove}
          say={setToast}
        />
      </main>
      <Foot pictures={answers.shown?.pictures ?? []} />

      <Suspense>
        {page.view !== null && (
          <Viewer
            collection={viewed?.collection ?? current}
            id={page.view}
            pictures={answers.shown?.pictures ?? []}
            onMove={open}
            onNearEnd={answers.moreProblem ? ignore : answers.more}
            onLike={(id) => dispatch({ type: "like", ids: [id], collection: elsewhere })}
            onUnlike={(id) => pictures.takeStored(id, true)}
            onPart={(id, box) => dispatch({ type: "like", ids: [id], box, collection: elsewhere })}
            onRemove={(id) => {
              close();
              removal.remove([id], viewed?.collection);
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
            onMissing={() => {
              setPanel(false);
              dispatch({ type: "ask", parts: { text: "", filter: { missing: "true" } } });
            }}
            onBack={(job) => {
              void refresh();
              answers.again();
              if (job) jobs.add(job);
            }}
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
      <Removed removal={removal} />
      {toast && <Toast sentence={toast} onGone={() => setToast(null)} />}
    </>
  );
}
