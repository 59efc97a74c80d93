import { describe, expect, it } from "vitest";
import { pictures } from "./folders";

const names = (files: { name: string; relativePath?: string; webkitRelativePath?: string }[]) =>
  pictures(files).map((file) => file.name);

describe("a dropped folder", () => {
  it("gives its pictures and archives, not what lies beside them", () => {
    const inside = ["a.JPG", "b.heic", "c.zip", "notes.txt", "album.xmp"];
    expect(names(inside.map((name) => ({ name, relativePath: `/trip/day/${name}` })))).toEqual([
      "a.JPG",
      "b.heic",
      "c.zip",
    ]);
    expect(names([{ name: "x.tiff", webkitRelativePath: "trip/x.tiff" }])).toEqual(["x.tiff"]);
  });
  it("keeps what systems hide to itself", () => {
    const paths = ["/trip/._a.jpg", "/trip/.thumbs/a.jpg", "/__MACOSX/a.jpg"];
    expect(names(paths.map((relativePath) => ({ name: relativePath.split("/").at(-1) ?? "", relativePath })))).toEqual(
      [],
    );
  });
});

describe("single files", () => {
  it("go as they are: the server says what is wrong with them", () => {
    expect(
      names([
        { name: "text.txt", relativePath: "./text.txt" },
        { name: "a.jpg", relativePath: "a.jpg" },
        { name: "b" },
      ]),
    ).toEqual(["text.txt", "a.jpg", "b"]);
  });
});
