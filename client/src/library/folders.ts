/** Files as they are dropped or chosen, folders with all that lies in them. */

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

const listed = (folder: FileSystemDirectoryReader): Promise<FileSystemEntry[]> =>
  new Promise((resolve, reject) => folder.readEntries(resolve, reject));

/** All files at or below an entry, with the path that it has in the drop. What cannot be read is left out. */
async function filesOf(entry: FileSystemEntry): Promise<{ name: string; relativePath: string; file: File }[]> {
  try {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      return [{ name: file.name, relativePath: entry.fullPath, file }];
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const found = [];
    for (
      let some = await listed(reader);
      some.length > 0;
      some = await listed(reader) // a hundred at a time
    )
      for (const inside of some) found.push(...(await filesOf(inside)));
    return found;
  } catch {
    return [];
  }
}

/** What a drop brings. To be called while the event is handled: browsers forget it afterwards. */
export async function droppedFiles({ dataTransfer }: DragEvent): Promise<File[]> {
  const held = [...(dataTransfer?.items ?? [])].filter(({ kind }) => kind === "file");
  const items = held.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found = await Promise.all(
    items.map(async (item) => (item instanceof File ? [{ name: item.name, file: item }] : item ? filesOf(item) : [])),
  );
  return pictures(found.flat()).map(({ file }) => file);
}
