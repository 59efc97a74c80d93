import { useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import type { Removal } from "../results/useRemoval";
import { Toast } from "./Toast";

/** What was just taken out of the library, in honest words, and the way back. */
export function Removed({ removal }: { removal: Removal }) {
  const { t, explain } = useSpeech();
  const { gone, problem, undo, dismiss } = removal;
  if (problem) return <Toast sentence={explain(problem)} onGone={dismiss} />;
  if (!gone) return null;
  const { pictures: count, only_copies: copies, trash } = gone;
  const what = t("removed", { pictures: pictures(count) });
  const kept = copies > 0 ? t("removed.copies", { count: copies }) : t("removed.files");
  return (
    <Toast
      sentence={`${what} ${kept}`}
      {...(trash && { action: t("gallery.undo"), onAction: undo })}
      onGone={dismiss}
    />
  );
}
