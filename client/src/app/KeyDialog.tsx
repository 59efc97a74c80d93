import { type FormEvent, useEffect, useState } from "react";
import { useSpeech } from "../i18n";
import { api } from "../server/client";
import { type KeyQuestion, onKeyQuestion } from "../server/key";
import { asProblem, type Problem } from "../server/problem";
import { Button } from "../ui/Button";
import { Dialog } from "../ui/Dialog";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import styles from "./KeyDialog.module.css";

/** Asks for the API key when a request was refused for want of one, and signs in with it. */
export function KeyDialog() {
  const { t, explain } = useSpeech();
  const [question, setQuestion] = useState<KeyQuestion | null>(null);
  const [key, setKey] = useState("");
  const [refused, setRefused] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => onKeyQuestion(setQuestion), []);
  if (!question) return null;
  const close = (signedIn: boolean): void => {
    setQuestion(null);
    setKey("");
    setRefused(null);
    question.answer(signedIn);
  };
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      await api.signIn(key.trim());
      close(true);
    } catch (error) {
      setRefused(asProblem(error));
    }
    setBusy(false);
  };
  return (
    <Dialog className={styles.card} label={t("key.title")} onClose={() => close(false)}>
      <form onSubmit={(event) => void submit(event)}>
        <h2>{t("key.title")}</h2>
        <p>{t("key.why")}</p>
        <Field label={t("key.field")}>
          <input
            type="password"
            autoComplete="current-password"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            required
          />
        </Field>
        {refused && <Notice bad>{refused.status === 401 ? t("key.wrong") : explain(refused)}</Notice>}
        <p className="hint">{t("key.kept")}</p>
        <div className="actions">
          <Button onClick={() => close(false)}>{t("cancel")}</Button>
          <Button type="submit" look="primary" disabled={busy}>
            {t("key.continue")}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
