import { useQuery } from "@tanstack/react-query";
import { CornerLeftUp, Folder } from "lucide-react";
import { type Translate, useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import { api } from "../server/client";
import type { FolderList } from "../server/types";
import { Button } from "../ui/Button";
import styles from "./Folders.module.css";

/** What lies directly in a folder: one of folders is not said to be empty. */
function inside({ pictures: files, folders }: FolderList["folders"][number], t: Translate): string {
  const parts = [files ? pictures(files) : "", folders ? t("count.folders", { count: folders }) : ""].filter(Boolean);
  return parts.join(" · ") || t("add.folder.bare");
}

interface Props {
  /** The folder that is looked into; null: those that the server allows. */
  at: string | null;
  /** Whether one can go up to those. */
  several: boolean;
  onGo: (path: string | null) => void;
}

/** The server's folders, to be looked through instead of typed. Nothing where this is not allowed, or there is nothing to choose. */
export function Folders({ at, several, onGo }: Props) {
  const { t } = useSpeech();
  const { data, isError } = useQuery({
    queryKey: ["folders", at],
    queryFn: ({ signal }) => api.folders(at, signal),
    placeholderData: (known) => known,
    retry: false,
  });
  if (!data || isError) return null;
  const up = data.path !== null && (several || data.parent !== null);
  if (data.folders.length === 0 && !up) return null;
  return (
    <div className={styles.folders}>
      {up && (
        <Button small look="quiet" onClick={() => onGo(data.parent)}>
          <CornerLeftUp /> {t("add.folder.up")}
        </Button>
      )}
      <ul aria-label={t("add.folder.inside")}>
        {data.folders.map((folder) => (
          <li key={folder.path}>
            <button type="button" onClick={() => onGo(folder.path)}>
              <Folder />
              <span className={styles.name}>{folder.name}</span>
              {folder.pictures !== null && <span className={styles.count}>{inside(folder, t)}</span>}
            </button>
          </li>
        ))}
        {data.more && <li className={styles.more}>…</li>}
      </ul>
    </div>
  );
}
