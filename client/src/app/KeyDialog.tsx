import { useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { type KeyQuestion, onKeyQuestion } from "../server/key";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Field } from "../ui/Field";
import styles from "./KeyDialog.module.css";

/** Asks for the API key when a request was refused for want of one. */
export function KeyDialog() {
  const { t, explain } = useSpeech();
  const [question, setQuestion] = useState<KeyQuestion | null>(null);
  const [key, setKey] = useState("");
  useEffect(() => onKeyQuestion(setQuestion), []);
  if (!question) return null;
  const answer = (given: string | null): void => {
    setQuestion(null);
    setKey("");
    question.answer(given);
  };
  return (
    <Dialog className={styles.card} label={t("key.title")} onClose={() => answer(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          answer(key.trim() || null);
        }}
      >
        <h2>{t("key.title")}</h2>
        <p>{t("key.why")}</p>
        <p className="muted">{explain(question.problem)}</p>
        <Field label={t("key.field")}>
          <input
            type="password"
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            required
          />
        </Field>
        <p className="hint">{t("key.kept")}</p>
        <div className="actions">
          <Button onClick={() => answer(null)}>{t("cancel")}</Button>
          <Button type="submit" look="primary">
            {t("key.continue")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
