import { type Dispatch, useCallback, useMemo } from "react";
import type { Question, Step } from "../app/question";
import { Toast } from "../app/Toast";
import { useSpeech } from "../i18n";
import { baseName, calendar, count, pictures as countOf, score } from "../i18n/format";
import type { Library } from "../server/queries";
import type { Hit, Picture } from "../server/types";
import { Button } from "../ui/Button";
import { Notice, Spinner } from "../ui/Notice";
import { byDate } from "./dates";
import { Examples } from "./Examples";
import { Grid } from "./Grid";
import { type Layout, layOut } from "./layout";
import { isHit, PARTS, Swatch } from "./Parts";
import styles from "./Results.module.css";
import { SelectionBar } from "./SelectionBar";
import { Nothing, Trouble, Welcome } from "./States";
import { smallUrl } from "./Tile";
import type { Answers, Shown } from "./useAnswers";
import { useRemoval } from "./useRemoval";
import { useSelection } from "./useSelection";
import { useSteady } from "./useSteady";
import { useWidth } from "./useWidth";

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
}

/** Hits in rows, the newest pictures in rows under their dates. */
function arrange(shown: Shown | null, width: number): Layout<Picture | Hit> {
  if (!shown) return layOut<Picture | Hit>([], width, 0);
  if (shown.kind === "search") return layOut([{ title: "", items: shown.pictures }], width, BAR);
  return layOut(byDate(shown.pictures, calendar), width, 0);
}

/** The right side of the page: what was found, or why there is nothing. */
export function Results(props: Props) {
  const { library, answers, asked, question, importing, viewed, dispatch, onOpen, onLibrary, onFiles } = props;
  const { t, explain, language } = useSpeech();
  const { problem } = answers;
  const { about, collections, empty, current, refresh } = library;
  const [element, width] = useWidth<HTMLElement>();
  const shown = useSteady(answers.shown, (next) =>
    arrange(next, width)
      .places.filter((place) => place.top < window.innerHeight)
      .map((place) => smallUrl(place.item)),
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: another language writes other dates
  const layout = useMemo(() => arrange(shown, width), [shown, width, language]);
  const busy = answers.busy || shown !== answers.shown;

  const pictures = shown?.pictures ?? NONE;
  const selection = useSelection(pictures, current);
  const removal = useRemoval(
    current,
    answers,
    useCallback(() => void refresh(), [refresh]),
  );
  const chosen = useMemo(() => [...selection.chosen.values()], [selection.chosen]);

  const idle =
    Object.keys(question.filter).length > 0 ||
    question.notText.trim() !== "" ||
    question.like !== null ||
    question.image !== null;
  const filled = about !== undefined && about.count > 0;
  // The page turns over together with the pictures, not before them.
  const searched = shown ? shown.kind === "search" : asked;

  return (
    <section ref={element} className={styles.results} aria-label={t("results.pictures")}>
      <div className={styles.head}>
        {(searched || !about || filled) && <h1>{t(searched ? "results.best" : "results.newest")}</h1>}
        {busy && <Spinner />}
        {shown?.kind === "search" && shown.tookMs !== null && !busy && (
          <span className={styles.took}>{count(Math.max(1, Math.round(shown.tookMs)))} ms</span>
        )}
        <span className="spacer" />
        {asked && shown?.kind === "search" && <Legend hits={shown.pictures} />}
        {asked && (
          <Button small onClick={() => dispatch({ type: "blank" })}>
            {t("results.again")}
          </Button>
        )}
        <Status pictures={busy ? null : (shown?.pictures ?? null)} />
      </div>

      {!searched && filled && <Examples onStart={({ marks, text }) => dispatch({ type: "start", marks, text })} />}
      {!asked && idle && <Notice className={styles.waiting}>{t("results.idle")}</Notice>}

      {library.problem && !collections ? (
        <Trouble problem={library.problem} waiting={library.problem.away} />
      ) : problem ? (
        <Trouble problem={problem} waiting={problem.away} onAgain={answers.again} />
      ) : empty && !importing ? (
        <Welcome onAdd={onLibrary} onFiles={onFiles} />
      ) : !busy && shown && shown.pictures.length === 0 ? (
        <Nothing asked={asked} />
      ) : (
        <Grid
          answers={answers}
          shown={shown}
          layout={layout}
          width={width}
          loading={busy || !collections}
          selection={selection}
          viewed={viewed}
          onOpen={onOpen}
        />
      )}

      {chosen.length > 0 && (
        <SelectionBar
          pictures={chosen}
          onLike={(id) => {
            selection.clear();
            dispatch({ type: "like", id });
            window.scrollTo({ top: 0 });
          }}
          onRemove={() => {
            removal.remove(chosen.map((picture) => picture.id));
            selection.clear();
          }}
          onClear={selection.clear}
        />
      )}
      {removal.pending && (
        <Toast
          sentence={t("gallery.removed", { pictures: countOf(removal.pending.ids.length) })}
          action={t("gallery.undo")}
          onAction={removal.undo}
          onGone={removal.dismiss}
        />
      )}
      {removal.problem && <Toast sentence={explain(removal.problem)} onGone={removal.dismiss} />}
    </section>
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
