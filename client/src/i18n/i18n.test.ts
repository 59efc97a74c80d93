import { afterEach, describe, expect, it } from "vitest";
import { Problem } from "../server/problem";
import { en } from "./en";
import { bytes, date, pictures } from "./format";
import { type Message, setLanguage, spoken } from "./index";
import { zh } from "./zh";

const textsOf = (message: Message): string[] => (typeof message === "string" ? [message] : Object.values(message));
const blanksOf = (message: Message): string[] =>
  [...new Set(textsOf(message).flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();

afterEach(() => setLanguage("en"));

describe("the catalogues", () => {
  it.each(Object.entries(en as Record<string, Message>))("say %s in both languages", (key, message) => {
    const other = (zh.messages as Record<string, Message>)[key];
    expect(other && blanksOf(other)).toEqual(blanksOf(message));
    expect([...textsOf(message), ...textsOf(other ?? "")].every((text) => text.trim() !== "")).toBe(true);
  });
});

describe("a sentence", () => {
  it("is filled with names and numbers, in the number's form", async () => {
    expect(spoken().t("library.add", { collection: "$1" })).toBe("Add pictures to $1");
    expect([1, 2, 1234].map(pictures)).toEqual(["1 picture", "2 pictures", "1,234 pictures"]);
    await setLanguage("zh");
    expect([1, 1234].map(pictures)).toEqual(["1 张图片", "1,234 张图片"]);
    expect(bytes(1500)).toBe("1.5 kB");
    expect(date("2024-05-03T10:20:00")).toContain("2024年5月3日");
  });
});

describe("a problem of the server", () => {
  const refused = new Problem(403, "forbidden", "Folder /etc is outside IMAGE_ROOTS.");
  const unknown = new Problem(418, "teapot", "This server is a teapot.");

  it("is told in the server's own words in English", () => {
    expect(spoken().explain(refused)).toBe("Folder /etc is outside IMAGE_ROOTS.");
    expect(spoken().explain(new Problem(0, "no_answer"))).toBe("The server does not answer. Is it still running?");
    expect(spoken().explain(new Problem(500, "status"))).toBe("The server answered with error 500.");
  });

  it("is told by its code in Chinese, with the details behind", async () => {
    await setLanguage("zh");
    expect(spoken().explain(refused)).toBe("服务器不允许这样做。（Folder /etc is outside IMAGE_ROOTS.）");
    expect(spoken().explain(unknown)).toBe("This server is a teapot.");
    expect(spoken().explain(new Problem(502, "gateway"))).toBe("服务器暂时没有响应。");
  });
});
