import { type Dispatch, lazy, Suspense, useMemo, useState } from "react";
import { MOST_LIKES, SORTS } from "../app/address";
import type { Question, Step } from "../app/question";
import { useSpeech } from "../i18n";
import { baseName, calendar, pictures as countOf, score } from "../i18n/format";
import { ForgetMissing } from "../library/ForgetMissing";
import type { Library } from "../server/queries";
import type { Hit, Picture, Sort } from "../server/types";
import { Button } from "../ui/Button";
import { Notice, Spinner } from "../ui/Notice";
import { byDate } from "./dates";
import { Examples } from "./Examples";
import { Grid } from "./Grid";
import { type Layout, layOut } from "./layout";
import { isHit, PARTS, Swatch } from "./Parts";
import styles from "./Results.module.css";
import { Away, Nothing, Trouble, Welcome } from "./States";
import { smallUrl } from "./thumbs";
import type { Answers, Shown } from "./useAnswers";
import { useSelection } from "./useSelection";
import { useSteady } from "./useSteady";
import { useWidth } from "./useWidth";

const SelectionBar = lazy(async () => ({ default: (await import("./SelectionBar")).SelectionBar }));

const BAR = 12; // px below a hit, for what its parts gave
const NONE: readonly (Picture | Hit)[] = [];

interface Props {
  library: Library;
  answers: Answers;
  /** Whether the question asks for anything: otherwise the newest pictures are shown. */
  asked: boolean;
  question: Question;
  importing: boolean;
  /** The picture that the viewer shows. */
  viewed: number | null;
  dispatch: Dispatch<Step>;
  onOpen: (id: number) => void;
  onLibrary: () => void;
  onFiles: (files: readonly File[]) => void;
  onRemove: (ids: readonly number[], from?: string) => void;
  /** Tells the user a sentence. */
  say: (sentence: string) => void;
}

const LESS = "tsir.less";

/** So many likely hits stand alone; beside fewer, what is less likely is shown, too: a page with two pictures looks like a small library. */
const ENOUGH = 8;

/** Whether what is less likely is shown, too: as it was chosen last in this browser, or as few likely hits ask for. */
function useLess(likely: number | null): [all: boolean, choose: (all: boolean) => void] {
  const [chosen, setChosen] = useState(() => localStorage.getItem(LESS));
  const choose = (next: boolean): void => {
    const value = next ? "shown" : "hidden";
    setChosen(value);
    localStorage.setItem(LESS, value);
  };
  return [chosen === null ? likely !== null && likely < ENOUGH : chosen === "shown", choose];
}

/** How many hits, the first ones, are likely answers; null where nobody can tell, or none is: then all are shown alike. */
function likely({ pictures, cut, hint }: Shown): number | null {
  if (cut === null || hint === "nothing_likely") return null;
  const end = pictures.findIndex((picture) => isHit(picture) && picture.relevance !== null && picture.relevance < cut);
  return end < 0 ? null : end;
}

/** Hits in rows, and what is less likely below a line of its own, if it is wanted; pictures of a list in rows under their dates. */
function arrange(shown: Shown | null, width: number, all: boolean, below: string): Layout<Picture | Hit> {
  if (!shown) return layOut<Picture | Hit>([], width, 0);
  if (shown.kind === "search") {
    const end = likely(shown);
    if (end === null) return layOut([{ title: "", items: shown.pictures }], width, BAR);
    const rest = all ? [{ title: below, items: shown.pictures.slice(end) }] : [];
    return layOut([{ title: "", items: shown.pictures.slice(0, end) }, ...rest], width, BAR);
  }
  if (shown.sort === "name") return layOut([{ title: "", items: shown.pictures }], width, 0);
  return layOut(byDate(shown.pictures, calendar, shown.sort), width, 0);
}

/** The right side of the page: what was found, or why there is nothing. */
export function Results(props: Props) {
  const { library, answers, asked, question, importing, viewed, dispatch, onOpen, onLibrary, onFiles, onRemove, say } =
    props;
  const { t, language } = useSpeech();
  const { problem } = answers;
  const { about, collections, empty, current } = library;
  const [element, width] = useWidth<HTMLElement>();
  const [all, setAll] = useLess(answers.shown && likely(answers.shown));
  const shown = useSteady(answers.shown, (next) =>
    arrange(next, width, all, "")
      .places.filter((place) => place.top < window.innerHeight)
      .map((place) => smallUrl(place.item)),
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: another language writes other dates
  const layout = useMemo(() => arrange(shown, width, all, t("results.less")), [shown, width, all, language]);
  const closed = shown !== null && !all && likely(shown) !== null;
  const busy = answers.busy || shown !== answers.shown;

  const pictures = shown?.pictures ?? NONE;
  const selection = useSelection(pictures, current);
  const chosen = useMemo(() => [...selection.chosen.values()], [selection.chosen]);
  const home = chosen[0]?.collection === current ? undefined : chosen[0]?.collection;

  const filtered = Object.keys(question.filter).length > 0;
  const idle = question.notText.trim() !== "" || question.likes.length > 0 || question.image !== null;
  const filled = about !== undefined && about.count + (filtered ? about.missing : 0) > 0;
  // The page turns over together with the pictures, not before them.
  const searched = shown ? shown.kind === "search" : asked;

  return (
    <section ref={element} className={styles.results} aria-label={t("results.pictures")}>
      <div className={styles.head}>
        {(searched || !about || filled) && (
          <h1>{t(searched ? "results.best" : HEADS[shown?.sort ?? question.sort])}</h1>
        )}
        {busy && <Spinner />}
        <span className="spacer" />
        {all && shown !== null && likely(shown) !== null && (
          <Button small look="quiet" onClick={() => setAll(false)}>
            {t("results.less.hide")}
          </Button>
        )}
        {asked && shown?.kind === "search" && <Legend hits={shown.pictures} />}
        {!asked && filled && (
          <Order sort={question.sort} onChange={(sort) => dispatch({ type: "ask", parts: { sort } })} />
        )}
        {(asked || filtered) && (
          <Button small onClick={() => dispatch({ type: "blank" })}>
            {t("results.again")}
          </Button>
        )}
        <Status pictures={busy || !shown ? null : layout.places.map((place) => place.item)} />
      </div>

      {!searched && filled && !filtered && (
        <Examples onStart={({ marks, text }) => dispatch({ type: "start", marks, text })} />
      )}
      {question.filter.missing === "true" && about && about.missing > 0 && (
        <ForgetMissing
          collection={current}
          missing={about.missing}
          onForgotten={(sentence) => {
            say(sentence);
            answers.refresh();
            void library.refresh();
          }}
        />
      )}
      {!asked && idle && <Notice className={styles.waiting}>{t("results.idle")}</Notice>}

      {library.problem && !collections ? (
        <Trouble problem={library.problem} waiting={library.problem.away} />
      ) : problem?.word ? null /* it is told beside the word */ : problem ? (
        <Trouble
          problem={problem}
          waiting={problem.away}
          onAgain={answers.again}
          {...(about?.usable === false && { onReencode: onLibrary })}
        />
      ) : empty && about?.missing && !question.filter.missing ? (
        <Away
          missing={about.missing}
          onShow={() => dispatch({ type: "ask", parts: { filter: { ...question.filter, missing: "true" } } })}
        />
      ) : empty && !importing && !about?.missing ? (
        <Welcome onAdd={onLibrary} onFiles={onFiles} />
      ) : !busy && shown && shown.pictures.length === 0 ? (
        <Nothing asked={asked} filtered={filtered} />
      ) : (
        <>
          {shown?.hint && <Notice className={styles.waiting}>{t(`hint.${shown.hint}`)}</Notice>}
          <Grid
            answers={closed ? { ...answers, hasMore: false } : answers}
            shown={shown}
            layout={layout}
            width={width}
            loading={busy || !collections}
            selection={selection}
            viewed={viewed}
            home={current}
            onOpen={onOpen}
          />
          {closed && !busy && (
            <div className={styles.less}>
              <Button onClick={() => setAll(true)}>{t("results.less.show")}</Button>
            </div>
          )}
        </>
      )}

      <Suspense>
        {chosen.length > 0 && (
          <SelectionBar
            pictures={chosen}
            collections={(collections ?? []).map(({ name }) => name)}
            say={say}
            onLike={() => {
              selection.clear();
              dispatch({ type: "like", ids: chosen.map(({ id }) => id).slice(0, MOST_LIKES), collection: home });
              window.scrollTo({ top: 0 });
            }}
            onRemove={() => {
              onRemove(
                chosen.map((picture) => picture.id),
                chosen[0]?.collection,
              );
              selection.clear();
            }}
            onClear={selection.clear}
          />
        )}
      </Suspense>
    </section>
  );
}

const HEADS = { imported: "results.newest", taken: "results.by.taken", name: "results.by.name" } as const;

/** In which order pictures are looked through. */
function Order({ sort, onChange }: { sort: Sort; onChange: (sort: Sort) => void }) {
  const { t } = useSpeech();
  return (
    <select
      className={styles.order}
      aria-label={t("sort")}
      value={sort}
      onChange={(event) => onChange(event.target.value as Sort)}
    >
      {SORTS.map((one) => (
        <option key={one} value={one}>
          {t(`sort.${one}`)}
        </option>
      ))}
    </select>
  );
}

/** What a screen reader hears when an answer comes; `pictures` is null while there is none. */
function Status({ pictures }: { pictures: readonly (Hit | Picture)[] | null }) {
  const { t } = useSpeech();
  const best = pictures?.[0];
  const shown = pictures ? countOf(pictures.length) : "";
  return (
    <p className="visually-hidden" role="status" data-testid="status">
      {!pictures
        ? ""
        : best && isHit(best)
          ? t("results.status.best", { shown, name: baseName(best.path), score: score(best.score) })
          : t("results.status", { shown })}
    </p>
  );
}

/** What the colours under the pictures mean; only where there are several. */
function Legend({ hits }: { hits: readonly (Hit | Picture)[] }) {
  const { t } = useSpeech();
  const first = hits[0];
  if (!first || !isHit(first)) return null;
  const given = PARTS.filter((name) => name !== "not_text" && first.parts[name] !== undefined);
  if (given.length < 2) return null;
  return (
    <p className={styles.legend} aria-hidden="true">
      {given.map((name) => (
        <span key={name}>
          <Swatch part={name} /> {t(`part.${name}`)}
        </span>
      ))}
    </p>
  );
}
