/** The server's bound on the files of one request is 10,000; smaller parcels also show up as pictures sooner. */
const FILES = 500;

/** Files in order, in groups of at most `bytes` and FILES each; a file beyond the limit goes alone and gets the server's own answer. */
export function parcels<T extends { size: number }>(files: readonly T[], bytes: number): T[][] {
  const groups: T[][] = [];
  let room = 0;
  for (const file of files) {
    const group = groups.at(-1);
    if (group && group.length < FILES && file.size <= room) group.push(file);
    else {
      groups.push([file]);
      room = bytes;
    }
    room -= file.size;
  }
  return groups;
}
