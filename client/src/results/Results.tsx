import type { Dispatch } from "react";
import type { Question, Step } from "../app/question";
import { useSpeech } from "../i18n";
import { baseName, count, pictures as countOf, score } from "../i18n/format";
import type { Library } from "../server/queries";
import type { Hit, Picture } from "../server/types";
import { Button } from "../ui/Button";
import { Notice, Spinner } from "../ui/Notice";
import { Examples } from "./Examples";
import { Grid } from "./Grid";
import { isHit, PARTS, Swatch } from "./Parts";
import styles from "./Results.module.css";
import { Nothing, Trouble, Welcome } from "./States";
import type { Answers } from "./useAnswers";

interface Props {
  library: Library;
  answers: Answers;
  /** Whether the question asks for anything: otherwise the newest pictures are shown. */
  asked: boolean;
  question: Question;
  importing: boolean;
  dispatch: Dispatch<Step>;
  onOpen: (id: number) => void;
  onLibrary: () => void;
  onFiles: (files: readonly File[]) => void;
}

/** The right side of the page: what was found, or why there is nothing. */
export function Results({ library, answers, asked, question, importing, dispatch, onOpen, onLibrary, onFiles }: Props) {
  const { t } = useSpeech();
  const { shown, busy, problem } = answers;
  const { about, collections, empty } = library;
  const idle =
    Object.keys(question.filter).length > 0 ||
    question.notText.trim() !== "" ||
    question.like !== null ||
    question.image !== null;
  const filled = about !== undefined && about.count > 0;
  const searched = asked && shown?.kind === "search" ? shown : null;

  return (
    <section className={styles.results} aria-label={t("results.pictures")}>
      <div className={styles.head}>
        {(asked || !about || filled) && <h1>{t(asked ? "results.best" : "results.newest")}</h1>}
        {busy && <Spinner />}
        {shown?.kind === "search" && shown.tookMs !== null && !busy && (
          <span className={styles.took}>{count(Math.max(1, Math.round(shown.tookMs)))} ms</span>
        )}
        <span className="spacer" />
        {searched && <Legend hits={searched.pictures} />}
        {asked && (
          <Button small onClick={() => dispatch({ type: "blank" })}>
            {t("results.again")}
          </Button>
        )}
        <Status pictures={busy ? null : (shown?.pictures ?? null)} />
      </div>

      {!asked && filled && <Examples onStart={({ marks, text }) => dispatch({ type: "start", marks, text })} />}
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
        <Grid answers={answers} loading={busy || !collections} onOpen={onOpen} />
      )}
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
