import { describe, expect, it } from "vitest";
import { fuzzSafetensors } from "../helpers/safetensors-fuzz.ts";
import { parseJson, promisedTensors } from "../helpers/safetensors-oracle.ts";
import { newDraft, encodeDraft } from "../helpers/safetensors-mutants.ts";
import { Random } from "../../src/core/random.ts";

describe("the checks of the fuzz test itself", () => {
  it("read JSON as JSON.parse does", () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    const plain = (value: unknown): unknown =>
      value instanceof Map
        ? Object.fromEntries([...value].map(([name, part]) => [name, plain(part)]))
        : Array.isArray(value)
          ? value.map(plain)
          : value;
    const texts = [
      '{" a":[1,-2.5e3,"\\u00e9\\n",{}],"b":[],"":null}',
      " [true , false]\n",
      '"\\ud800"',
    ];
    for (const text of texts) expect(plain(parseJson(bytes(text)))).toEqual(JSON.parse(text));
    const wrong = [
      "",
      "[1,]",
      "{,}",
      '{"a"}',
      '{"a":1,}',
      "01",
      "1.",
      "tru",
      '"\t"',
      '"\\x"',
      "[] x",
    ];
    for (const text of wrong) {
      expect(() => JSON.parse(text)).toThrow(SyntaxError);
      expect(parseJson(bytes(text)), text).toBeUndefined();
    }
    expect(parseJson(bytes('{"a":1,"\\u0061":1}'))).toBeUndefined();
    expect(parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toBeUndefined();
  });

  it("find valid files valid", () => {
    for (let seed = 0; seed < 50; seed++) {
      const draft = newDraft(new Random(seed, "data"));
      expect(promisedTensors(encodeDraft(draft))?.size).toBe(draft.tensors.length);
    }
  });
});

it("500 mutated files and folders are read byte for byte or refused by name", async () => {
  const { read, refused } = await fuzzSafetensors(0, 500);
  expect(read).toBeGreaterThan(50);
  expect(refused).toBeGreaterThan(200);
});
