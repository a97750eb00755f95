import { describe, expect, it } from "vitest";
import { DataError } from "../../src/core/errors.ts";
import { parseConversation } from "../../src/text/conversation.ts";

const user = (...content: unknown[]) => [{ role: "user", content }];
const parse = (...content: unknown[]) => parseConversation(user(...content), "row 7")[0]!.content;

describe("spellings of Hugging Face and of the Qwen utilities", () => {
  it.each([
    [{ type: "image", image: "a.png" }],
    [{ type: "image", url: "a.png" }],
    [{ type: "image", path: "a.png" }],
    [{ type: "image", image_url: "a.png" }],
    [{ type: "image", image: "file://a.png" }],
    [{ type: "image_url", image_url: "a.png" }],
    [{ type: "image_url", image_url: { url: "a.png" } }],
  ])("of a picture: %j", (part) => {
    expect(parse(part)).toEqual([{ type: "image", image: "a.png" }]);
  });

  it.each(["audio", "audio_url", "url", "path"])("of a sound: %s", (key) => {
    const part = { type: "audio", [key]: "https://host/a.wav" };
    expect(parse(part)).toEqual([{ type: "audio", audio: "https://host/a.wav" }]);
  });

  it.each(["video", "video_url", "url", "path"])("of a video: %s", (key) => {
    expect(parse({ type: "video", [key]: "file:///a b.mp4" })).toEqual([
      { type: "video", video: "/a b.mp4" },
    ]);
  });

  it("of a video as a list of pictures", () => {
    const settings = { fps: 4, sample_fps: 3, resized_height: 56, resized_width: 84 };
    expect(parse({ type: "video", video: ["a.png", "file:///b.png"], ...settings })).toEqual([
      { type: "video", video: ["a.png", "/b.png"], ...settings },
    ]);
  });

  it("keep every setting, order and text as they are", () => {
    const video = {
      ...{ type: "video", video: "a.mp4", fps: 0.5, min_frames: 2, max_frames: 8 },
      ...{ min_pixels: 1, max_pixels: 2, total_pixels: 3, use_audio_in_video: false },
    };
    const image = { type: "image", min_pixels: 4, max_pixels: 5 };
    const text = { type: "text", text: "" };
    expect(parse(text, video, image, { type: "audio" }, text)).toEqual([
      ...[text, video, image, { type: "audio" }, text],
    ]);
    const turns = [
      { role: "system", content: "a" },
      { role: "assistant", content: "" },
    ];
    expect(parseConversation(turns, "x")).toEqual(turns);
  });

  it("leave out keys that a table of rows filled with null", () => {
    expect(parse({ type: "text", text: "a", image: null, fps: null })).toEqual([
      { type: "text", text: "a" },
    ]);
    expect(parseConversation([{ role: "user", content: "a", name: null }], "x")).toEqual([
      { role: "user", content: "a" },
    ]);
  });
});

describe("what is refused, by name", () => {
  const text = { type: "text", text: "a" };
  const cases: [unknown, string][] = [
    ["a", 'messages is "a". Give a list'],
    [{ role: "user", content: "a" }, "messages is {"],
    [[], "messages is empty."],
    [["a"], 'messages[0] is "a".'],
    [[{ role: "user", content: "a" }, null], "messages[1] is null."],
    [[{ content: "a" }], "messages[0].role is missing. Use one of system, user, assistant."],
    [[{ role: "bot", content: "a" }], 'messages[0].role is "bot".'],
    [[{ role: "user" }], "messages[0].content is missing."],
    [[{ role: "user", content: { type: "text" } }], "messages[0].content is {"],
    [
      [{ role: "user", content: "a", tool_calls: [] }],
      'messages[0] has an unknown key "tool_calls"',
    ],
    [user(text, "b"), 'messages[0].content[1] is "b".'],
    [user({ text: "a" }), "messages[0].content[0].type is missing. Use text, image,"],
    [user({ type: "picture" }), 'content[0].type is "picture".'],
    [user({ type: "text" }), "content[0].text is missing."],
    [user({ type: "text", text: 3 }), "content[0].text is 3."],
    [user({ type: "text", text: "a", image: "b" }), 'content[0] has an unknown key "image".'],
    [user({ type: "image", imgae: "b" }), 'content[0] has an unknown key "imgae". A part of type'],
    [user({ type: "image", image: "" }), 'content[0].image is "".'],
    [user({ type: "image", image: 3 }), "content[0].image is 3."],
    [user({ type: "image", image: "a", url: "b" }), "content[0] has both image and url."],
    [user({ type: "image", fps: 2 }), 'content[0] has an unknown key "fps".'],
    [user({ type: "audio", max_pixels: 2 }), 'content[0] has an unknown key "max_pixels".'],
    [user(text, { type: "video", fps: "2" }), 'content[1].fps is "2". Give a number above 0.'],
    [user({ type: "video", fps: 0 }), "content[0].fps is 0."],
    [user({ type: "video", nframes: 2.5 }), "content[0].nframes is 2.5. Give a whole number"],
    [user({ type: "video", max_pixels: -1 }), "content[0].max_pixels is -1."],
    [user({ type: "video", use_audio_in_video: 1 }), "content[0].use_audio_in_video is 1."],
    [user({ type: "video", video: [] }), "content[0].video is an empty list."],
    [user({ type: "video", video: ["a", 3] }), "content[0].video[1] is 3. Give a path or a URL."],
    [
      user({ type: "video", video: ["a.png"], nframes: 4 }),
      "content[0].nframes does not go with a list of pictures.",
    ],
    [
      user({ type: "video", video: "a.mp4", sample_fps: 4 }),
      "content[0].sample_fps goes with a list of pictures only. Use fps.",
    ],
    [
      user({ type: "image", resized_height: 56 }),
      "content[0] has only one of resized_height and resized_width.",
    ],
    [user({ type: "image", resized_height: 0, resized_width: 1 }), "resized_height is 0."],
  ];
  it.each(cases)("%j", (value, message) => {
    let error: unknown;
    try {
      parseConversation(value, "row 7");
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).code).toBe("bad-conversation");
    expect((error as DataError).message).toContain(message);
    expect((error as DataError).message).toMatch(/^row 7: messages/);
  });

  it.each([
    ...[["video", "raw_fps"] as const, ["video", "video_start"] as const],
    ...[["video", "video_end"] as const, ["audio", "audio_start"] as const],
    ...[["audio", "audio_end"] as const, ["image", "base64"] as const],
  ])("the key of a %s that aubade does not implement: %s", (type, key) => {
    expect(() => parse({ type, [key]: 1 })).toThrow(`content[0].${key} is not implemented.`);
  });
});
