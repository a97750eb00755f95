/**
 * Words around an answer in Chinese, Japanese and Korean, as sources of regular expressions. These
 * scripts put no space between a word and a letter, so a letter that touches them names an option
 * only beside one of these words: "type B blood" and "the B road" are written without a space too.
 */

/** Characters of Chinese, Japanese and Korean writing, for a class. */
export const EAST_ASIAN =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\u30fc";

const either = (...words: readonly string[]): string => `(?:${words.join("|")})`;

/** "Option", "item", "number", as they stand before a letter or after it. */
const OPTION = either(
  "[\\u9009\\u9078][\\u9879\\u9805]", // xuanxiang
  "[\\u9879\\u9805]", // xiang
  "\\u9078\\u629e\\u80a2", // sentakushi
  "\\ubc88", // beon
  "\\ubcf4\\uae30", // bogi
);

/** Characters that may touch a letter from before: choose, is, answer, particles, and, or, not. */
export const BEFORE_LETTER = either(
  OPTION,
  "[\\u9009\\u9078\\u62e9\\u64c7\\u629e]", // xuan, ze
  "[\\u662f\\u4e3a\\u70ba\\u5373\\u5e94\\u61c9\\u6545\\u6848\\u89e3\\u7b54]", // shi, wei, ji, ying, gu, an, jie, da
  "\\u7b54\\u3048", // kotae
  "[\\u548c\\u6216\\u4e0e\\u8207\\u8ddf\\u53ca\\u975e\\u4e0d\\u9664]", // he, huo, yu, gen, ji; fei, bu, chu
  "[\\u306f\\u304c\\u3068\\u3084\\u304b\\u306e\\u3092]", // wa, ga, to, ya, ka, no, wo
  "[\\uc740\\ub294\\uc774\\uac00\\ub2f5\\ub9cc\\uc9c0]", // eun, neun, i, ga, dap, man, ji
);

/**
 * Characters that may touch a letter from behind: option, is, right, wrong, not, and, or,
 * particles.
 */
export const AFTER_LETTER = either(
  OPTION,
  "[\\u9009\\u9078]|\\u7b54\\u6848", // xuan, daan
  "[\\u662f\\u4e3a\\u70ba\\u6b63\\u5bf9\\u5c0d\\u7b26\\u6700\\u66f4]", // shi, wei, zheng, dui, fu, zui, geng
  "[\\u9519\\u932f\\u4e0d]", // cuo, bu
  "[\\u548c\\u6216\\u4e0e\\u8207\\u4e2d\\u4e5f\\u90fd\\u624d\\u4e86\\u5427\\u5417\\u55ce\\u5c31]",
  "\\u7684(?=[\\s.,!]|$)", // de, at the end of a clause
  "[\\u3067\\u3060\\u304c\\u306f\\u3092\\u3068\\u3084\\u304b\\u3082\\u306e\\u756a]", // de, da, ga, wa, ...
  "[\\uc785\\uc774\\uac00\\uc740\\ub294\\ub97c\\uc744\\uc608\\uc694\\ub77c\\uc640\\uacfc\\ub85c\\ub9cc\\ub3c4\\ub610]",
);

/** Nouns that make a name with a letter: vitamin, blood type, plan. */
export const NAMED_NOUN = either(
  "[\\u7ef4\\u7dad]\\u751f\\u7d20", // weishengsu
  "\\u30d3\\u30bf\\u30df\\u30f3", // bitamin
  "\\ube44\\ud0c0\\ubbfc", // bitamin
  "\\u8840\\u578b", // xuexing
  "[\\u8ba1\\u8a08][\\u5212\\u756b]", // jihua
);

/** Words before an option that deny it: is not, do not choose, exclude. */
export const DENIES_BEFORE =
  either(
    "\\u4e0d[\\u662f\\u4e3a\\u70ba]", // bu shi, bu wei
    "\\u4e0d[\\u5e94\\u61c9\\u8be5\\u8a72\\u80fd\\u4f1a\\u6703\\u53ef]{0,2}[\\u9009\\u9078][\\u62e9\\u64c7]?", // bu (yinggai) xuan
    "[\\u5e76\\u4e26\\u800c]?\\u975e", // bing fei
    "\\u6392\\u9664(?:\\u4e86|\\u6389)?", // paichu
  ) + `${OPTION}?`;

/** Words after an option that deny it: is not right, is wrong, is excluded. */
export const DENIES_AFTER = either(
  `${OPTION}?\\s?[\\u662f\\u4e5f\\u90fd\\u663e\\u7136\\u660e\\u80af\\u5b9a]{0,3}(?:\\u4e0d|\\u9519|\\u932f|[\\u5e76\\u4e26]\\u975e|\\u88ab?\\u6392\\u9664)`,
  `${OPTION}?(?:\\u306f|\\u304c|\\u3067\\u306f|\\u3058\\u3083)(?:\\u306a[\\u3044\\u304f]|\\u3042\\u308a\\u307e\\u305b\\u3093|\\u6b63\\u3057\\u304f|\\u9593?\\u9055|\\u8aa4)`,
  `${OPTION}?\\s?[\\uc740\\ub294\\uc774\\uac00]?\\s?(?:\\uc544[\\ub2c8\\ub2d9\\ub2cc]|\\ud2c0|\\uc624\\ub2f5)`,
);

/** Words that an answer follows: the answer is, choose. */
export const STATES_BEFORE = either(
  // (zhengque) daan (shi), zhengjie
  "(?:\\u7b54\\u6848|\\u6b63[\\u786e\\u78ba]?[\\u9009\\u9078][\\u9879\\u9805]|\\u6b63\\u89e3|\\u6b63\\u7b54|\\u89e3\\u7b54|\\u56de\\u7b54|\\u7b54\\u3048|\\u7b54(?=\\s{0,3}:))",
  // xuan, xuanze, but not xuanxiang and not after bu, bie
  "(?<![\\u4e0d\\u522b\\u5225\\u672a\\u80fd\\u53ef])[\\u9009\\u9078][\\u62e9\\u64c7]?(?![\\u9879\\u9805\\u629e\\u4e0d])",
  "(?:\\uc815\\ub2f5|\\ub2f5\\uc548|\\ub2f5(?=[\\uc740\\uc774:\\s]))", // jeongdap, daban, dap
);

/** Characters that may stand between such words and the answer: should, is, particles, option. */
export const STATES_JOIN =
  "(?:[\\s:=,\"'(\\[]|[\\u5e94\\u61c9\\u8be5\\u8a72\\u5c31\\u53ea\\u80fd\\u662f\\u4e3a\\u70ba\\u9009\\u9078\\u62e9\\u64c7\\u7684\\u5f53\\u7136]|" +
  `${OPTION}|[\\u306f\\u304c]|[\\uc740\\ub294\\uc774\\uac00])*`;

/** Words after an option that make it the answer: is right, is the answer, is chosen. */
export const STATES_AFTER = either(
  `${OPTION}?[\\u662f\\u6700\\u624d\\u66f4\\u4e3a\\u70ba]{0,3}(?:\\u6b63[\\u786e\\u78ba\\u89e3]|[\\u5bf9\\u5c0d](?:\\u7684)?|\\u7b26\\u5408|\\u5408\\u9002|\\u5408\\u9069|\\u7b54\\u6848)`,
  `${OPTION}?[\\u304c\\u306f\\u3092](?:\\u6b63\\u89e3|\\u6b63\\u3057\\u3044|\\u6b63\\u7b54|\\u7b54\\u3048|\\u9078)`,
  `${OPTION}?\\s?[\\uc774\\uac00\\uc744\\ub97c]?\\s?(?:\\uc815\\ub2f5|\\ub9de|\\uc120\\ud0dd)`,
);

/** Words that close an argument: so, therefore. */
export const CONCLUDES = either(
  "\\u6240\\u4ee5|\\u56e0\\u6b64|\\u56e0\\u800c|\\u7efc\\u4e0a|\\u7d9c\\u4e0a|\\u6545(?!\\u4e8b)", // suoyi, yinci, yin'er, zongshang, gu
  "\\u3057\\u305f\\u304c\\u3063\\u3066|\\u3088\\u3063\\u3066|\\u3064\\u307e\\u308a", // shitagatte, yotte, tsumari
  "\\ub530\\ub77c\\uc11c|\\uadf8\\ub7ec\\ubbc0\\ub85c", // ttaraseo, geureomeuro
);
