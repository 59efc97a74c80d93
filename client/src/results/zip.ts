import { downloadZip } from "client-zip";
import { baseName } from "../i18n/format";
import { api } from "../server/client";
import type { Picture } from "../server/types";

/** Names as they are, the later ones of the same name numbered: "a.jpg", "a (2).jpg". */
export function distinct(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    const dot = name.lastIndexOf(".");
    const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
    let free = name;
    for (let turn = 2; taken.has(free.toLowerCase()); turn += 1) free = `${stem} (${turn})${ending}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

/** The originals in one zip, as the browser saves files. Raises the first Problem that a picture's file meets. */
export async function download(pictures: readonly Picture[], onFile: (done: number) => void): Promise<void> {
  const names = distinct(pictures.map((picture) => baseName(picture.path)));
  async function* files() {
    for (const [index, picture] of pictures.entries()) {
      yield { name: names[index] ?? "", input: await api.original(picture.file_url) };
      onFile(index + 1);
    }
  }
  const url = URL.createObjectURL(await downloadZip(files()).blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = "pictures.zip";
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
