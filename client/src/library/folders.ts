/** Files as they are dropped or chosen, folders with all that lies in them. */

import { fromEvent } from "file-selector";

// What the server reads, and archives of it. Directly chosen files go whatever they are: the server says what is wrong with them.
const PICTURE = /\.(jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif|zip)$/i;
const HIDDEN = /(^|\/)(\.(?!\/)|__MACOSX\/|@eaDir\/)/;

interface Placed {
  name: string;
  /** Where it lay, as "./a.jpg", "/folder/a.jpg" or "folder/a.jpg"; missing where the browser does not say. */
  relativePath?: string;
  webkitRelativePath?: string;
}

/** Without what lay in a folder beside the pictures: notes, lists, the system's hidden files. */
export function pictures<T extends Placed>(files: readonly T[]): T[] {
  return files.filter((file) => {
    const path = file.webkitRelativePath || file.relativePath || file.name;
    const inside = path.replace(/^\.?\//, "").includes("/");
    return !inside || (PICTURE.test(file.name) && !HIDDEN.test(path));
  });
}

/** What a drop brings. To be called while the event is handled: browsers forget it afterwards. */
export async function droppedFiles(event: DragEvent): Promise<File[]> {
  const found = await fromEvent(event);
  return pictures(found.filter((file) => file instanceof File));
}
