import { useState } from "react";
import { useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import { Button } from "../ui/Button";
import { Confirm } from "../ui/Confirm";
import { Notice } from "../ui/Notice";

interface Props {
  collection: string;
  /** How many of its pictures have no file now. */
  missing: number;
  /** They are gone; with a sentence on how many. */
  onForgotten: (sentence: string) => void;
}

/** What it means that pictures are missing, and the way to give them up. */
export function ForgetMissing({ collection, missing, onForgotten }: Props) {
  const { t, explain } = useSpeech();
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const forget = async (): Promise<void> => {
    setAsking(false);
    setProblem(null);
    try {
      const { pictures: gone, found } = await api.forget(collection);
      const back = found > 0 ? ` ${t("missing.found", { pictures: pictures(found) })}` : "";
      onForgotten(t("missing.forgotten", { pictures: pictures(gone) }) + back);
    } catch (error) {
      setProblem(explain(asProblem(error)));
    }
  };
  return (
    <Notice>
      {asking ? (
        <Confirm
          question={t("missing.forget.sure", { pictures: pictures(missing) })}
          no={t("keep")}
          yes={t("missing.forget.yes")}
          onNo={() => setAsking(false)}
          onYes={() => void forget()}
        />
      ) : (
        <>
          {t("missing.why", { pictures: pictures(missing) })}{" "}
          <Button small onClick={() => setAsking(true)}>
            {t("missing.forget")}
          </Button>
        </>
      )}
      {problem && <p role="alert">{problem}</p>}
    </Notice>
  );
}
