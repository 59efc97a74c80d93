import { useEffect, useState } from "react";
import { type KeyQuestion, onKeyQuestion } from "../api/key";
import { Dialog } from "./Dialog";

/** Asks for the API key when a request was refused for want of one. */
export function KeyDialog() {
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
    <Dialog className="card-dialog" label="API key" onClose={() => answer(null)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          answer(key.trim() || null);
        }}
      >
        <h2>API key</h2>
        <p className="muted">{question.sentence}</p>
        <label className="field">
          <span>Key</span>
          <input
            type="password"
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value)}
            required
          />
        </label>
        <p className="hint">Kept in this browser tab only.</p>
        <div className="actions">
          <button type="button" className="button" onClick={() => answer(null)}>
            Cancel
          </button>
          <button type="submit" className="button primary">
            Continue
          </button>
        </div>
      </form>
    </Dialog>
  );
}
