/** Damaged safetensors files and folders for fuzzing, each a pure function of its random numbers. */
import type { Random } from "../../src/core/random.ts";

/** A file before its bytes are made: texts of JSON, so that any of them can be wrong. */
interface Draft {
  tensors: {
    name: string;
    dtype: string;
    shape: string[];
    range: [number, number];
    text?: string;
  }[];
  /** Further entries of the header. */
  more: string[];
  data: Uint8Array;
  /** Spaces before and after the header. */
  before: string;
  after: string;
}

const DTYPES = Object.entries({ F32: 4, F16: 2, BF16: 2, U8: 1, BOOL: 1, I64: 8, F64: 8, I16: 2 });
const NAMES = [
  ...["a", "b.weight", "10", "9", "", " spaced ", "constructor", "toString", "__proto__"],
  ...["nul\u0000name", "\u00e9\u4e2d", 'quote"d', "back\\slash", "new\nline", "\ud800", "{", "x:"],
];

export function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.integer(list.length)]!;
}

const deep = (levels: number, open = "[", close = "]") =>
  open.repeat(levels) + close.repeat(levels);
const DEEP = [
  deep(3),
  deep(61),
  deep(62),
  deep(63),
  deep(64),
  deep(30_000),
  deep(3000, '{"a":[', "]}"),
];

/** A valid file of a few tensors; `names` are those that may be used. */
export function newDraft(random: Random, names: readonly string[] = NAMES): Draft {
  const order = random.permutation(names.length).slice(0, 1 + random.integer(5));
  let end = 0;
  const tensors = order.map((index) => {
    const [dtype, size] = pick(random, DTYPES);
    const rank = random.integer(4);
    const dims = Array.from({ length: rank }, () => pick(random, [0, 1, 2, 3, 5, 8]));
    const begin = end;
    end += dims.reduce((product, n) => product * n, size);
    const range: [number, number] = [begin, end];
    return {
      name: JSON.stringify(names[index]),
      dtype: `"${dtype}"`,
      shape: dims.map(String),
      range,
    };
  });
  const data = Uint8Array.from({ length: end }, () => random.integer(256));
  const more = random.integer(2) === 0 ? ['"__metadata__":{"format":"pt"}'] : [];
  return { tensors, more, data, before: "", after: " ".repeat(random.integer(8)) };
}

/** The bytes of a draft. */
export function encodeDraft({ tensors, more, data, before, after }: Draft): Uint8Array {
  const entries = tensors.map(({ name, dtype, shape, range, text }) => {
    const fields = `{"dtype":${dtype},"shape":[${shape.join(",")}],"data_offsets":[${range.join(",")}]}`;
    return `${name}:${text ?? fields}`;
  });
  const json = `${before}{${[...more, ...entries].join(",")}}${after}`;
  const header = new TextEncoder().encode(json);
  const file = new Uint8Array(8 + header.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  file.set(data, 8 + header.length);
  return file;
}

const WRONG_DTYPES = [
  ...['"F33"', '"toString"', '"__proto__"', "null", "5", '["F32"]', "{}", '"f32"', '""', '"I32"'],
  ...['"U16"', '"F8_E4M3"', ...DEEP],
];
const WRONG_SIZES = [
  ...["-1", "1.5", "1e400", "9007199254740993", "9007199254740992", "9007199254740991"],
  ...["4294967296", "1.0", "2.0", "-0", "0", "1e1", "1e-1", '"3"', "null", "[2]", "{}", "true"],
  ...["18446744073709551617", "0.99999999999999999999", ...DEEP],
];
const WRONG_SHAPES = [
  ...[
    [],
    ["1"],
    ["0"],
    ["4294967296", "4294967296"],
    ["9007199254740991", "9007199254740991", "0"],
  ],
  ...[["0", "9007199254740991", "9007199254740991"], Array<string>(30_000).fill("1")],
  ...[Array<string>(2000).fill("1e300"), ["67108864", "134217728", "1024"]],
];
const MORE = [
  ...['"__metadata__":{"a":1}', '"__metadata__":null', '"__metadata__":[]', '"__metadata__":"pt"'],
  ...['"__metadata__":{"a":"b","a":"b"}', '"__metadata__":{"__proto__":"x","":""}'],
  ...['"\\u005f_metadata__":{"a":{}}', '"x":{}', '"x":null', '"x":5', '"x":"y"', '"x":[]', '"x"'],
  ...['"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}', "", '"x":', "5"],
  ...['"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"more":-1.5e3}'],
  ...['"x":{"__proto__":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'],
  ...[
    '"x":{"dtype":"U8","dtype":"F32","shape":[0],"data_offsets":[0,0]}',
    '"bad\\x":{}',
    '"\t":{}',
  ],
  ...DEEP.map((text) => `"x":${text}`),
  ...DEEP.map((text) => `"__metadata__":{"a":${text}}`),
  ...DEEP.map((text) => `"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0],"more":${text}}`),
];

type Tensor = Draft["tensors"][number];

/** Edits of the header's texts; each is given the draft and one of its tensors. */
const EDITS: ((draft: Draft, tensor: Tensor, random: Random) => void)[] = [
  (_, tensor, random) => (tensor.dtype = pick(random, WRONG_DTYPES)),
  (_, tensor, random) => {
    const at = random.integer(tensor.shape.length + 1);
    tensor.shape.splice(at, random.integer(2), pick(random, WRONG_SIZES));
  },
  (_, tensor, random) => (tensor.shape = [...pick(random, WRONG_SHAPES)]),
  (_, tensor, random) => tensor.shape.splice(random.integer(tensor.shape.length + 1), 0, "1"),
  (_, tensor) => tensor.shape.reverse(),
  (_, tensor) => tensor.range.reverse(),
  (_, tensor, random) => (tensor.range[random.integer(2)]! += random.integer(9) - 4),
  (_, tensor, random) => {
    const far = pick(random, [2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 70, -1, 0.5, -0, NaN]);
    tensor.range[random.integer(2)] = far;
  },
  ({ tensors }, tensor, random) => {
    const other = pick(random, tensors);
    [tensor.range, other.range] = [other.range, tensor.range];
  },
  ({ tensors }, tensor, random) => (tensor.range = [...pick(random, tensors).range]),
  ({ tensors }, tensor, random) => tensors.splice(random.integer(tensors.length), 0, { ...tensor }),
  ({ tensors }, tensor) => tensors.splice(tensors.indexOf(tensor), 1),
  ({ tensors }, tensor, random) => (tensor.name = pick(random, tensors).name),
  (_, tensor) =>
    (tensor.name = tensor.name.replace(/\w/, (c) => `\\u00${c.charCodeAt(0).toString(16)}`)),
  (_, tensor, random) => (tensor.name = JSON.stringify("long".repeat(1 + random.integer(30_000)))),
  (_, tensor, random) => {
    const missing = pick(random, ["dtype", "shape", "data_offsets"]);
    const fields: Record<string, string> = {
      dtype: tensor.dtype,
      shape: `[${tensor.shape.join()}]`,
      data_offsets: `[${tensor.range.join()}]`,
    };
    fields[missing] = pick(random, ["null", "{}", "[]", "5", '"x"', '["0","0"]', "[0]", "[0,0,0]"]);
    const entries = Object.entries(fields).filter(
      ([key]) => key !== missing || random.integer(2) === 0,
    );
    tensor.text = `{${entries.map(([key, value]) => `"${key}": ${value}`).join(" ,\n")}}`;
  },
  (draft, _, random) => draft.more.push(pick(random, MORE)),
  (draft, _, random) =>
    (draft.after = pick(random, [" ".repeat(1e6), "\n\t\r ", "\u0000", "x", "}"])),
  (draft, _, random) => (draft.before = pick(random, [" ", "\ufeff", "[", "{", "\n"])),
  (draft, _, random) => {
    const count = random.integer(3000);
    const empty = '{"dtype":"I8","shape":[7,0],"data_offsets":[0,0]}';
    for (let i = 0; i < count; i++) draft.more.push(`"many.${i}":${empty}`);
  },
];

/** Edits of a file's bytes, most of them in the header, where there is something to notice. */
const BYTE_EDITS: ((file: Uint8Array, header: number, random: Random) => Uint8Array)[] = [
  (file, _, random) => file.slice(0, random.integer(file.length + 1)),
  (file, _, random) =>
    Uint8Array.of(...file.slice(0, 2000), ...Array<number>(random.integer(20)).fill(0)),
  (file, _, random) => {
    const length = pick(random, [0, 1, 7, file.length - 8, file.length, 1e8, 1e8 + 1, 2 ** 40]);
    new DataView(file.buffer).setBigUint64(0, BigInt(Math.max(0, length)), true);
    return file;
  },
  (file, header, random) => {
    new DataView(file.buffer).setBigUint64(
      0,
      BigInt(Math.max(0, header + random.integer(9) - 4)),
      true,
    );
    return file;
  },
  (file, _, random) => {
    file[random.integer(8)] = random.integer(256);
    return file;
  },
  (file, header, random) => {
    const edits = 1 + random.integer(4);
    for (let i = 0; i < edits; i++) {
      const at = 8 + random.integer(Math.max(1, header));
      if (at >= file.length) continue;
      const digit = file[at]! >= 0x30 && file[at]! <= 0x39;
      file[at] = digit ? 0x30 + random.integer(10) : random.integer(256);
    }
    return file;
  },
  (file, header, random) => {
    const at = 8 + random.integer(Math.max(1, header));
    const bytes = pick(random, [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0], [0x22], []]);
    return Uint8Array.of(...file.slice(0, at), ...bytes, ...file.slice(at + random.integer(2)));
  },
  (file, _, random) => {
    const at = random.integer(file.length);
    file[at]! ^= 1 << random.integer(8);
    return file;
  },
];

/** A file of which one in eight is as it should be. */
export function mutantFile(random: Random): Uint8Array {
  const draft = newDraft(random);
  const kind = random.integer(8);
  for (let edits = kind === 0 || kind > 5 ? 0 : 1 + random.integer(2); edits > 0; edits--) {
    if (draft.tensors.length > 0) pick(random, EDITS)(draft, pick(random, draft.tensors), random);
  }
  const file = encodeDraft(draft);
  return kind > 4 ? mutateBytes(file, random) : file;
}

function mutateBytes(file: Uint8Array, random: Random): Uint8Array {
  // Some edits copy a file by spreading it, which has a limit.
  if (file.length < 8 || file.length > 50_000) return file;
  const header = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return pick(random, BYTE_EDITS)(file, Math.min(header, file.length), random);
}

const WRONG_PLACES = [
  ...['"../model-1.safetensors"', '"/etc/passwd"', '".."', '"."', '""', '"a\\u0000b"', '"sub/x"'],
  ...[
    '"..\\\\x"',
    '"%2e%2e"',
    '"x?y"',
    '"x#y"',
    '"http://elsewhere.test/x"',
    '"file:///etc/passwd"',
  ],
  ...["null", "5", "{}", '["model-1.safetensors"]', '"missing.safetensors"', '"toString"'],
  ...['"model.safetensors.index.json"', '"model-1.safetensors"', '"model-2.safetensors"', ...DEEP],
];
const WRONG_MAPS = ["null", "5", '"x"', "[]", '["model-1.safetensors"]', "{}", ...DEEP];

/** The files of a folder with an index, by name; one folder in eight is as it should be. */
export function mutantFolder(random: Random): Map<string, Uint8Array> {
  const kind = random.integer(8);
  const files = new Map<string, Uint8Array>();
  const places: [name: string, place: string][] = [];
  const halves = [NAMES.filter((_, i) => i % 2 === 0), NAMES.filter((_, i) => i % 2 === 1)];
  for (const [i, names] of halves.entries()) {
    const draft = newDraft(random, kind === 1 ? NAMES : names);
    const file = `model-${i + 1}.safetensors`;
    // A tensor that lies in both shards is where the first says.
    const known = new Set(places.map(([name]) => name));
    for (const { name } of draft.tensors) if (!known.has(name)) places.push([name, `"${file}"`]);
    files.set(file, encodeDraft(draft));
  }
  const draftIndex = () => {
    const map = `{${places.map(([name, place]) => `${name}:${place}`).join(",")}}`;
    return `{"metadata":{"total_size":1.5},"weight_map":${map}}`;
  };
  let index = draftIndex();
  if (kind === 2 || kind === 3) {
    pick(random, places)[1] = pick(random, WRONG_PLACES);
    index = draftIndex();
  } else if (kind === 4) {
    const place = pick(random, places);
    if (random.integer(2) === 0) places.splice(places.indexOf(place), 1);
    else places.push([pick(random, [place[0], '"new"', '"__proto__"']), place[1]]);
    index = draftIndex();
  } else if (kind === 5) {
    index = pick(random, [
      `{"weight_map":${pick(random, WRONG_MAPS)}}`,
      `{"metadata":${pick(random, DEEP)},${index.slice(1)}`,
      `{"weight_map":{},${index.slice(1)}`,
      `\ufeff${index}`,
      `${index}\n`,
      "null",
      "{}",
      "[]",
      "",
    ]);
  } else if (kind === 6) {
    const name = pick(random, [...files.keys()]);
    const damage = random.integer(4);
    if (damage === 0) files.delete(name);
    else files.set(name, damage === 1 ? mutantFile(random) : mutateBytes(files.get(name)!, random));
  }
  let bytes = new TextEncoder().encode(index);
  if (kind === 7) {
    const at = random.integer(bytes.length);
    if (random.integer(4) === 0) bytes = bytes.slice(0, at);
    else bytes[at] = pick(random, [0xff, 0x22, 0x2c, 0x7d, bytes[at]! ^ (1 << random.integer(8))]);
  }
  if (random.integer(16) > 0) files.set("model.safetensors.index.json", bytes);
  if (random.integer(16) === 0) files.set("model.safetensors", mutantFile(random));
  return files;
}
