import { Button } from "./Button";
import styles from "./Confirm.module.css";

interface Props {
  question: string;
  no: string;
  yes: string;
  onNo: () => void;
  onYes: () => void;
}

/** Asks, in place, before something is taken away. */
export function Confirm({ question, no, yes, onNo, onYes }: Props) {
  return (
    <div className={styles.confirm}>
      <p>{question}</p>
      <div className="actions">
        <Button small onClick={onNo}>
          {no}
        </Button>
        <Button small look="danger" onClick={onYes}>
          {yes}
        </Button>
      </div>
    </div>
  );
}
