/**
 * Characters after Unicode 9 that take part in composing or in the order of marks (as of Unicode 17).
 *
 * Found by comparing the NFC of every code point beside marks of other classes with that of the
 * Rust library.
 */
const LATER =
  String.raw`\u07fd\u0897-\u089f\u08ca-\u08d3\u09fe\u0c3c\u0d3b\u0d3c\u0eba\u1715\u1abf-\u1add` +
  String.raw`\u1ae0-\u1aeb\u1df6-\u1dfa\ua82c\u{105c9}\u{105d2}\u{105da}\u{105e4}\u{10d24}-\u{10d27}` +
  String.raw`\u{10d69}-\u{10d6d}\u{10eab}\u{10eac}\u{10efa}\u{10efb}\u{10efd}-\u{10eff}` +
  String.raw`\u{10f46}-\u{10f50}\u{10f82}-\u{10f85}\u{11070}\u{1133b}\u{11382}-\u{11385}\u{1138b}` +
  String.raw`\u{1138e}\u{11390}\u{11391}\u{113b8}\u{113bb}\u{113c2}\u{113c5}\u{113c7}-\u{113c9}` +
  String.raw`\u{113ce}-\u{113d0}\u{1145e}\u{11839}\u{1183a}\u{11930}\u{11935}\u{11938}` +
  String.raw`\u{1193d}\u{1193e}\u{11943}\u{119e0}\u{11a34}\u{11a47}\u{11a99}\u{11d42}` +
  String.raw`\u{11d44}\u{11d45}\u{11d97}\u{11f41}\u{11f42}\u{1611e}-\u{16129}\u{1612f}\u{16d63}` +
  String.raw`\u{16d67}-\u{16d6a}\u{16ff0}\u{16ff1}\u{1e08f}\u{1e130}-\u{1e136}\u{1e2ae}` +
  String.raw`\u{1e2ec}-\u{1e2ef}\u{1e4ec}-\u{1e4ef}\u{1e5ee}\u{1e5ef}\u{1e6e3}\u{1e6e6}` +
  String.raw`\u{1e6ee}\u{1e6ef}\u{1e6f5}`;
const HAS_LATER = new RegExp(`[${LATER}]`, "u");
const SPLIT_LATER = new RegExp(`([${LATER}])`, "u");

/**
 * NFC as the tokenizers of the released models were run: with the tables of Unicode 9, which the
 * Rust library still has. Platforms have newer tables, each its own, and would reorder and compose
 * what the models saw as it was typed.
 *
 * Source: crate unicode-normalization-alignments 0.1.12, used by tokenizers 0.22.
 */
export function normaliseNfc(text: string): string {
  if (!HAS_LATER.test(text)) return text.normalize("NFC");
  // To the older tables each later character stands alone, so nothing crosses it.
  return text
    .split(SPLIT_LATER)
    .map((piece, i) => (i % 2 === 1 ? piece : piece.normalize("NFC")))
    .join("");
}
